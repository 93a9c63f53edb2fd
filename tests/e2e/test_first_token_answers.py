# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client gets with the role's bound on the first token: from a backend that is well all it would get without, from one that fails
the next tier's answer, in time.

All at once, through one LiteLLM as the role deploys it: each case has a model group and a backend of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from faulty_backends import FREE, Backend, seen_by_clients, start_simulator, wait_for
from kubernetes import client
from site_under_test import Site, fresh_site

pytestmark = pytest.mark.cluster

URL = "http://litellm:4000"
#: The role's bounds, and what LiteLLM and the fallback may add, to the first request of an outage and to those after it.
FIRST_TOKEN, GAP = 3.0, 4.0
SLACK, LATER = 0.7, 0.4
#: An answer that meets no fault takes 0.03 s. Where it takes so many, the machine is measured: then all is asked again.
BUSY, PAUSE = 0.3, 12
#: Between the beginnings of two cases: on two cores they would else measure each other.
APART = 0.3
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

#: Before the first token; seconds until it shows. The estimate's test has those that any backend may meet.
BEFORE: dict[str, tuple[dict[str, Any], float]] = {
    "headers-and-role-then-hang": ({"kind": "hang", "where": "mid_stream", "after_tokens": 0}, FIRST_TOKEN),
    "reset": ({"kind": "reset", "where": "before_headers"}, 0),
    "error-event-after-a-200": ({"kind": "error_event"}, 0),
    "closed-before-its-first-token": ({"kind": "cut", "after_tokens": 0}, 0),
    "torn-before-its-first-token": ({"kind": "cut", "after_tokens": 0, "end": "torn"}, 0),
}
#: After two tokens, a quarter of a second apart.
IN_THE_MIDST: dict[str, tuple[dict[str, Any], float]] = {
    "hang-in-the-midst": ({"kind": "hang", "where": "mid_stream"}, 0.25 + GAP),
    "reset-in-the-midst": ({"kind": "reset", "where": "mid_stream"}, 0.25),
    "end-in-the-midst": ({"kind": "cut"}, 0.25),
    "error-in-the-midst": ({"kind": "error_event", "after_tokens": 2}, 0.25),
}
FOUR_SLOWLY = "[tokens=4 rate=4]"
#: What the spare takes for that, once it is asked.
ANSWER = 0.75
PATIENT = {"first_token_timeout": 20, "gap_timeout": 20}
UNWATCHED = {"first_token_timeout": 0}
CITY = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}}
CALL = '[tool=weather args={"city": "Zürich", "days": [1, 2]}]'
LONG_CONTEXT = "This model's maximum context length is 32768 tokens."
SPARE = "spare"


@dataclass
class Case:
    """A model group on a backend, and what clients ask of it."""

    name: str
    model_group: str
    backend: str
    steps: list[dict[str, Any]]
    fault: dict[str, Any]
    model_info: dict[str, Any]
    chained: bool
    told: Any = None


CASES: dict[str, Case] = {}
_moment = count()


def case(
    name: str,
    *prompts: str,
    stream: bool = False,
    fault: Mapping[str, Any] | None = None,
    info: Mapping[str, Any] | None = None,
    chained: bool = True,
    backend: str = "",
    **ask: Any,
) -> None:
    """Add a case: a client that asks these prompts one after the other."""
    name = f"{name}-{'stream' if stream else 'whole'}"
    asks = [{"url": URL, "model": name, "stream": stream, "prompt": prompt, **ask} for prompt in prompts]
    step = {"at": next(_moment) * APART, "asks": asks}
    CASES[name] = Case(name, name, backend or name, [step], dict(fault or {}), dict(info or {}), chained)


def at_once(name: str, stream: bool, at: float, rate: float, times: int, fault: Mapping[str, Any]) -> None:
    name = f"{name}-{'stream' if stream else 'whole'}"
    ask = {"url": URL, "model": name, "stream": stream, "prompt": "[tokens=6]"}
    CASES[name] = Case(name, name, name, [{"at": at, "rate": rate, "times": times, "ask": ask}], dict(fault), {}, True)


def and_then(name: str, after: float, *call: str) -> None:
    """Ask the simulator's admin API so long after the beginning of a case."""
    CASES[name].steps.append({"at": CASES[name].steps[0]["at"] + after, "call": list(call)})


for _stream in (False, True):
    for _name, (_fault, _seconds) in BEFORE.items():
        case(_name, *["[tokens=6]"] * 3, stream=_stream, fault=_fault)
    for _name, (_fault, _seconds) in IN_THE_MIDST.items():
        case(_name, FOUR_SLOWLY, *["[tokens=6]"] * 2, stream=_stream, fault=_fault)
    case("slow", "[tokens=20 rate=1 first=2.5]", stream=_stream)
    case("usage", "one two three [tokens=7]", stream=_stream)
    case("usage-unwatched", "one two three [tokens=7]", stream=_stream, info=UNWATCHED)
    case("client-leaves", "[tokens=200 rate=2]", stream=_stream, leave_after=1.0)
    and_then(f"client-leaves-{'stream' if _stream else 'whole'}", 4, "GET", "/counters")
    case("hangs-once", "[tokens=6]", stream=_stream, fault={"kind": "hang", "where": "after_headers", "count": 1})
    and_then(f"hangs-once-{'stream' if _stream else 'whole'}", 7, "GET", "/counters")
case("usage-wanted", "[tokens=7]", stream=True, more={"stream_options": {"include_usage": True}})
case("shape", "[tokens=6]", shown=True)
case("shape-unwatched", "[tokens=6]", shown=True, info=UNWATCHED)
case("tool", CALL, shown=True, more={"tools": [CITY]})
case("tool-unwatched", CALL, shown=True, more={"tools": [CITY]}, info=UNWATCHED)
for _name, _info in (("bounded", {}), ("patient", PATIENT), ("unwatched", UNWATCHED)):
    case(f"one-address-{_name}", "[tokens=6 first=4]", info=_info, backend="one-address")
case(
    "other-headers",
    "[tokens=6]",
    fault={"kind": "hang", "where": "after_headers"},
    more={"extra_headers": {"X-Mine": "1"}, "model_info": {"first_token_timeout": 60}},
)
case("alone", "[tokens=6]", fault={"kind": "hang", "where": "after_headers"}, info={"first_token_timeout": FIRST_TOKEN}, chained=False)
case(
    "refusal",
    "[tokens=6]",
    fault={"kind": "status", "status": 400, "body": {"error": {"message": LONG_CONTEXT, "code": 400}}},
    chained=False,
)
case("counted", "[tokens=6]", "[tokens=6]")
#: After the others: each of these takes the machine for itself. A backend that hangs, then a queue of two seconds.
TOGETHER = "ten-a-second", "queue"
for _at, _stream in ((0, False), (17, True)):
    at_once(TOGETHER[0], _stream, _at, 10, 120, {"kind": "hang", "where": "after_headers"})
for _at, _stream in ((34, False), (39, True)):
    at_once(TOGETHER[1], _stream, _at, 100, 20, {"kind": "slow", "first_token": 2.0, "tokens_per_second": 50})

BACKENDS = {name: Backend(name, 8000 + number) for number, name in enumerate(dict.fromkeys(each.backend for each in CASES.values()))}
OLLAMA, STRAIGHT = Backend(SPARE, 7999, "ollama_chat"), Backend("straight", 7998)


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    yield from fresh_site(core, {"homelab.llm/test": "first-token"})


@pytest.fixture(scope="module")
def seen(site: Site, core: client.CoreV1Api) -> dict[str, Any]:
    """Everything that clients and the simulator told; the metrics under `metrics`."""
    start_simulator(core, site.namespace, [*BACKENDS.values(), OLLAMA, STRAIGHT])
    played = site.play(
        "site",
        litellm_models=[BACKENDS[each.backend].entry(each.model_group, each.model_info, **FREE) for each in CASES.values()]
        + [OLLAMA.entry(SPARE, **FREE)],
        litellm_fallbacks={each.model_group: [SPARE] for each in CASES.values() if each.chained},
        litellm_explicit_only=[],
        litellm_over_budget="warn",
        litellm_verify=False,
    )
    assert played.code == 0, played.output
    wait_for(core, site.namespace, "upstream", "Ready", 300)
    together = [each for each in CASES.values() if each.name.startswith(TOGETHER)]
    calm = [each for each in CASES.values() if each not in together]
    # Of one at a time LiteLLM has nothing else to do; of many at once it has, so the machine is measured past it.
    one = settled(core, site, "calm", calm, {"url": URL, "model": SPARE, "stream": False})
    straight = {"url": f"http://upstream:{STRAIGHT.port}", "model": "m", "stream": False}
    many = settled(
        core, site, "together", together, straight, lambda told: all(is_caught_up(waits(told, kind(each))) for each in (False, True))
    )
    return {**many, "lag of many": many["lag"], "attempts of many": many["attempts"], **one}


def settled(
    core: client.CoreV1Api,
    site: Site,
    name: str,
    cases: list[Case],
    control: Mapping[str, Any],
    is_in_time: Callable[[Mapping[str, Any]], bool] = lambda _told: True,
) -> dict[str, Any]:
    """What was told in these cases, `lag` seconds that a busy machine may have added, and `attempts`. What came late is asked again."""
    for attempt in range(1, 4):
        told, lag = asked(core, site, f"{name}-{attempt}", cases, control)
        if lag < BUSY and is_in_time(told):
            return {**told, "lag": 0.0, "attempts": attempt}
        time.sleep(PAUSE)
    return {**told, "lag": lag if lag >= BUSY else 0.0, "attempts": attempt}


def asked(core: client.CoreV1Api, site: Site, name: str, cases: list[Case], control: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """What was told in these cases and, at their end, by the metrics; and the seconds of the slowest answer that met no fault."""
    steps = [(each.name, step) for each in cases for step in each.steps]
    steps.append(("metrics", {"at": APART * len(cases) + 2, "get": f"{URL}/metrics/"}))
    work = {
        "faults": {each.backend: each.fault for each in cases if each.fault},
        "well": [{"url": URL, "model": model, "stream": stream} for model in ("shape-whole", SPARE) for stream in (False, True)],
        "controls": [control],
        "steps": [step for _name, step in steps],
    }
    told: dict[str, Any] = {}
    seen = seen_by_clients(core, site.namespace, name, work)
    for (which, _step), result in zip(steps, seen["steps"], strict=True):
        told.setdefault(which, []).append(result)
    return told, float(seen["control"])


def kind(stream: bool) -> str:
    return "stream" if stream else "whole"


def assert_whole(told: Mapping[str, Any], backend: str, tokens: int) -> None:
    assert (told["status"], told["error"]) == (200, "")
    assert f"from {backend}" in told["text"]
    assert len(told["text"].split()) == tokens
    assert told["finish"] == "stop"


def answers(seen: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return list(seen[name][0])


@pytest.mark.alone
def test_each_case_was_asked_on_a_machine_of_its_own(seen: dict[str, Any]) -> None:
    """The first one: it measures for all others, and only this takes the machine."""
    assert CASES.keys() <= seen.keys()


@BOTH
@pytest.mark.parametrize("fault", BEFORE)
def test_a_failure_before_the_first_token_is_answered_by_the_next_tier(seen: dict[str, Any], fault: str, stream: bool) -> None:
    first, *later = answers(seen, f"{fault}-{kind(stream)}")
    for told in (first, *later):
        assert_whole(told, SPARE, 6)
    assert BEFORE[fault][1] - 0.1 <= first["seconds"] <= BEFORE[fault][1] + SLACK + seen["lag"]
    assert max(told["seconds"] for told in later) <= LATER + seen["lag"]


@pytest.mark.parametrize("fault", IN_THE_MIDST)
def test_a_failure_in_the_midst_is_answered_anew_for_who_waits_for_the_whole(seen: dict[str, Any], fault: str) -> None:
    first, *later = answers(seen, f"{fault}-whole")
    assert_whole(first, SPARE, 4)
    assert IN_THE_MIDST[fault][1] + ANSWER - 0.1 <= first["seconds"] <= IN_THE_MIDST[fault][1] + ANSWER + SLACK + seen["lag"]
    for told in later:
        assert_whole(told, SPARE, 6)
        assert told["seconds"] <= LATER + seen["lag"]


@pytest.mark.parametrize("fault", IN_THE_MIDST)
def test_a_failure_in_the_midst_is_a_clean_error_for_who_streams(seen: dict[str, Any], fault: str) -> None:
    first, *later = answers(seen, f"{fault}-stream")
    assert first["text"].startswith("Answer")
    assert SPARE not in first["text"]
    assert first["error"]
    assert first["finish"] is None
    assert first["seconds"] <= IN_THE_MIDST[fault][1] + SLACK + seen["lag"]
    for told in later:
        assert_whole(told, SPARE, 6)
        assert told["seconds"] <= LATER + seen["lag"]


@BOTH
def test_an_answer_that_is_slow_after_its_first_token_is_never_cut(seen: dict[str, Any], stream: bool) -> None:
    (told,) = answers(seen, f"slow-{kind(stream)}")
    assert_whole(told, f"slow-{kind(stream)}", 20)
    assert told["seconds"] == pytest.approx(2.5 + 19, abs=1 + seen["lag"])
    if stream:
        assert told["first"] == pytest.approx(2.5, abs=0.4 + seen["lag"])


@BOTH
def test_a_hang_at_ten_requests_a_second_costs_only_those_under_way(seen: dict[str, Any], stream: bool, record_property: Any) -> None:
    """Whoever came in the first three seconds waits; who comes after that waits for nobody, as soon as LiteLLM has caught up."""
    told = answers(seen, f"ten-a-second-{kind(stream)}")
    for each in told:
        assert_whole(each, SPARE, 6)
    waited = waits(seen, kind(stream))
    spreads = [spread(each) for each in waited]
    record_property(
        "table",
        "{}, seconds: under way {}; until 11 s {}; after {}; asked {} times".format(kind(stream), *spreads, seen["attempts of many"]),
    )
    assert min(waited[0]) >= FIRST_TOKEN - 0.1
    assert is_caught_up(waited, seen["lag of many"]), spreads


def waits(seen: Mapping[str, Any], kind: str) -> tuple[list[float], list[float], list[float]]:
    """Seconds that they waited who came before the bound ran out, until 11 s, and after that."""
    told = answers(seen, f"ten-a-second-{kind}")
    bounds = (0, FIRST_TOKEN), (FIRST_TOKEN + 0.2, 11), (11, 12.5)
    under_way, meanwhile, after = ([each["wait"] for each in told if begin <= each["started"] < end] for begin, end in bounds)
    return under_way, meanwhile, after


def is_caught_up(waited: tuple[list[float], list[float], list[float]], lag: float = 0) -> bool:
    """One process fails thirty over while it answers others: it is short of CPU then, and catches up."""
    under_way, _meanwhile, after = waited
    in_time = min(under_way) <= FIRST_TOKEN + 0.3 + lag and max(under_way) < 5 + lag
    return in_time and sorted(after)[len(after) // 2] <= LATER + lag


def spread(seconds: list[float]) -> str:
    found = sorted(seconds)
    return f"{found[0]:.2f}-{found[len(found) // 2]:.2f}-{found[-1]:.2f}"


@BOTH
def test_a_burst_that_queues_for_two_seconds_is_not_failed_over(seen: dict[str, Any], stream: bool) -> None:
    told = answers(seen, f"queue-{kind(stream)}")
    assert len(told) == 20
    for each in told:
        assert_whole(each, f"queue-{kind(stream)}", 6)


def test_two_deployments_at_one_address_have_their_own_bounds(seen: dict[str, Any]) -> None:
    bounded, patient, unwatched = (answers(seen, f"one-address-{name}-whole")[0] for name in ("bounded", "patient", "unwatched"))
    assert_whole(bounded, SPARE, 6)
    assert_whole(patient, "one-address", 6)
    assert_whole(unwatched, "one-address", 6)


def test_a_bound_holds_whatever_a_client_sends_along(seen: dict[str, Any]) -> None:
    (told,) = answers(seen, "other-headers-whole")
    assert told["status"] in (200, 400)  # 400: LiteLLM lets no client say such things
    assert told["seconds"] < FIRST_TOKEN + 1 + seen["lag"]


def test_a_model_without_fallback_tells_its_client_in_time(seen: dict[str, Any]) -> None:
    (told,) = answers(seen, "alone-whole")
    assert told["status"] == 408
    assert told["seconds"] < FIRST_TOKEN + SLACK + seen["lag"]


def test_a_refusal_is_the_backends_own(seen: dict[str, Any]) -> None:
    (told,) = answers(seen, "refusal-whole")
    assert told["status"] == 400
    assert LONG_CONTEXT in told["error"]


def test_a_whole_answer_tells_the_usage_that_the_backend_says(seen: dict[str, Any]) -> None:
    bounded, plain = (answers(seen, name)[0]["usage"] for name in ("usage-whole", "usage-unwatched-whole"))
    assert bounded["completion_tokens"] == 7
    assert bounded == plain


def test_a_stream_tells_the_usage_to_who_asked_for_it_and_to_nobody_else(seen: dict[str, Any]) -> None:
    assert answers(seen, "usage-wanted-stream")[0]["usage"]["completion_tokens"] == 7
    assert answers(seen, "usage-stream")[0]["usage"] is None
    assert answers(seen, "usage-unwatched-stream")[0]["usage"] is None


def test_an_answer_has_the_same_fields_as_without_a_bound(seen: dict[str, Any]) -> None:
    bounded, plain = (answers(seen, name)[0] for name in ("shape-whole", "shape-unwatched-whole"))

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shape(each) for name, each in value.items() if each is not None}
        return [shape(each) for each in value] if isinstance(value, list) else type(value).__name__

    assert shape(bounded["whole"]) == shape(plain["whole"])
    assert set(plain["headers"]) <= set(bounded["headers"])


def test_a_call_of_a_tool_arrives_whole(seen: dict[str, Any]) -> None:
    calls = []
    for name in ("tool-whole", "tool-unwatched-whole"):
        choice = answers(seen, name)[0]["whole"]["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        (call,) = choice["message"]["tool_calls"]
        calls.append((call["type"], call["function"]["name"], json.loads(call["function"]["arguments"])))
    assert calls[0] == calls[1] == ("function", "weather", {"city": "Zürich", "days": [1, 2]})


@BOTH
@pytest.mark.parametrize("name", ["client-leaves", "hangs-once"])
def test_nothing_is_left_of_a_request_that_was_given_up(seen: dict[str, Any], name: str, stream: bool) -> None:
    counters = seen[f"{name}-{kind(stream)}"][1][f"{name}-{kind(stream)}"]
    assert (counters["cancelled"], counters["in_flight"]) == (seen["attempts"], 0)


def test_metrics_count_each_request_once_and_the_self_check_never(seen: dict[str, Any]) -> None:
    (metrics,) = seen["metrics"]
    lines = [line for line in metrics.splitlines() if line.startswith("litellm_proxy_total_requests_metric_total{")]
    counted = [float(line.rsplit(" ", 1)[1]) for line in lines if 'requested_model="counted-whole"' in line]
    assert sum(counted) == 2 * seen["attempts"]
    assert "first-token-self-check" not in metrics
