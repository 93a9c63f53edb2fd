# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from synthetic_drill import OLLAMA, OPENAI, VLLM, answer

from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import Tier, served_by, server_of

TIERS = (VLLM, OLLAMA, OPENAI)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tier", TIERS)
def test_litellms_headers_tell_who_answered(tier: Tier, stream: bool):
    assert served_by(answer(1, tier, 0, 0.1, stream), TIERS).tier == tier.name


def test_tiers_by_order_share_a_group_and_differ_by_server():
    tiers = [dataclasses.replace(tier, model_group="qwen") for tier in TIERS]
    request = answer(1, OLLAMA, 0, 0.1, asked="qwen", model="qwen", model_group="qwen", fallbacks="0")
    assert served_by(request, tiers).tier == "ollama"


def test_without_litellm_the_bodys_model_tells():
    request = answer(1, VLLM, 0, 0.1, model_group="", api_base="", model="Qwen/Qwen2.5", asked="Qwen/Qwen2.5")
    assert served_by(request, [Tier("vllm", models=("Qwen/Qwen2.5",)), OLLAMA]).tier == "vllm"


def test_an_answer_that_two_tiers_could_have_given_is_nobodys():
    assert served_by(answer(1, VLLM, 0, 0.1), [VLLM, dataclasses.replace(VLLM, name="twin")]).problem == "unknown"


def test_tiers_behind_one_group_are_told_apart_by_what_they_say():
    behind = [Tier(who, "litellm/vllm-qwen", says=f"from {who}") for who in ("vllm-api", "ollama")]
    request = answer(
        1, OLLAMA, 0, 0.1, model_group="litellm/vllm-qwen", model="litellm/vllm-qwen", api_base="", said="Answer 3 from ollama (qwen)"
    )
    assert served_by(request, behind).tier == "ollama"
    assert served_by(dataclasses.replace(request, said="Answer 3 from elsewhere"), behind).problem == "unknown"


def test_an_answer_that_says_nothing_of_itself_is_nobodys():
    request = answer(1, VLLM, 0, 0.1, model_group="", api_base="", model="")
    assert served_by(request, TIERS).problem == "unknown"


def test_the_fallbacks_group_from_the_primarys_server_is_found_out():
    served = served_by(answer(1, OLLAMA, 0, 0.1, api_base=VLLM.api_base), TIERS)
    assert (served.tier, served.problem) == ("", "same_server")


def test_after_a_fallback_the_asked_name_is_the_wrong_one():
    assert served_by(answer(1, OLLAMA, 0, 0.1, model="vllm-qwen"), TIERS).problem == "wrong_model"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://vllm-api:8000/v1", "HTTP://vllm-api:8000"),
        ("https://ollama.com", "https://ollama.com:443/api"),
        ("http://ollama:80", "http://ollama/"),
    ],
)
def test_one_server_may_be_written_in_several_ways(one: str, other: str):
    assert server_of(one) == server_of(other)


def test_two_ports_are_two_servers():
    assert server_of("http://host:8000/v1") != server_of("http://host:8001/v1")


@pytest.mark.parametrize(("stream", "problem"), [(True, ""), (False, "wrong_model")])
def test_a_stream_may_keep_the_name_of_a_tier_that_began_it_and_failed(stream: bool, problem: str):
    request = dataclasses.replace(answer(1, OPENAI, 0.0, 0.1, stream), model="ollama-qwen")
    assert served_by(request, [VLLM, OLLAMA, OPENAI]).problem == problem


def test_a_stream_may_not_have_the_name_of_a_tier_that_comes_later():
    request = dataclasses.replace(answer(1, OLLAMA, 0.0, 0.1, stream=True), model="openai-gpt4o")
    assert served_by(request, [VLLM, OLLAMA, OPENAI]).problem == "wrong_model"
