# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

from synthetic_drill import CHAIN, EXPECTATION, OLLAMA, OPENAI, VLLM, answer, failure

from ansible_collections.homelab.llm.plugins.module_utils._probe import measure
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain
from ansible_collections.homelab.llm.plugins.module_utils._probe.measure import Sight
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording, Request
from ansible_collections.homelab.llm.plugins.module_utils._suspend.verdict import (
    CONFIRM,
    Run,
    find_problems,
    newest_answerer,
    tally,
    unbroken,
)

MODEL = CHAIN.asked
STRAIGHT = Chain("ollama-qwen", (OLLAMA,))
EXPECTED = dataclasses.replace(EXPECTATION, chains=(Chain(MODEL, (VLLM, OLLAMA)), STRAIGHT), thresholds=())


def sights(*requests: Request) -> list[Sight]:
    return measure.sight(Recording(requests), Phases(0, 100), EXPECTED)


def answers(tier: object, first: int, count: int) -> list[Request]:
    return [answer(number, tier, float(number), 0.2, number % 2 == 1) for number in range(first, first + count)]  # type: ignore[arg-type]


def straight(number: int) -> Request:
    """A request for Ollama itself."""
    return answer(number, OLLAMA, number + 0.5, 0.1, asked="ollama-qwen", load="ollama-qwen", id=f"straight-{number}", fallbacks="0")


def test_an_unbroken_run_begins_with_the_first_answer_after_which_no_other_one_answered() -> None:
    found = sights(*answers(VLLM, 0, 3), *answers(OLLAMA, 3, 1), *answers(VLLM, 4, 1), *answers(OLLAMA, 5, CONFIRM))
    assert unbroken(found, MODEL, "ollama", 0.0) == Run(5.0, 5.2)


def test_too_few_answers_are_no_run() -> None:
    assert unbroken(sights(*answers(VLLM, 0, 3), *answers(OLLAMA, 3, CONFIRM - 1)), MODEL, "ollama", 0.0) is None


def test_answers_from_before_the_command_show_nothing() -> None:
    found = sights(*answers(OLLAMA, 0, CONFIRM + 1))
    assert unbroken(found, MODEL, "ollama", 0.0) is not None
    assert unbroken(found, MODEL, "ollama", 2.5) is None


def test_who_is_asked_by_its_own_name_shows_nothing_about_the_model() -> None:
    found = sights(*answers(VLLM, 0, 2), *(straight(number) for number in range(2, 9)))
    assert unbroken(found, MODEL, "ollama", 0.0) is None
    assert newest_answerer(found, MODEL) == "vllm"


def test_a_lost_request_ends_a_run() -> None:
    lost = failure(answer(4, OLLAMA, 4.0, 0.2), "status", status=503, error="no")
    assert unbroken(sights(*answers(OLLAMA, 0, 4), lost, *answers(OLLAMA, 5, 3)), MODEL, "ollama", 0.0) is None


def test_what_is_as_it_must_be_has_no_problem() -> None:
    found = sights(*answers(VLLM, 0, 3), *answers(OLLAMA, 3, CONFIRM), straight(4))
    assert find_problems(found, MODEL, "ollama", unbroken(found, MODEL, "ollama", 0.0), 2.0) == []
    assert dataclasses.asdict(tally(found)) == {
        "requests": 3 + CONFIRM + 1,
        "lost": 0,
        "worst_wait": max(one.wait for one in found),
        "answered": {"vllm": 3, "ollama": CONFIRM + 1},
    }


def test_one_lost_request_is_a_problem_and_told_with_its_time_and_reason() -> None:
    lost = failure(answer(2, VLLM, 2.0, 0.2), "status", status=503, error="no healthy deployment")
    found = sights(*answers(VLLM, 0, 2), lost, *answers(OLLAMA, 3, CONFIRM))
    (problem,) = find_problems(found, MODEL, "ollama", unbroken(found, MODEL, "ollama", 0.0), 1.5)
    assert problem == (
        f"1 request of {3 + CONFIRM} was lost, the first for vllm-qwen +0.5 s from the command: status 503: no healthy deployment"
    )
    assert tally(found).lost == 1


def test_an_answer_of_a_third_tier_is_a_problem() -> None:
    found = sights(*answers(VLLM, 0, 2), *answers(OPENAI, 2, 1), *answers(OLLAMA, 3, CONFIRM))
    assert find_problems(found, MODEL, "ollama", unbroken(found, MODEL, "ollama", 0.0), 0.0) == [
        "1 request was answered by openai, who had no business to"
    ]


def test_an_answer_of_nobody_known_is_a_problem() -> None:
    stranger = answer(2, OLLAMA, 2.0, 0.2, model_group="other", api_base="http://elsewhere:1")
    (problem,) = find_problems(sights(*answers(VLLM, 0, 2), stranger), MODEL, "vllm", None, 0.0)
    assert "answered by other at http://elsewhere:1" in problem
    assert tally(sights(stranger)).answered == {"unknown (other at http://elsewhere:1)": 1}


def test_who_answers_again_after_the_other_one_did_is_a_problem() -> None:
    run = Run(3.0, 3.2)
    found = sights(*answers(OLLAMA, 0, CONFIRM + 3), *answers(VLLM, CONFIRM + 3, 1))
    assert find_problems(found, MODEL, "ollama", run, 0.0) == ["1 request was answered by vllm when ollama answered already"]


def test_nobody_asked_means_nobody_answers() -> None:
    assert newest_answerer([], MODEL) == ""
    assert tally([]).requests == 0
