# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from synthetic_drill import OLLAMA, answer

from ansible_collections.homelab.llm.plugins.module_utils._probe.circumstances import attempts_of, settings_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import Tier

CHAIN = Chain("vllm-qwen", (Tier("vllm-qwen", "vllm-qwen"), Tier("ollama-qwen", "ollama-qwen")))


def deployment(api_base: str, **settings: Any) -> dict[str, Any]:
    return {"model": "openai/Qwen", "api_base": api_base, "settings": settings}


def test_a_tier_says_what_decides_how_fast_it_is_left():
    told = {"vllm-qwen": [deployment("http://vllm:8000/v1", timeout=600.0, first_token_timeout=3.0, cooldown_time=10)]}
    expected = "openai/Qwen; http://vllm:8000/v1; timeout 600, first_token_timeout 3, cooldown_time 10"
    assert settings_of(Expectation((CHAIN,)), told) == {"vllm-qwen": expected}


def test_several_deployments_of_a_group_are_told_apart():
    told = {"vllm-qwen": [deployment("http://one"), deployment("http://two")]}
    assert list(settings_of(Expectation((CHAIN,)), told)) == ["vllm-qwen (1)", "vllm-qwen (2)"]


def test_groups_of_no_chain_are_left_out():
    assert settings_of(Expectation((CHAIN,)), {"openai-gpt4o": [deployment("")]}) == {}


def test_it_is_told_whom_openclaw_left_why_and_how_often():
    left = [answer(number, OLLAMA, 0, 0.1, attempts="anthropic/claude (timeout)" if number else "") for number in range(3)]
    assert attempts_of(left) == "anthropic/claude (timeout): 2"
    assert attempts_of(left[:1]) == "nobody"
