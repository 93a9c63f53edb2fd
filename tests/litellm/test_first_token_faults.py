# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend that fails before its first token is failed over within its bound, and left alone after that."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from running_litellm import LiteLLM, Told
from running_simulator import Running

from .conftest import CONNECT, FIRST_TOKEN, GAP, TABLE, well_again

pytestmark = pytest.mark.alone

#: What LiteLLM, the fallback and a busy machine may add.
SLACK = 0.7
#: The median of the later requests: this machine is not ours alone.
LATER = 0.3
#: Seconds of CPU that LiteLLM spends on a request that fails over, twice what was measured: many at once wait for each other.
FAILOVER = 0.12

FAULTS: dict[str, tuple[dict[str, Any], float]] = {
    "refused": ({"kind": "refuse"}, 0),
    "SYN blackhole": ({"kind": "blackhole", "connections": "reset"}, CONNECT),
    "hang before headers": ({"kind": "hang", "where": "before_headers"}, FIRST_TOKEN),
    "headers, then hang": ({"kind": "hang", "where": "after_headers"}, FIRST_TOKEN),
    "headers and role, then hang": ({"kind": "hang", "where": "mid_stream", "after_tokens": 0}, FIRST_TOKEN),
    "500": ({"kind": "status", "status": 500}, 0),
    "reset": ({"kind": "reset", "where": "before_headers"}, 0),
    "error event after a 200": ({"kind": "error_event"}, 0),
    "closed before its first token": ({"kind": "cut", "after_tokens": 0}, 0),
    "torn before its first token": ({"kind": "cut", "after_tokens": 0, "end": "torn"}, 0),
}
#: Two tokens a quarter of a second apart, and then: the seconds until the fault shows.
IN_THE_MIDST: dict[str, tuple[dict[str, Any], float]] = {
    "mid-stream hang": ({"kind": "hang", "where": "mid_stream"}, 0.25 + GAP),
    "mid-stream reset": ({"kind": "reset", "where": "mid_stream"}, 0.25),
    "mid-stream end": ({"kind": "cut"}, 0.25),
    "mid-stream error event": ({"kind": "error_event", "after_tokens": 2}, 0.25),
}
SLOWLY = "[tokens=4 rate=4]"
#: What Ollama takes for that, once it is asked.
ANSWER = 0.75


def ask_on(litellm: LiteLLM, prompt: str, stream: bool) -> list[Told]:
    return [litellm.ask("vllm-qwen", prompt, stream=stream) for _ in range(4)]


def shown(told: list[Told], note: str = "") -> str:
    return f"{told[0].total:.2f} / {later(told):.2f}{note}"


def later(told: list[Told]) -> float:
    return statistics.median(each.total for each in told[1:])


def assert_answered_by_ollama(told: Told) -> None:
    assert told.status == 200, told.error
    assert not told.error
    assert "from ollama" in told.text


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_before_the_first_token_is_answered_by_the_next_tier(litellm: LiteLLM, upstream: Running, fault: str) -> None:
    instruction, seconds = FAULTS[fault]
    cells = []
    for stream in (False, True):
        upstream.fault(**instruction)
        told = ask_on(litellm, "[tokens=6]", stream)
        for each in told:
            assert_answered_by_ollama(each)
        assert seconds - 0.1 <= told[0].total <= seconds + SLACK
        assert later(told) <= LATER
        cells.append(shown(told))
        well_again(litellm, upstream)
    TABLE.append((fault, *cells))


@pytest.mark.parametrize("fault", IN_THE_MIDST)
def test_a_failure_in_the_midst_is_answered_anew_for_who_waits_for_the_whole(litellm: LiteLLM, upstream: Running, fault: str) -> None:
    instruction, seconds = IN_THE_MIDST[fault]
    upstream.fault(**instruction)
    told = [litellm.ask("vllm-qwen", SLOWLY if index == 0 else "[tokens=6]") for index in range(4)]
    for each in told:
        assert_answered_by_ollama(each)
    assert seconds + ANSWER - 0.1 <= told[0].total <= seconds + ANSWER + SLACK
    assert later(told) <= LATER
    TABLE.append((f"{fault} (whole)", shown(told, f", {ANSWER:g} of it Ollama's answer"), ""))


@pytest.mark.parametrize("fault", IN_THE_MIDST)
def test_a_failure_in_the_midst_is_a_clean_error_for_who_streams(litellm: LiteLLM, upstream: Running, fault: str) -> None:
    instruction, seconds = IN_THE_MIDST[fault]
    upstream.fault(**instruction)
    told = [litellm.ask("vllm-qwen", SLOWLY if index == 0 else "[tokens=6]", stream=True) for index in range(4)]
    assert told[0].text.startswith("Answer")
    assert "from ollama" not in told[0].text
    assert told[0].error
    assert told[0].finish is None
    assert seconds - 0.1 <= told[0].total <= seconds + SLACK
    for each in told[1:]:
        assert_answered_by_ollama(each)
    assert later(told) <= LATER
    TABLE.append((f"{fault} (stream)", "", shown(told, f", {told[0].text.strip()!r} and an error")))


@pytest.mark.parametrize("many", [8, 20])
def test_many_at_once_in_a_hang_wait_no_longer_than_one(litellm: LiteLLM, upstream: Running, many: int) -> None:
    cells = []
    for stream in (False, True):
        upstream.fault(kind="hang", where="after_headers")
        with ThreadPoolExecutor(many) as pool:
            told = list(pool.map(lambda _: litellm.ask("vllm-qwen", "[tokens=6]", stream=stream), range(many)))  # noqa: B023
        for each in told:
            assert_answered_by_ollama(each)
        seconds = sorted(each.total for each in told)
        assert seconds[-1] <= FIRST_TOKEN + many * FAILOVER
        cells.append(f"{seconds[0]:.2f}-{seconds[-1]:.2f}")
        well_again(litellm, upstream)
    TABLE.append((f"hang, {many} at once", *cells))


def test_a_hang_at_twenty_requests_a_second_costs_only_those_under_way(litellm: LiteLLM, upstream: Running) -> None:
    """Whoever came in the first three seconds waits; who comes when these are through waits for nobody."""
    cells = []
    for stream in (False, True):
        upstream.fault(kind="hang", where="after_headers")
        begin = time.monotonic()

        def ask(number: int) -> tuple[float, Told]:
            time.sleep(max(0, begin + number / 20 - time.monotonic()))  # noqa: B023
            return time.monotonic() - begin, litellm.ask("vllm-qwen", "[tokens=6]", stream=stream)  # noqa: B023

        with ThreadPoolExecutor(120) as pool:
            told = list(pool.map(ask, range(120)))
        for _, each in told:
            assert_answered_by_ollama(each)
        under_way = sorted(each.total for started, each in told if started < FIRST_TOKEN)
        through = max(started + each.total for started, each in told if started < FIRST_TOKEN)
        after = sorted(each.total for started, each in told if started > FIRST_TOKEN + 0.2)
        free = sorted(each.total for started, each in told if started > through)
        cells.append(
            f"{_quantiles(under_way)}; then {_quantiles(after)}" + (f"; from {through:.1f} s on {_quantiles(free)}" if free else "")
        )
        assert under_way[0] <= FIRST_TOKEN + SLACK
        assert under_way[-1] <= FIRST_TOKEN + FIRST_TOKEN * 20 * FAILOVER
        assert not free or statistics.median(free) <= LATER
        well_again(litellm, upstream)
    TABLE.append(("hang at 20 requests/s: min-median-max", *cells))


def _quantiles(seconds: list[float]) -> str:
    return f"{seconds[0]:.2f}-{seconds[len(seconds) // 2]:.2f}-{seconds[-1]:.2f}"
