# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin API, the counters and the log."""

from __future__ import annotations

import http.client
import json
import threading
import time

import pytest
from running_simulator import VLLM_MODEL, WELL, Running, call, until

from sandbox.upstream_admin import Admin, UpstreamError


def test_it_is_healthy(simulator: Running) -> None:
    assert simulator.admin("GET", "/healthz").status == 200


def test_the_hosts_are_told_with_their_models_and_faults(simulator: Running) -> None:
    simulator.fault("ollama", kind="slow", first_token=2)
    (simulator.keys / "ollama").write_text("key")
    host = next(host for host in simulator.admin("GET", "/hosts").json if host["name"] == "ollama")
    assert (host["protocol"], host["models"], host["tls"], host["keys_checked"]) == ("ollama", ["qwen2.5:3b"], False, True)
    assert host["fault"] == {"kind": "slow", "first_token": 2}


def test_a_fault_tells_what_is_left_of_it(simulator: Running) -> None:
    simulator.fault(kind="empty", count=3)
    simulator.chat()
    assert simulator.admin("GET", "/hosts/vllm-api/fault").json == {"kind": "empty", "count": 3, "requests_left": 2}


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"{", "the body must be JSON"), (b"[]", "must be a JSON object"), (b'{"kind": "boom"}', "kind must be one of none, status")],
)
def test_a_wrong_fault_is_a_400_and_changes_nothing(simulator: Running, body: bytes, told: str) -> None:
    simulator.fault(kind="empty")
    connection = http.client.HTTPConnection("127.0.0.1", simulator.simulator.admin_port, timeout=5)
    connection.request("PUT", "/hosts/vllm-api/fault", body)
    response = connection.getresponse()
    assert response.status == 400
    assert told in json.loads(response.read())["error"]
    connection.close()
    assert simulator.admin("GET", "/hosts/vllm-api/fault").json == {"kind": "empty"}


def test_an_unknown_host_is_a_404_that_names_the_known_ones(simulator: Running) -> None:
    answer = simulator.admin("PUT", "/hosts/nothing/fault", {"kind": "empty"})
    assert answer.status == 404
    assert answer.json["error"].startswith("there is no host 'nothing' here, only vllm-api, api.openai.com")


def test_counters_tell_requests_by_model_status_outcome_and_fault(simulator: Running) -> None:
    simulator.chat()
    simulator.fault(kind="status", status=503, count=1)
    simulator.chat()
    simulator.get("vllm-api", "/v1/models")
    until(lambda: simulator.counters()["in_flight"] == 0)
    assert simulator.counters() == {
        "requests": 2,
        "lookups": 1,
        "in_flight": 0,
        "cancelled": 0,
        "by_model": {VLLM_MODEL: 2},
        "by_status": {"200": 1, "503": 1},
        "by_outcome": {"answered": 1, "error": 1},
        "by_fault": {"status": 1},
    }
    assert simulator.counters("ollama")["requests"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_is_noticed_at_once_and_counted(simulator: Running, stream: bool) -> None:
    with pytest.raises(TimeoutError):
        simulator.chat("[tokens=500 rate=2 first=9]", stream=stream, timeout=0.2)
    until(lambda: simulator.counters()["cancelled"] == 1, 0.5)
    assert simulator.counters()["in_flight"] == 0


def test_requests_under_way_are_in_flight(simulator: Running) -> None:
    asking = threading.Thread(target=simulator.chat, args=("[first=0.3]",))
    asking.start()
    until(lambda: simulator.counters()["in_flight"] == 1)
    asking.join()
    until(lambda: simulator.counters()["in_flight"] == 0)


def test_the_log_tells_all_about_a_request_but_what_was_said(simulator: Running) -> None:
    begin = time.time()
    simulator.chat("a secret prompt", tools=[{"type": "function", "function": {"name": "look"}}])
    record = simulator.last()
    assert begin - 1 <= record["started"] <= time.time()
    assert 0 <= record["first_byte"] <= record["total"] < 5
    expected = {
        "host": "vllm-api",
        "operation": "chat",
        "model": VLLM_MODEL,
        "status": 200,
        "outcome": "answered",
        "stream": False,
        "tools": 1,
    }
    assert expected.items() <= record.items()
    assert (record["prompt_tokens"], record["completion_tokens"], record["answer"]) == (3, 5, 1)
    assert "secret" not in json.dumps(record)


def test_each_request_is_one_line_of_json_with_the_same_content(simulator: Running) -> None:
    simulator.chat()
    record = simulator.last()
    assert [json.loads(line) for line in simulator.lines] == [record]


def test_the_log_can_be_narrowed(simulator: Running) -> None:
    simulator.chat()
    between = time.time()
    simulator.chat()
    simulator.ask("ollama", "/api/chat", {"model": "qwen2.5:3b"})
    until(lambda: len(simulator.admin("GET", "/log").json) == 3)

    def sequences(query: str) -> list[int]:
        return [record["sequence"] for record in simulator.admin("GET", f"/log?{query}").json]

    first, second, third = sequences("")
    assert sequences("host=vllm-api") == [first, second]
    assert sequences(f"since={between}") == [second, third]
    assert sequences(f"after={second}") == [third]
    assert sequences("limit=1") == [third]
    assert simulator.admin("GET", "/log?since=yesterday").json == {"error": "since must be a number, not 'yesterday'"}


def test_a_reset_forgets_counters_log_faults_and_numbers(simulator: Running) -> None:
    simulator.chat()
    simulator.fault(kind="refuse")
    assert simulator.admin("POST", "/reset").status == 200
    assert simulator.admin("GET", "/log").json == []
    assert simulator.counters()["requests"] == 0
    assert simulator.chat().json["choices"][0]["message"]["content"].startswith("Answer 1 ")


def test_the_admin_client_speaks_this_api(simulator: Running) -> None:
    client = Admin("127.0.0.1", simulator.simulator.admin_port)
    client.set_fault("vllm-api", {"kind": "status", "status": 500})
    assert simulator.chat().status == 500
    assert [host["fault"] for host in client.hosts() if host["name"] == "vllm-api"] == [
        {"kind": "status", "status": 500, "operations": "generation"}
    ]
    client.set_fault("vllm-api", None)
    assert simulator.chat().status == 200
    assert [record["status"] for record in client.log("vllm-api")] == [500, 200]
    assert {"started", "total", "model", "stream", "outcome", "fault", "status"} <= client.log("vllm-api")[0].keys()
    assert client.counters()["vllm-api"]["requests"] == 2
    with pytest.raises(UpstreamError, match="kind must be one of"):
        client.set_fault("vllm-api", {"kind": "boom"})
    client.reset()
    assert client.log() == []


def test_a_host_without_fault_tells_none(simulator: Running) -> None:
    assert call(simulator.simulator.admin_port, "GET", "/hosts/ollama/fault").json == WELL
