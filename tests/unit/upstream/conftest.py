# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_simulator import Running, running_simulator

ALL = (
    "vllm-api=vllm:0",
    "api.openai.com=openai:0",
    "api.groq.com=groq:0",
    "api.mistral.ai=mistral:0",
    "generativelanguage.googleapis.com=gemini:0",
    "ollama=ollama:0",
    "ollama.com=ollama:0",
    "api.anthropic.com=anthropic:0",
)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One simulator with all hosts, on free ports of the loopback device."""
    with running_simulator(ALL, tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest.fixture
def simulator(shared: Running) -> Iterator[Running]:
    """The simulator as it is after its start."""
    shared.admin("POST", "/reset")
    shared.lines.clear()
    yield shared
    for file in shared.keys.iterdir():
        file.unlink()
    shared.admin("POST", "/reset")
