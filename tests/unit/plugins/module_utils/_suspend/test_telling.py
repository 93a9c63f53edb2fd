# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._suspend import telling
from ansible_collections.homelab.llm.plugins.module_utils._suspend.course import Outcome
from ansible_collections.homelab.llm.plugins.module_utils._suspend.decision import NOT_WAITED
from ansible_collections.homelab.llm.plugins.module_utils._suspend.note import Note
from ansible_collections.homelab.llm.plugins.module_utils._suspend.task import Asked, asked_of
from ansible_collections.homelab.llm.plugins.module_utils._suspend.verdict import Tally

NOTE = Note(2, "2026-11-21T20:00:00+00:00", "anna@desk", "r1")


def asked(state: str = "suspended") -> Asked:
    about: dict[str, Any] = {"namespace": "ml", "deployment": "vllm-server", "service": "vllm-api", "replicas": None, "key_secret": None}
    clients = {"model": "vllm-qwen", "fallbacks": ["ollama-qwen"], "url": "http://litellm:4000/v1", "rate": 2.0, "max_tokens": 8}
    return asked_of({**about, **clients, "state": state, "patience": 60.0, "timeout": 600.0})


SWITCHED = Outcome(
    changed=True,
    before=(2, None),
    after=(0, NOTE),
    answered_by="ollama-qwen",
    answered_after=0.42,
    pods_after=1.06,
    clients=Tally(10, 0, 0.176, {"vllm-qwen": 3, "ollama-qwen": 7}),
)


def told(state: str = "suspended", **changes: Any) -> str:
    return telling.message(asked(state), dataclasses.replace(SWITCHED, **changes))


def test_all_of_it_is_said_in_a_few_sentences() -> None:
    assert told() == (
        "Deployment ml/vllm-server is suspended, since 2026-11-21T20:00:00+00:00 by anna@desk, and gets 2 replicas back. "
        "Its pods were gone after 1.1 s. Requests for vllm-qwen are answered by ollama-qwen, since 0.4 s after the command; "
        "10 requests, 0 lost, the longest wait 0.18 s."
    )


def test_what_is_wrong_is_said_last_with_what_to_do() -> None:
    text = told(problems=["1 request of 10 was lost", "the pods are not gone"])
    assert "1 request of 10 was lost; the pods are not gone. It stays as asked for; the way back is state: resumed" in text


def test_check_mode_says_would() -> None:
    assert "would be suspended" in told(pods=NOT_WAITED, pods_after=None, answered_after=None)
    assert "would be not suspended, with 2 replicas" in told(
        "resumed", after=(2, None), pods=NOT_WAITED, pods_after=None, answered_after=None
    )


def test_what_was_so_already_says_no_times() -> None:
    text = told(changed=False, answered_after=0.0, pods_after=0.0)
    assert "after" not in text
    assert "Requests for vllm-qwen are answered by ollama-qwen; 10 requests" in text


def test_who_was_overruled_gets_no_advice_to_go_back() -> None:
    text = told(after=(1, NOTE), is_overruled=True, problems=["it was scaled back"], pods_after=None)
    assert "was suspended at 2026-11-21T20:00:00+00:00 by anna@desk and has 1 replica all the same" in text
    assert text.endswith("It was scaled back.")


def test_a_deployment_that_was_scaled_by_hand_is_no_suspended_one() -> None:
    assert told("reported", changed=False, after=(0, None)).startswith("Deployment ml/vllm-server has 0 replicas, and nobody suspended it.")


@pytest.mark.parametrize(
    ("after", "suspended", "replicas"), [((0, NOTE), True, 2), ((3, None), False, 3), ((1, NOTE), False, 1), ((0, None), False, 0)]
)
def test_a_playbook_can_tell_which_it_is(after: tuple[int, Note | None], suspended: bool, replicas: int) -> None:
    result = telling.result(asked(), dataclasses.replace(SWITCHED, after=after))
    assert (result["suspended"], result["replicas"]) == (suspended, replicas)
    assert (result["since"], result["by"]) == ((NOTE.since, NOTE.by) if after[1] else ("", ""))


def test_models_that_go_with_it_are_named_when_it_goes() -> None:
    outcome = dataclasses.replace(SWITCHED, sharing=["granite-docling", "vllm-r1"])
    assert telling.warnings(asked(), outcome) == ["granite-docling, vllm-r1: at the same server as vllm-qwen, so they are gone with it."]
    assert telling.warnings(asked("resumed"), outcome) == []


def test_a_report_warns_of_what_is_wrong() -> None:
    assert telling.warnings(asked("reported"), dataclasses.replace(SWITCHED, problems=["nobody answers"])) == ["nobody answers"]


def test_a_diff_shows_replicas_and_what_is_remembered() -> None:
    assert telling.diff(asked(), SWITCHED) == {
        "before": "replicas: 2\nnot suspended\n",
        "after": "replicas: 0\nsuspended since 2026-11-21T20:00:00+00:00 by anna@desk, to get back 2 replicas\n",
        "before_header": "Deployment ml/vllm-server",
        "after_header": "Deployment ml/vllm-server",
    }
