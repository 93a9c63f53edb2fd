# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_simulator import Running, running_simulator


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A simulator with a vLLM, on free ports of the loopback device."""
    with running_simulator(["vllm-api=vllm:0"], tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest.fixture
def simulator(shared: Running) -> Iterator[Running]:
    """The simulator as it is after its start."""
    shared.admin("POST", "/reset")
    yield shared
    for file in shared.keys.iterdir():
        file.unlink()
    shared.admin("POST", "/reset")
