# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of another shape: nobody left, three tiers, no fault, several loads. And what holds for all of them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_drill import (
    CHAIN,
    EXPECTATION,
    NFR65,
    OLLAMA,
    OPENAI,
    VLLM,
    ZERO,
    Drill,
    answer,
    failure,
    good,
    in_fault,
    verdict_of,
    with_expectation,
)

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain, Counter, Expectation, Minimum, Threshold
from ansible_collections.homelab.llm.plugins.module_utils._probe.judgement import hold
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Request


def nobody_left() -> Drill:
    """vLLM and Ollama down at once, as with the newer chain: LiteLLM says 503 at once."""
    drill = with_expectation(good(recovery=0.2), chains=(dataclasses.replace(CHAIN, down=frozenset({"vllm", "ollama"})),))
    drill.change(
        lambda request: request.model_group == "ollama-qwen",
        lambda request: failure(request, "status", status=503, error="Connection error."),
    )
    return drill


def test_a_clear_error_is_right_when_the_fault_left_nobody_to_answer():
    assert verdict_of(nobody_left()) == ("pass", "")


def test_a_clear_error_may_come_as_an_event_of_a_stream_too():
    drill = nobody_left()
    drill.change(in_fault, lambda request: failure(request, "error", status=200, error="Connection closed."), most=1)
    assert verdict_of(drill) == ("pass", "")


def test_silence_is_not_right_even_when_nobody_is_left_to_answer():
    drill = nobody_left()
    drill.change(in_fault, lambda request: failure(request, "timeout"), most=1)
    assert verdict_of(drill)[0] == "fail"


def test_a_second_tier_that_was_to_be_down_and_answers_is_inconclusive():
    chain = Chain("vllm-qwen", (VLLM, OLLAMA, OPENAI), frozenset({"vllm", "ollama"}))
    word, why = verdict_of(with_expectation(good(), chains=(chain,), others=()))
    assert word == "inconclusive"
    assert "[fault_did_not_take] ollama went on answering" in why


def test_the_third_tier_is_right_when_the_first_two_are_down():
    chain = Chain("vllm-qwen", (VLLM, OLLAMA, OPENAI), frozenset({"vllm", "ollama"}))
    drill = with_expectation(good(), chains=(chain,), others=())
    drill.change(
        lambda request: request.model_group == "ollama-qwen",
        lambda request: answer(int(request.id[5:]), OPENAI, request.t_start, request.wait, request.stream),
    )
    drill.counters = [Counter("openai", "fault", 296)]
    assert verdict_of(drill) == ("pass", "")


def test_a_stream_that_broke_clearly_may_count_as_an_answer_where_that_was_agreed():
    drill = with_expectation(good(), clean_errors=True)
    drill.change(
        lambda request: in_fault(request) and request.stream,
        lambda request: dataclasses.replace(request, finish="error", chunks=2, t_end=request.t_start + 4),
        most=1,
    )
    assert drill.judged().metrics["worst_wait"] == pytest.approx(4)
    assert verdict_of(drill)[0] == "pass"


def test_a_drill_without_a_fault_judges_the_steady_state_alone():
    drill = with_expectation(good(), thresholds=(Threshold("NFR121", "steady_answer_max", 60, "s"),))
    drill.requests = [answer(number, VLLM, ZERO + number / 10, 0.5, number % 2 == 1) for number in range(100)]
    drill.phases = Phases(ZERO, ZERO + 60)
    assert verdict_of(drill) == ("pass", "")


def test_litellms_own_share_is_the_difference_of_two_loads():
    drill = with_expectation(good(), thresholds=(Threshold("NFR66", "overhead", 100, "ms", aim=25),), direct_loads=frozenset({"direct"}))
    drill.requests = [answer(number, VLLM, ZERO + number / 10, 0.030, number % 2 == 1) for number in range(100)]
    drill.requests += [
        answer(900 + number, VLLM, ZERO + number / 10, 0.010, number % 2 == 1, load="direct", model_group="") for number in range(100)
    ]
    drill.phases = Phases(ZERO, ZERO + 60)
    verdict = drill.judged()
    assert (verdict.word, verdict.held[0].aim_met) == ("pass", True)
    assert verdict.held[0].measured == pytest.approx(20)


def test_a_chain_that_keeps_its_primary_must_not_fall_back():
    other = Chain("cloud-kimi", (dataclasses.replace(OPENAI, name="kimi", model_group="cloud-kimi"), OLLAMA))
    drill = with_expectation(good(), chains=(CHAIN, other), others=())
    drill.requests += [
        answer(5000 + number, OLLAMA, ZERO + number / 2, 0.03, number % 2 == 1, asked="cloud-kimi", load="kimi") for number in range(100)
    ]
    assert "[unneeded] ollama answered" in verdict_of(drill)[1]


@given(st.floats(0, 10), st.floats(0, 1))
def test_a_measurement_within_its_error_of_the_limit_is_neither_kept_nor_broken(value: float, error: float):
    word = hold(Threshold("NFR96", "recovery_from_ready", 5, "s"), value, error).verdict
    assert (word == "pass") == (value + error < 5)
    assert (word == "fail") == (value - error >= 5)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from(range(599)), max_size=20, unique=True),
    st.sampled_from(["error", "empty", "cut", "status", "no_answer", "timeout"]),
)
def test_no_lost_request_is_ever_overlooked(which: list[int], finish: str):
    drill = good()
    for at in [at for at in which if at < len(drill.requests)]:
        drill.requests[at] = failure(drill.requests[at], finish)
    verdict = drill.judged()
    lost = sum(not request.answered for request in drill.requests)
    assert verdict.metrics["lost"] == lost
    assert (verdict.word == "pass") == (lost == 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 598), st.floats(5.001, 60))
def test_no_wait_over_the_limit_is_ever_overlooked(at: int, wait: float):
    drill = good()
    request = drill.requests[at]
    drill.requests[at] = dataclasses.replace(request, t_first=request.t_start + wait, t_end=request.t_start + wait)
    met = drill.requests[at].t_end >= ZERO + 10
    assert (drill.judged().word == "pass") == (not met)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 40))
def test_fewer_samples_than_the_minimum_never_pass(count: int):
    drill = good()
    kept = [request for request in drill.requests if in_fault(request)][:count]
    drill.requests = [request for request in drill.requests if not ZERO + 10 <= request.t_start < ZERO + 40] + kept
    drill.expectation = dataclasses.replace(EXPECTATION, minimum=Minimum(fault=10))
    assert (drill.judged().word == "pass") == (count >= 20)


def test_expectation_keeps_the_limit_that_is_drawn():
    assert Expectation(chains=(CHAIN,), thresholds=(NFR65,)).slowest_allowed == 5


def test_an_unused_request_field_does_not_hide_in_a_record():
    assert {field.name for field in dataclasses.fields(Request)} >= {"t_due", "t_start", "t_first", "t_end", "finish", "cache_key"}
