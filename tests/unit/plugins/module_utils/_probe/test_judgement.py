# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_drill import CHAIN, EXPECTATION, NFR65, OLLAMA, OPENAI, VLLM, ZERO, Drill, answer, before_fault, failure, good, in_fault

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain, Counter, Expectation, Minimum, Threshold
from ansible_collections.homelab.llm.plugins.module_utils._probe.judgement import hold
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Request


def verdict_of(drill: Drill) -> tuple[str, str]:
    """The verdict, and the code and text of its first reason."""
    verdict = drill.judged()
    return verdict.word, " ".join(f"[{finding.code}] {finding.text}" for finding in verdict.findings)


def changed(drill: Drill, **changes: object) -> Drill:
    return dataclasses.replace(drill, **changes)


def with_expectation(drill: Drill, **changes: object) -> Drill:
    return changed(drill, expectation=dataclasses.replace(EXPECTATION, **changes))


def test_a_drill_without_a_flaw_passes_and_has_no_findings():
    verdict = good().judged()
    assert (verdict.word, verdict.findings) == ("pass", ())


def test_the_numbers_of_a_good_drill_are_those_it_was_made_of():
    metrics = good(first_wait=0.39, recovery=8).judged().metrics
    assert metrics["worst_wait"] == pytest.approx(0.39)
    assert metrics["first_answer"] == pytest.approx(0.2, abs=0.2)
    assert metrics["later_wait"] < 0.2
    assert metrics["recovery_from_ready"] == pytest.approx(8, abs=0.1)
    assert metrics["recovery_from_restore"] == pytest.approx(14, abs=0.1)
    assert (metrics["lost"], metrics["unneeded"], metrics["outage"]) == (0, 0, 0)
    assert metrics["degraded"] == pytest.approx(0.39)


# What must not pass, and says why.


def test_no_request_that_reached_the_primary_before_the_fault_is_inconclusive():
    drill = good()
    drill.change(before_fault, lambda request: answer(int(request.id[5:]), OLLAMA, request.t_start, 0.02, request.stream))
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "[no_primary_traffic] vllm answered none of" in why


def test_no_request_at_all_before_the_fault_is_inconclusive():
    drill = good()
    drill.requests = [request for request in drill.requests if not before_fault(request)]
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "vllm answered none of 0 requests" in why


def test_a_fault_that_did_not_take_is_inconclusive():
    drill = good()
    drill.change(lambda _request: True, lambda request: answer(int(request.id[5:]), VLLM, request.t_start, 0.02, request.stream))
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "[fault_did_not_take] vllm went on answering" in why
    assert "pooled connection" in why


def test_a_fault_of_which_nothing_shows_an_effect_is_inconclusive():
    drill = good()
    drill.phases = dataclasses.replace(drill.phases, fault_effective=None)
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "nothing shows that it took effect" in why


def test_a_backend_that_came_back_by_itself_is_inconclusive():
    drill = good()
    drill.change(
        lambda request: ZERO + 30 < request.t_start < ZERO + 40,
        lambda request: answer(int(request.id[5:]), VLLM, request.t_start, 0.02, request.stream),
    )
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "[came_back_by_itself] vllm answered 100 requests during the fault" in why


def test_a_single_answer_of_the_primary_during_the_fault_is_enough_to_doubt():
    drill = good()
    drill.change(in_fault, lambda request: answer(int(request.id[5:]), VLLM, request.t_start + 10, 0.02, request.stream), most=1)
    assert verdict_of(drill)[0] == "inconclusive"


def test_a_request_that_hung_until_the_backend_was_restored_is_no_sign_of_its_own_return():
    drill = good()
    drill.requests.append(answer(9999, VLLM, ZERO + 37, 4))
    assert verdict_of(drill) == ("pass", "")


def test_answers_with_litellms_cache_key_are_inconclusive():
    drill = good()
    drill.change(in_fault, lambda request: dataclasses.replace(request, cache_key="2532f605fc59"), most=1)
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "[cached] Answers came from a cache" in why


def test_two_answers_with_one_id_are_inconclusive():
    drill = good()
    drill.change(in_fault, lambda request: dataclasses.replace(request, answer_id="chatcmpl-same"), most=2)
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "2 share an id" in why


def test_a_backend_that_counts_anew_after_its_restart_is_no_cache():
    drill = good()
    drill.change(
        lambda request: request.t_start > ZERO + 55,
        lambda request: dataclasses.replace(request, answer_id=drill.requests[3].answer_id),
        most=1,
    )
    assert verdict_of(drill)[0] == "pass"


def test_a_fallback_that_answers_from_the_primarys_address_fails():
    drill = good()
    drill.change(in_fault, lambda request: dataclasses.replace(request, api_base="http://VLLM-api.ml.svc.cluster.local:8000/v1/"))
    word, why = verdict_of(drill)
    assert word == "fail"
    assert "[same_server]" in why
    assert "ollama-qwen at http://VLLM-api" in why


def test_a_chain_whose_tiers_are_one_server_fails():
    twin = dataclasses.replace(OLLAMA, api_base=VLLM.api_base)
    drill = with_expectation(good(), chains=(dataclasses.replace(CHAIN, tiers=(VLLM, twin)),))
    drill.change(in_fault, lambda request: dataclasses.replace(request, api_base=VLLM.api_base))
    word, why = verdict_of(drill)
    assert word == "fail"
    assert "ollama is the same server as vllm under another name" in why


def test_two_models_of_one_provider_may_share_its_server_when_told_so():
    twin = dataclasses.replace(OLLAMA, api_base=VLLM.api_base, same_server_as="vllm")
    drill = with_expectation(good(), chains=(dataclasses.replace(CHAIN, tiers=(VLLM, twin)),))
    drill.change(lambda request: request.model_group == "ollama-qwen", lambda request: dataclasses.replace(request, api_base=VLLM.api_base))
    assert verdict_of(drill) == ("pass", "")


def test_an_answer_with_the_wrong_model_fails():
    drill = good()
    drill.change(in_fault, lambda request: dataclasses.replace(request, model="llama-3"), most=1)
    word, why = verdict_of(drill)
    assert word == "fail"
    assert "[wrong_model] 1 request of 599: answered by the wrong model: llama-3 from ollama" in why


def test_a_wrong_model_that_only_the_text_gives_away_fails():
    chain = dataclasses.replace(CHAIN, tiers=(VLLM, dataclasses.replace(OLLAMA, says="from ollama")))
    drill = with_expectation(good(), chains=(chain,))
    drill.change(in_fault, lambda request: dataclasses.replace(request, said="Answer 7 from another"), most=1)
    assert "[wrong_model]" in verdict_of(drill)[1]


@pytest.mark.parametrize(
    ("finish", "text"),
    [
        ("error", "1 with an error inside a 200"),
        ("empty", "1 empty with status 200"),
        ("cut", "1 cut before the end"),
        ("status", "1 with an error status"),
        ("no_answer", "1 without any answer"),
        ("timeout", "1 until the client gave up"),
        ("unfinished", "1 unfinished when the probe stopped"),
    ],
)
def test_one_request_without_a_whole_answer_fails(finish: str, text: str):
    drill = good()
    drill.change(in_fault, lambda request: failure(request, finish, error="what it said"), most=1)
    word, why = verdict_of(drill)
    assert word == "fail"
    assert f"[lost] 1 request of 599 got no whole, right answer: {text}. The first said: what it said" in why


def test_one_request_in_a_thousand_over_the_limit_fails():
    drill = good(rate=40)
    assert len(drill.requests) > 1000
    drill.change(
        in_fault, lambda request: dataclasses.replace(request, t_first=request.t_start + 5.001, t_end=request.t_start + 5.2), most=1
    )
    word, why = verdict_of(drill)
    assert word == "fail"
    assert "[over_limit] NFR65: longest wait" in why


def test_a_stream_is_held_against_its_first_text_not_its_end():
    drill = good()
    drill.change(
        lambda request: in_fault(request) and request.stream,
        lambda request: dataclasses.replace(request, t_end=request.t_start + 30),
        most=1,
    )
    assert verdict_of(drill)[0] == "pass"


def test_a_request_that_the_fault_met_under_way_counts_as_met():
    drill = good()
    slow = dataclasses.replace(answer(9999, OLLAMA, ZERO + 9.9, 7), t_due=ZERO + 9.9)
    drill.requests.append(slow)
    assert drill.judged().metrics["worst_wait"] == pytest.approx(7)


def test_a_restore_that_failed_is_the_first_thing_said():
    drill = good()
    drill.phases = dataclasses.replace(drill.phases, backend_ready=None, restore_error="deployments/vllm-server: forbidden")
    drill.beats = []
    word, why = verdict_of(drill)
    assert word == "fail"
    assert why.startswith("[restore_failed] THE RESTORE FAILED")


def test_a_fault_that_was_never_undone_fails():
    drill = good()
    drill.phases = dataclasses.replace(drill.phases, restore_commanded=None, backend_ready=None)
    assert verdict_of(drill)[1].startswith("[not_restored]")


def test_a_backend_that_is_not_ready_again_fails():
    drill = good(recovery=1000)
    drill.phases = dataclasses.replace(drill.phases, backend_ready=None)
    word, why = verdict_of(drill)
    assert word == "fail"
    assert "vllm was not ready again 20 s after the restore" in why


def test_a_primary_that_is_ready_and_not_asked_again_fails():
    word, why = verdict_of(good(recovery=1000))
    assert word == "fail"
    assert "[not_recovered] vllm was ready again, and 14 s later" in why


@pytest.mark.parametrize(
    ("beats", "text"),
    [
        (lambda beat: dataclasses.replace(beat, wall=beat.wall + 30) if beat.t_mono > ZERO + 20 else beat, "disagree by 30.00 s"),
        (lambda beat: None if ZERO + 20 < beat.t_mono < ZERO + 26 else beat, "silent for 6.0 s"),
    ],
)
def test_a_clock_that_jumped_is_inconclusive_even_where_a_limit_is_broken(beats, text):
    drill = good(first_wait=9)
    drill.beats = [beat for beat in map(beats, drill.beats) if beat]
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert why.startswith("[clock_jumped]")
    assert text in why


@pytest.mark.parametrize("clock_error", [None, 0.4])
def test_clocks_that_were_not_compared_well_are_inconclusive(clock_error):
    word, why = verdict_of(changed(good(), clock_error=clock_error))
    assert word == "inconclusive"
    assert "[clock_unknown]" in why


def test_a_worker_that_was_late_itself_is_inconclusive():
    drill = good()
    drill.change(in_fault, lambda request: dataclasses.replace(request, t_due=request.t_start - 0.5), most=1)
    assert "[worker_late] The worker itself was up to 0.50 s late" in verdict_of(drill)[1]


@pytest.mark.parametrize("lacks", [{"begun": None}, {"ended": None}, {"broken_lines": 1}])
def test_an_incomplete_record_is_inconclusive(lacks):
    word, why = verdict_of(changed(good(), **lacks))
    assert word == "inconclusive"
    assert "[record_incomplete]" in why


def test_requests_that_are_missing_from_the_record_are_inconclusive():
    drill = good()
    recording = drill.recording
    drill.requests.pop()
    missing = type("Missing", (Drill,), {"recording": dataclasses.replace(recording, requests=tuple(drill.requests))})
    word, why = verdict_of(missing(**{field.name: getattr(drill, field.name) for field in dataclasses.fields(drill)}))
    assert word == "inconclusive"
    assert "599 requests were sent and 598 are in the record" in why


def test_requests_that_were_not_sent_are_inconclusive():
    drill = good()
    drill.change(in_fault, lambda request: failure(request, "skipped"), most=1)
    assert "[skipped]" in verdict_of(drill)[1]


def test_too_few_samples_of_one_kind_are_inconclusive():
    drill = good()
    drill.requests = [request for request in drill.requests if not (in_fault(request) and request.stream)]
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "stream requests for vllm-qwen while the fault was on; fewer than 10 show nothing" in why


def test_a_tier_that_had_no_business_answering_fails():
    chain = dataclasses.replace(CHAIN, tiers=(VLLM, OLLAMA, OPENAI))
    drill = with_expectation(good(), chains=(chain,), others=())
    drill.change(in_fault, lambda request: answer(int(request.id[5:]), OPENAI, request.t_start, 0.02, request.stream), most=1)
    word, why = verdict_of(drill)
    assert word == "fail"
    assert "[unneeded] openai answered 1 request in phase fault though a tier before it was there" in why


def test_a_tier_that_counted_a_request_nobody_saw_fails():
    word, why = verdict_of(changed(good(), counters=[Counter("openai", "fault", 1)]))
    assert word == "fail"
    assert "openai itself counted 1 request in phase fault" in why


def test_a_primary_that_counted_less_than_it_is_said_to_have_answered_is_inconclusive():
    word, why = verdict_of(changed(good(), counters=[Counter("vllm", "steady", 3)]))
    assert word == "inconclusive"
    assert "[counter_disagrees] vllm is named by 99 answers before the fault and itself counted 3" in why


@pytest.mark.parametrize(("counted", "word"), [(436, "pass"), (435, "inconclusive")])
def test_a_next_tier_that_counted_less_over_the_whole_drill_is_inconclusive(counted: int, word: str):
    counters = [
        Counter("ollama", "steady", 0),
        Counter("ollama", "fault", counted),
        Counter("ollama", "restore", 0),
        Counter("ollama", "recovery", 0),
    ]
    assert verdict_of(changed(good(), counters=counters))[0] == word


def test_a_model_that_was_asked_and_is_expected_nowhere_is_inconclusive():
    drill = good()
    drill.requests.append(answer(9999, VLLM, ZERO + 55, 0.1, asked="granite-docling"))
    assert "[not_measured] No chain is expected for granite-docling" in verdict_of(drill)[1]


def test_no_streamed_answer_after_the_return_is_inconclusive():
    drill = good()
    drill.requests = [request for request in drill.requests if not (request.stream and request.t_start > ZERO + 53)]
    word, why = verdict_of(drill)
    assert word == "inconclusive"
    assert "0 stream requests for vllm-qwen answered by vllm after its return" in why


def test_an_answer_from_nowhere_known_is_inconclusive():
    drill = good()
    drill.change(in_fault, lambda request: dataclasses.replace(request, model_group="mystery", api_base="http://elsewhere"), most=1)
    assert (
        "[unknown_answerer] 1 request of 599: answered by somebody who is in no chain: mystery at http://elsewhere" in verdict_of(drill)[1]
    )


def test_no_threshold_is_inconclusive():
    assert verdict_of(with_expectation(good(), thresholds=())) == (
        "inconclusive",
        "[no_threshold] There is no threshold to hold the measurement against.",
    )


def test_a_threshold_on_what_was_not_measured_is_inconclusive():
    drill = with_expectation(good(), thresholds=(Threshold("NFR66", "overhead", 100, "ms"),))
    assert "[not_measured] NFR66" in verdict_of(drill)[1]


def test_an_empty_recording_does_not_pass():
    assert Drill().judged().word == "inconclusive"


# Other kinds of drills.


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
@given(st.integers(0, 598), st.floats(5, 60))
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
