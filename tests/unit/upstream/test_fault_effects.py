# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each fault does to a client."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from running_simulator import VLLM_MODEL, WELL, Running, until

QUIET = 1.0  # seconds without a byte that count as hanging: more than a busy machine makes of an answer


@contextmanager
def connection(simulator: Running, host: str = "vllm-api", timeout: float = QUIET) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", simulator.port(host), timeout=timeout)
    try:
        yield client
    finally:
        client.close()


def send(client: http.client.HTTPConnection, prompt: str = "hi", **more: Any) -> None:
    body = {"model": VLLM_MODEL, "messages": [{"role": "user", "content": prompt}], **more}
    client.request("POST", "/v1/chat/completions", json.dumps(body))


def read_all(response: http.client.HTTPResponse, got: bytearray) -> None:
    """Read to the end, and keep what came when it does not come to that."""
    while part := response.read1():
        got += part


def outcome(simulator: Running) -> tuple[int | None, str]:
    """The status and the outcome of the last request, as soon as the simulator noticed how it ended."""
    record = until(lambda: simulator.admin("GET", "/log?limit=1").json)[0]
    return record["status"], record["outcome"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_hang_before_headers_sends_nothing(simulator: Running, stream: bool) -> None:
    simulator.fault(kind="hang")
    with connection(simulator) as client:
        send(client, stream=stream)
        with pytest.raises(TimeoutError):
            client.getresponse()
    assert outcome(simulator) == (None, "cancelled")


@pytest.mark.parametrize("stream", [False, True])
def test_a_hang_after_headers_sends_only_them(simulator: Running, stream: bool) -> None:
    simulator.fault(kind="hang", where="after_headers")
    with connection(simulator) as client:
        send(client, stream=stream)
        response = client.getresponse()
        assert response.status == 200
        with pytest.raises(TimeoutError):
            response.read(1)
        response.close()
    assert outcome(simulator) == (200, "cancelled")


def test_a_hang_in_mid_stream_comes_after_some_tokens(simulator: Running) -> None:
    simulator.fault(kind="hang", where="mid_stream", after_tokens=3)
    with connection(simulator) as client:
        send(client, stream=True)
        response = client.getresponse()
        got = bytearray()
        with pytest.raises(TimeoutError):
            read_all(response, got)
        response.close()
    assert got.count(b'"content": "') == 4  # an empty one with the role, and three tokens
    assert outcome(simulator) == (200, "cancelled")
    assert simulator.last()["completion_tokens"] == 3


def test_a_mid_stream_hang_of_a_whole_answer_sends_nothing_as_a_real_server_would(simulator: Running) -> None:
    simulator.fault(kind="hang", where="mid_stream")
    with connection(simulator) as client:
        send(client)
        with pytest.raises(TimeoutError):
            client.getresponse()


@pytest.mark.parametrize(("where", "stream"), [("before_headers", False), ("before_headers", True), ("mid_stream", False)])
def test_a_reset_before_headers_is_a_reset(simulator: Running, where: str, stream: bool) -> None:
    simulator.fault(kind="reset", where=where)
    with connection(simulator, timeout=30) as client:
        send(client, stream=stream)
        with pytest.raises(ConnectionResetError):
            client.getresponse()
    assert outcome(simulator) == (None, "reset")


def test_a_reset_in_mid_stream_comes_after_some_tokens(simulator: Running) -> None:
    simulator.fault(kind="reset", where="mid_stream")
    with connection(simulator, timeout=30) as client:
        send(client, "[tokens=9 rate=20]", stream=True)
        response = client.getresponse()
        got = bytearray()
        with pytest.raises(ConnectionResetError):
            read_all(response, got)
        response.close()
    assert b"Answer" in got
    assert outcome(simulator) == (200, "reset")


def test_a_stream_cut_cleanly_lacks_its_end_only(simulator: Running) -> None:
    simulator.fault(kind="cut")
    answer = simulator.chat(stream=True)
    assert "".join(event["choices"][0]["delta"]["content"] for event in answer.events) == "Answer 1 "
    assert b"[DONE]" not in answer.body
    assert outcome(simulator) == (200, "cut")


@pytest.mark.parametrize("stream", [False, True])
def test_a_torn_answer_ends_in_the_middle_of_the_http_body(simulator: Running, stream: bool) -> None:
    simulator.fault(kind="cut", end="torn")
    with pytest.raises(http.client.IncompleteRead):
        simulator.chat(stream=stream)
    assert outcome(simulator) == (200, "cut")


def test_a_whole_answer_cut_cleanly_is_half_of_its_json(simulator: Running) -> None:
    simulator.fault(kind="cut")
    answer = simulator.chat()
    assert answer.status == 200
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        _ = answer.json


@pytest.mark.parametrize(
    ("host", "path", "model", "ending"),
    [
        ("vllm-api", "/v1/chat/completions", VLLM_MODEL, b"data: [DONE]\n\n"),
        ("api.anthropic.com", "/v1/messages", "claude-opus-4-5", b"}\n\n"),
        ("ollama", "/api/chat", "qwen2.5:3b", b"}\n"),
        ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.0-flash:streamGenerateContent", "", b"}\r\n\r\n"),
    ],
)
def test_an_error_event_comes_inside_a_stream_that_began_well(simulator: Running, host: str, path: str, model: str, ending: bytes) -> None:
    simulator.fault(host, kind="error_event", after_tokens=1)
    answer = simulator.ask(host, path, {"model": model, "stream": True})
    assert answer.status == 200
    assert b"Answer" in answer.body
    assert b'"error"' in answer.body
    assert answer.body.endswith(ending)
    assert simulator.last(host)["outcome"] == "error"


def test_an_error_event_is_an_error_status_when_nothing_is_streamed(simulator: Running) -> None:
    simulator.fault(kind="error_event")
    assert simulator.chat().status == 500


def test_a_slow_host_takes_its_time_for_the_first_token_and_between_tokens(simulator: Running) -> None:
    simulator.fault(kind="slow", first_token=0.2, tokens_per_second=20)
    begin = time.monotonic()
    assert simulator.chat(stream=True).status == 200
    took = time.monotonic() - begin
    record = simulator.last()
    assert record["first_byte"] < record["first_token"] - 0.1  # vLLM sends a stream's headers at once
    assert record["first_token"] >= 0.2
    assert took >= 0.4
    # A busy machine makes it later, not the scripted second.
    assert took < 5


def test_the_prompt_scripts_tokens_and_timing(simulator: Running) -> None:
    answer = simulator.chat("[tokens=6 rate=20 first=0.1]")
    assert answer.json["usage"]["completion_tokens"] == 6
    record = simulator.last()
    assert 0.35 <= record["total"] < 5
    assert record["first_byte"] >= 0.35  # nothing is sent before a whole answer is complete


def test_empty_is_a_200_without_text(simulator: Running) -> None:
    simulator.fault(kind="empty")
    assert simulator.chat().json["choices"][0]["message"]["content"] == ""
    assert simulator.chat().json["usage"]["completion_tokens"] == 0


def test_a_wrong_model_answers_under_another_name(simulator: Running) -> None:
    simulator.fault(kind="wrong_model", answers_as="other")
    assert simulator.chat().json["model"] == "other"


def test_a_refusing_host_refuses_and_ends_what_is_open_and_comes_back(simulator: Running) -> None:
    with connection(simulator, timeout=30) as open_one:
        send(open_one, "[first=30]", stream=True)
        response = open_one.getresponse()
        simulator.fault(kind="refuse")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        response.close()
    with pytest.raises(ConnectionRefusedError):
        simulator.chat()
    assert until(lambda: simulator.counters()["by_outcome"]) == {"ended": 1}
    simulator.admin("DELETE", "/hosts/vllm-api/fault")
    assert simulator.chat().status == 200


def test_only_the_host_with_the_fault_has_it(simulator: Running) -> None:
    simulator.fault("api.openai.com", kind="refuse")
    assert simulator.chat().status == 200


def test_a_black_hole_answers_no_syn_and_comes_back(simulator: Running) -> None:
    simulator.fault(kind="blackhole")
    for _ in range(3):
        with socket.socket() as client:
            client.settimeout(QUIET)
            with pytest.raises(TimeoutError):
                client.connect(("127.0.0.1", simulator.port("vllm-api")))
    simulator.admin("DELETE", "/hosts/vllm-api/fault")
    assert simulator.chat().status == 200


def test_in_a_black_hole_open_connections_stay_and_are_answered_only_afterwards(simulator: Running) -> None:
    with connection(simulator, timeout=30) as client:
        send(client)
        client.getresponse().read()
        simulator.fault(kind="blackhole")
        send(client)
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(client.getresponse().status))
        waiting.start()
        waiting.join(QUIET)
        assert waiting.is_alive()
        assert simulator.counters()["requests"] == 1
        simulator.admin("DELETE", "/hosts/vllm-api/fault")
        waiting.join(30)
    assert answers == [200]
    assert simulator.counters()["requests"] == 2


def test_a_stream_stands_still_in_a_black_hole(simulator: Running) -> None:
    with connection(simulator) as client:
        send(client, "[tokens=100 rate=50]", stream=True)
        response = client.getresponse()
        assert response.read1()
        simulator.fault(kind="blackhole")
        with pytest.raises(TimeoutError):
            read_all(response, bytearray())
        response.close()


def test_a_black_hole_can_reset_what_is_open(simulator: Running) -> None:
    with connection(simulator, timeout=30) as client:
        send(client, "[first=30]")
        until(lambda: simulator.counters()["in_flight"])
        simulator.fault(kind="blackhole", connections="reset")
        with pytest.raises(ConnectionResetError):
            client.getresponse()


def test_a_fault_is_over_after_its_count(simulator: Running) -> None:
    simulator.fault(kind="status", status=500, count=2)
    assert [simulator.chat().status for _ in range(3)] == [500, 500, 200]
    assert simulator.admin("GET", "/hosts/vllm-api/fault").json == WELL


def test_requests_for_other_models_and_lists_of_models_use_up_no_count(simulator: Running) -> None:
    simulator.fault(kind="status", status=500, count=1, model=VLLM_MODEL)
    assert simulator.chat(model="deepseek-ai/DeepSeek-R1-Distill-Qwen-7B").status == 200
    assert simulator.get("vllm-api", "/v1/models").status == 200
    assert simulator.chat().status == 500


def test_a_fault_of_all_operations_hits_lists_of_models_too(simulator: Running) -> None:
    simulator.fault(kind="status", status=500, operations="all")
    assert simulator.get("vllm-api", "/v1/models").status == 500


@pytest.mark.parametrize("kind", ["empty", "refuse", "blackhole"])
def test_a_fault_is_over_after_its_seconds(simulator: Running, kind: str) -> None:
    simulator.fault(kind=kind, seconds=1.5)
    assert 0 < simulator.admin("GET", "/hosts/vllm-api/fault").json["seconds_left"] <= 1.5
    until(lambda: simulator.admin("GET", "/hosts/vllm-api/fault").json == WELL)
    assert "Answer" in simulator.chat().json["choices"][0]["message"]["content"]


def test_a_new_fault_replaces_the_old_one_and_its_end(simulator: Running) -> None:
    simulator.fault(kind="empty", seconds=0.2)
    simulator.fault(kind="status", status=503)
    time.sleep(0.3)
    assert simulator.chat().status == 503


def test_a_hanging_request_hangs_on_after_the_fault_is_gone_while_new_ones_are_answered(simulator: Running) -> None:
    simulator.fault(kind="hang")
    with connection(simulator) as client:
        send(client)
        until(lambda: simulator.counters()["in_flight"])
        simulator.admin("DELETE", "/hosts/vllm-api/fault")
        assert simulator.chat().status == 200
        with pytest.raises(TimeoutError):
            client.getresponse()
