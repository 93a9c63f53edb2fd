# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from running_simulator import Running

from upstream.host import Keys, parse_host
from upstream.simulator import Simulator


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A simulator with a vLLM, on free ports of the loopback device."""
    keys = tmp_path_factory.mktemp("keys")
    lines: list[str] = []
    simulator = Simulator([parse_host("vllm-api=vllm:0", {})], "127.0.0.1", 0, Keys(keys), None, lines.append)
    loop = asyncio.new_event_loop()
    ended, started = asyncio.Event(), threading.Event()

    async def serve() -> None:
        async with simulator:
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(5)
    yield Running(simulator, lines, keys)
    loop.call_soon_threadsafe(ended.set)
    thread.join(5)
    assert not thread.is_alive()
    loop.close()


@pytest.fixture
def simulator(shared: Running) -> Iterator[Running]:
    """The simulator as it is after its start."""
    shared.admin("POST", "/reset")
    yield shared
    for file in shared.keys.iterdir():
        file.unlink()
    shared.admin("POST", "/reset")
