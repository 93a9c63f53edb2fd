# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend that is well answers as it would without a bound, however slow it is after its first token."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from running_litellm import LiteLLM, Told
from running_simulator import Running, until

from .conftest import FIRST_TOKEN, TABLE

pytestmark = pytest.mark.alone

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}}
CALL = '[tool=weather args={"city": "Zürich", "days": [1, 2]}]'


def assert_whole_answer_of_vllm(told: Told, tokens: int) -> None:
    assert told.status == 200, told.error
    assert not told.error
    assert "from vllm-api" in told.text
    assert len(told.text.split()) == tokens


def test_a_prefill_shorter_than_the_bound_is_waited_for(litellm: LiteLLM) -> None:
    cells = []
    for stream in (False, True):
        told = litellm.ask("vllm-qwen", "[tokens=6 first=2.5]", stream=stream)
        assert_whole_answer_of_vllm(told, 6)
        cells.append(f"{told.total:.2f} whole, first {told.first or 0:.2f}")
    TABLE.append(("healthy, first token after 2.5 s", *cells))


@pytest.mark.parametrize(("tokens", "first"), [(40, 0.5), (60, 2.5)])
def test_a_slow_answer_is_never_cut(litellm: LiteLLM, tokens: int, first: float) -> None:
    prompt = f"[tokens={tokens} rate=1 first={first}]"
    with ThreadPoolExecutor(2) as pool:
        whole, stream = pool.map(lambda streamed: litellm.ask("vllm-qwen", prompt, stream=streamed), (False, True))
    for told in (whole, stream):
        assert_whole_answer_of_vllm(told, tokens)
        assert told.total == pytest.approx(tokens - 1 + first, abs=1)
    assert stream.first == pytest.approx(first, abs=0.3)
    cells = f"{whole.total:.1f}, {tokens} tokens", f"{stream.total:.1f}, {tokens} tokens, first at {stream.first:.2f}"
    TABLE.append((f"healthy, first after {first} s, then 1 token/s", *cells))


@BOTH
def test_a_burst_that_queues_for_two_seconds_is_not_failed_over(litellm: LiteLLM, upstream: Running, stream: bool) -> None:
    upstream.fault(kind="slow", first_token=2.0, tokens_per_second=50)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: litellm.ask("vllm-qwen", "[tokens=6]", stream=stream), range(20)))
    for told in answers:
        assert_whole_answer_of_vllm(told, 6)
    assert upstream.counters("ollama")["requests"] == 0


def test_two_deployments_of_one_model_at_one_address_have_their_own_bounds(litellm: LiteLLM) -> None:
    prompt = f"[tokens=6 first={FIRST_TOKEN + 1}]"
    with ThreadPoolExecutor(3) as pool:
        bounded, patient, unwatched = pool.map(lambda model: litellm.ask(model, prompt), ("vllm-qwen", "vllm-patient", "vllm-unwatched"))
    assert "from ollama" in bounded.text
    assert_whole_answer_of_vllm(patient, 6)
    assert_whole_answer_of_vllm(unwatched, 6)


def test_a_bound_holds_whatever_headers_a_client_sends_along(litellm: LiteLLM, upstream: Running) -> None:
    upstream.fault(kind="hang", where="after_headers")
    told = litellm.ask("vllm-qwen", "[tokens=6]", extra_headers={"X-Mine": "1"}, model_info={"first_token_timeout": 60})
    assert told.status in (200, 400)  # 400: LiteLLM lets no client say such things
    assert told.total < FIRST_TOKEN + 1


def test_a_model_without_fallback_tells_its_client_in_time(litellm: LiteLLM, upstream: Running) -> None:
    upstream.fault(kind="hang", where="after_headers")
    told = litellm.ask("vllm-alone", "[tokens=6]")
    assert told.status == 408
    assert told.total < FIRST_TOKEN + 0.5


def test_a_refusal_is_the_backends_own(litellm: LiteLLM, upstream: Running) -> None:
    body = {"error": {"message": "This model's maximum context length is 32768 tokens.", "type": "BadRequestError", "code": 400}}
    upstream.fault(kind="status", status=400, body=body)
    told = litellm.ask("vllm-patient", "[tokens=6]")
    assert told.status == 400
    assert "maximum context length is 32768" in told.error


def test_the_usage_is_what_the_backend_says(litellm: LiteLLM) -> None:
    told = litellm.ask("vllm-qwen", "one two three [tokens=7]")
    assert told.usage["completion_tokens"] == 7
    assert told.usage["prompt_tokens"] == litellm.ask("vllm-unwatched", "one two three [tokens=7]").usage["prompt_tokens"]


@pytest.mark.parametrize("wanted", [False, True])
def test_a_stream_tells_the_usage_to_who_asked_for_it_and_to_nobody_else(litellm: LiteLLM, wanted: bool) -> None:
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if wanted else {}
    told = litellm.ask("vllm-qwen", "[tokens=7]", stream=True, **more)
    assert (told.usage or {}).get("completion_tokens") == (7 if wanted else None)
    assert told.finish == "stop"


def test_an_answer_has_the_same_fields_as_without_a_bound(litellm: LiteLLM) -> None:
    bounded, plain = (litellm.ask(model, "[tokens=6]") for model in ("vllm-qwen", "vllm-unwatched"))

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shape(each) for name, each in value.items() if each is not None}
        return [shape(each) for each in value] if isinstance(value, list) else type(value).__name__

    assert shape(bounded.whole) == shape(plain.whole)
    of_litellm = {name for name in plain.headers if name.startswith("x-litellm")}
    assert of_litellm <= set(bounded.headers)


def test_a_call_of_a_tool_arrives_whole(litellm: LiteLLM) -> None:
    calls = []
    for model in ("vllm-qwen", "vllm-unwatched"):
        choice = litellm.ask(model, CALL, tools=[WEATHER]).whole["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        (call,) = choice["message"]["tool_calls"]
        calls.append((call["type"], call["function"]["name"], json.loads(call["function"]["arguments"])))
    assert calls[0] == calls[1] == ("function", "weather", {"city": "Zürich", "days": [1, 2]})


@BOTH
def test_a_client_that_leaves_ends_the_request_to_the_backend(litellm: LiteLLM, upstream: Running, stream: bool) -> None:
    told = litellm.ask("vllm-qwen", "[tokens=200 rate=2]", stream=stream, leave_after=None if stream else 1.0) if not stream else None
    if stream:
        leave_a_stream(litellm)
    left = time.monotonic()
    assert told is None or "timed out" in told.error
    until(lambda: upstream.counters()["cancelled"] == 1, 3)
    cell = f"{time.monotonic() - left:.2f} s after it"
    assert upstream.counters()["in_flight"] == 0
    TABLE.append(("client leaves, backend stops", "" if stream else cell, cell if stream else ""))


def leave_a_stream(litellm: LiteLLM) -> None:
    import http.client

    from running_litellm import KEY

    connection = http.client.HTTPConnection("127.0.0.1", litellm.port, timeout=10)
    body = {"model": "vllm-qwen", "stream": True, "messages": [{"role": "user", "content": "[tokens=200 rate=2]"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    assert response.readline().startswith(b"data:")
    response.close()
    connection.close()


@BOTH
def test_nothing_is_left_of_a_request_that_hung(litellm: LiteLLM, upstream: Running, stream: bool) -> None:
    upstream.fault(kind="hang", where="after_headers", count=1)
    litellm.ask("vllm-qwen", "[tokens=6]", stream=stream)
    until(lambda: upstream.counters()["cancelled"] == 1, 3)
    assert upstream.counters()["in_flight"] == 0


def test_metrics_count_each_request_once(litellm: LiteLLM) -> None:
    metric = "litellm_proxy_total_requests_metric_total"
    before = litellm.counted(metric, requested_model="vllm-qwen")
    for stream in (False, True):
        litellm.ask("vllm-qwen", "[tokens=6]", stream=stream)
    until(lambda: litellm.counted(metric, requested_model="vllm-qwen") >= before + 2)
    time.sleep(1)
    assert litellm.counted(metric, requested_model="vllm-qwen") == before + 2


def test_the_self_check_is_in_no_metric(litellm: LiteLLM) -> None:
    assert "first-token" not in litellm.get("/metrics/")
