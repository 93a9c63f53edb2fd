# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in and the watcher as they run in a pod: as programs, by their source alone, on loopback."""

from __future__ import annotations

import http.client
import inspect
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import stand_in
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import watcher_program

Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a stand-in and returns its port."""
    with ExitStack() as stack:

        def run(kind: str, **spec: Any) -> int:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = int(free.getsockname()[1])
            words = [sys.executable, "-u", "-c", inspect.getsource(stand_in), json.dumps({"kind": kind, "ports": [port], **spec})]
            process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline() == "listening\n"
            return port

        yield run


def ask(port: int, stream: bool = False, path: str = "/v1/chat/completions", method: str = "POST") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.7)
    try:
        connection.request(method, path, json.dumps({"model": "m", "stream": stream, "max_tokens": 4}))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_a_status_comes_with_its_body(start: Start) -> None:
    status, _headers, body = ask(start("status", status=429, body='{"error": "later"}'))
    assert (status, body) == (429, b'{"error": "later"}')


def test_whoever_looks_without_asking_for_an_answer_is_told_who_stands_there(start: Start) -> None:
    status, headers, _body = ask(start("hang"), method="GET", path="/v1/models")
    assert (status, headers["x-failover-probe"]) == (503, "hang")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("where", ["before_headers", "after_headers", "mid_stream"])
def test_a_hang_is_silent(start: Start, where: str, stream: bool) -> None:
    with pytest.raises(TimeoutError):
        ask(start("hang", where=where), stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("where", ["before_headers", "mid_stream"])
def test_a_reset_resets(start: Start, where: str, stream: bool) -> None:
    with pytest.raises(ConnectionResetError):
        ask(start("reset", where=where), stream)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_ends_before_the_end(start: Start, stream: bool) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(start("cut"), stream)


@pytest.mark.parametrize(("path", "mark"), [("/v1/chat/completions", b"[DONE]"), ("/api/chat", b'"done_reason": "stop"')])
def test_a_slow_answer_is_whole_and_takes_its_time(start: Start, path: str, mark: bytes) -> None:
    port = start("slow", first_token=0.2, tokens_per_second=20)
    began = time.monotonic()
    status, _headers, body = ask(port, True, path)
    assert time.monotonic() - began >= 0.2 + 3 / 20
    assert status == 200
    assert mark in body


def test_nobody_listens_behind_a_refusal(start: Start) -> None:
    with pytest.raises(ConnectionRefusedError):
        ask(start("refuse"))


def test_a_blackhole_lets_no_connection_come_about(start: Start) -> None:
    port = start("blackhole")
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.7)


def test_the_watcher_sees_a_stand_in_as_gone_and_says_when(start: Start) -> None:
    targets = [{"name": kind, "url": f"http://127.0.0.1:{start(kind)}/v1/models"} for kind in ("hang", "refuse", "blackhole")]
    spec = {"url": "http://127.0.0.1:1/v1", "targets": targets, "seconds": 4}
    began = time.monotonic()
    ran = subprocess.run([sys.executable, "-u", "-c", watcher_program(), json.dumps(spec)], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    states = {line["target"]: line for line in lines if line["kind"] == "state"}
    assert {name: state["up"] for name, state in states.items()} == {"hang": False, "refuse": False, "blackhole": False}
    assert states["hang"]["why"] == "the stand-in answers"
    assert all(began < state["t_mono"] < began + 3 for state in states.values())
    (look,) = (line for line in lines if line["kind"] == "look")
    assert look["error"].startswith("cannot be reached: ConnectionRefusedError")
