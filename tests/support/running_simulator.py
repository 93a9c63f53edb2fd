# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upstream simulator in a thread of the tests' process, and a client for it."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upstream.host import Keys, parse_host
from upstream.simulator import Simulator

#: What the admin API tells of a host without a fault.
WELL = {"kind": "none"}
VLLM_MODEL = "Qwen/Qwen2.5-7B-Instruct-AWQ"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The data of all server-sent events that hold JSON."""
        data = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
        return [json.loads(text) for text in data if text != "[DONE]"]

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


def call(port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 30) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def until(happens: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what `happens` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while not (result := happens()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return result


@dataclass
class Running:
    """A simulator that runs in a thread of this process."""

    simulator: Simulator
    lines: list[str]
    keys: Path

    def port(self, host: str) -> int:
        return self.simulator.servers[host].listener.port

    def ask(self, host: str, path: str, body: Any, headers: dict[str, str] | None = None, timeout: float = 30) -> Answer:
        return call(self.port(host), "POST", path, body, headers, timeout)

    def get(self, host: str, path: str, headers: dict[str, str] | None = None) -> Answer:
        return call(self.port(host), "GET", path, None, headers)

    def chat(self, prompt: str = "hi", host: str = "vllm-api", model: str = VLLM_MODEL, timeout: float = 5, **more: Any) -> Answer:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
        return self.ask(host, "/v1/chat/completions", body, timeout=timeout)

    def admin(self, method: str, path: str, body: Any = None) -> Answer:
        return call(self.simulator.admin_port, method, path, body)

    def fault(self, host: str = "vllm-api", **fault: Any) -> None:
        answer = self.admin("PUT", f"/hosts/{host}/fault", fault)
        assert answer.status == 200, answer.json

    def counters(self, host: str = "vllm-api") -> Any:
        return self.admin("GET", "/counters").json[host]

    def last(self, host: str = "vllm-api") -> Any:
        """The newest record of the log, as soon as there is one."""
        return until(lambda: self.admin("GET", f"/log?host={host}&limit=1").json)[0]


@contextmanager
def running_simulator(hosts: Sequence[str], keys: Path) -> Iterator[Running]:
    """Run a simulator of these hosts, "NAME=PROTOCOL:PORT" each, on the loopback device; port 0 is a free one."""
    lines: list[str] = []
    simulator = Simulator([parse_host(text, {}) for text in hosts], "127.0.0.1", 0, Keys(keys), None, lines.append)
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
