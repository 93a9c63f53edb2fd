# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe.task import BadTask
from ansible_collections.homelab.llm.plugins.module_utils._suspend.task import asked_of

GOOD: dict[str, Any] = {
    "state": "suspended",
    "namespace": "ml",
    "deployment": "vllm-server",
    "service": "vllm-api",
    "replicas": None,
    "model": "vllm-qwen",
    "fallbacks": ["ollama-qwen", "openai-gpt4o"],
    "url": "http://litellm.ml.svc.cluster.local:4000/v1",
    "key_secret": {"name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"},
    "rate": 2.0,
    "max_tokens": 8,
    "patience": 60.0,
    "timeout": 600.0,
}


@pytest.mark.parametrize(("state", "answerer"), [("suspended", "ollama-qwen"), ("resumed", "vllm-qwen"), ("reported", "vllm-qwen")])
def test_who_must_answer_in_the_end_follows_from_the_state(state: str, answerer: str) -> None:
    assert asked_of({**GOOD, "state": state}).answerer == answerer


def test_the_first_fallback_is_asked_by_its_own_name_too() -> None:
    asked = asked_of(GOOD)
    assert [(each.load.model, each.load.rate, each.groups) for each in asked.clients.asked] == [
        ("vllm-qwen", 2.0, ["vllm-qwen", "ollama-qwen", "openai-gpt4o"]),
        ("ollama-qwen", 0.5, ["ollama-qwen", "openai-gpt4o"]),
    ]


def test_a_report_asks_for_the_model_only() -> None:
    assert [each.load.model for each in asked_of({**GOOD, "state": "reported"}).clients.asked] == ["vllm-qwen"]


def test_clients_go_on_as_long_as_everything_may_take_and_may_end_what_they_began() -> None:
    plan = asked_of(GOOD).plan()
    assert plan.seconds > GOOD["timeout"] + 2 * GOOD["patience"]
    assert plan.grace_s == GOOD["patience"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fallbacks": []}, "fallbacks: name the model groups that answer for vllm-qwen"),
        ({"fallbacks": ["vllm-qwen"]}, "fallbacks: each must be another model group"),
        ({"fallbacks": [""]}, "fallbacks: each must be another model group"),
        ({"timeout": 0.0}, "timeout must be above 0"),
        ({"rate": -1.0, "patience": 0.0}, "patience, rate must be above 0"),
        ({"replicas": 0}, "replicas must be above 0"),
        ({"rate": 1000.0}, "rate must be above 0 and at most"),
        ({"url": "litellm"}, "no http"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_looked_at(change: dict[str, Any], text: str) -> None:
    with pytest.raises(BadTask, match=text):
        asked_of({**GOOD, **change})
