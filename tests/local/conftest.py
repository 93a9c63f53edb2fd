# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real LiteLLM with scripted providers, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_litellm import RunningLiteLLM, new_key
from running_simulator import Running, running_simulator

#: The scripted providers. `cheap` is a second one of OpenAI's kind.
HOSTS = ("anthropic=anthropic:0", "openai=openai:0", "cheap=openai:0", "ollama=ollama:0")


@pytest.fixture(scope="session")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_simulator(HOSTS, tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest.fixture(scope="session")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLiteLLM]:
    """One that has not been started yet; its keys are in its environment."""
    names = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "LITELLM_MASTER_KEY", "REDIS_PASSWORD")
    running = RunningLiteLLM(tmp_path_factory.mktemp("litellm"), {name: new_key() for name in names})
    yield running
    running.stop()


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> Iterator[None]:
    """This machine's proxy, if there is one, is not asked for 127.0.0.1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield
