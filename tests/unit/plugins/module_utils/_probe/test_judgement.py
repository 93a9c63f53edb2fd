# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from synthetic_drill import (
    CHAIN,
    OLLAMA,
    OPENAI,
    VLLM,
    ZERO,
    Drill,
    answer,
    before_fault,
    changed,
    failure,
    good,
    in_fault,
    verdict_of,
    with_expectation,
)

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Counter, Threshold


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
