# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LiteLLM tries, in which order, and which chains cannot work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.chain import MAX_FALLBACKS, Problem, find_problems, tree, walk

CLOUD = {
    "cloud-kimi": ["cloud-minimax", "vllm-qwen", "ollama-qwen"],
    "cloud-minimax": ["vllm-qwen", "ollama-qwen"],
    "vllm-qwen": ["ollama-qwen"],
}
SERVED = ["cloud-kimi", "cloud-minimax", "vllm-qwen", "ollama-qwen", "openai-gpt4o"]
NAMES = [str(n) for n in range(30)]
GRAPHS = st.dictionaries(st.sampled_from("abcdef*"), st.lists(st.sampled_from("abcdef")))


def test_walks_a_fallbacks_own_fallbacks_before_its_sibling():
    assert walk({"a": ["b", "c"], "b": ["d"]}, "a") == ("a", "b", "d", "c")


def test_tries_nothing_twice():
    assert walk(CLOUD, "cloud-kimi") == ("cloud-kimi", "cloud-minimax", "vllm-qwen", "ollama-qwen")


def test_a_list_for_any_group_serves_those_without_their_own():
    assert walk({"*": ["z"], "a": ["b"]}, "c") == ("c", "z")
    assert walk({"*": ["z"], "a": ["b"]}, "a") == ("a", "b")


def test_a_key_without_the_provider_answers_for_the_group_with_it():
    assert walk({"qwen": ["b"]}, "openai/qwen") == ("openai/qwen", "b")


def test_stops_where_litellm_stops_in_depth():
    line = {str(n): [str(n + 1)] for n in range(20)}
    assert len(walk(line, "0")) == 1 + MAX_FALLBACKS
    assert len(walk(line, "0", max_fallbacks=8)) == 9


def test_a_flat_list_is_tried_to_its_end():
    assert walk({"a": list("bcdefghij")}, "a") == tuple("abcdefghij")


@given(GRAPHS, st.sampled_from("abcdef"))
def test_ends_on_any_graph_and_starts_with_the_requested(fallbacks, requested):
    tried = walk(fallbacks, requested)
    assert tried[0] == requested
    assert len(set(tried)) == len(tried)


@given(GRAPHS)
def test_a_graph_without_problems_reaches_every_name_in_its_lists(fallbacks):
    if not list(find_problems(fallbacks, "abcdef")):
        for model_group, targets in fallbacks.items():
            if model_group != "*":
                assert set(targets) <= set(walk(fallbacks, model_group))


def test_the_homelabs_own_chains_have_no_problem():
    assert list(find_problems(CLOUD, SERVED, explicit_only=["openai-gpt4o"])) == []


@pytest.mark.parametrize(
    ("fallbacks", "expected"),
    [
        ({"vllm-qwen": ["ollama"]}, Problem("vllm-qwen", "falls back to 'ollama', which is not in model_list")),
        ({"vllm-qwen": ["vllm-qwen"]}, Problem("vllm-qwen", "falls back to itself: remove it from its own list")),
        ({"vllm": ["ollama-qwen"]}, Problem("vllm", "has fallbacks but is not in model_list: LiteLLM will never use them")),
        (
            {"vllm-qwen": ["ollama-qwen"], "ollama-qwen": ["vllm-qwen"]},
            Problem("vllm-qwen", "is in a cycle (vllm-qwen → ollama-qwen → vllm-qwen): take one of these steps out"),
        ),
    ],
)
def test_names_the_problem(fallbacks, expected):
    assert list(find_problems(fallbacks, SERVED)) == [expected]


def test_an_explicit_only_model_is_found_however_far_away():
    problems = list(find_problems({**CLOUD, "ollama-qwen": ["openai-gpt4o"]}, SERVED, ["openai-gpt4o"]))
    assert [problem.model_group for problem in problems] == ["cloud-kimi", "cloud-minimax", "vllm-qwen", "ollama-qwen"]


def test_an_explicit_only_model_in_the_list_for_any_group_is_found_for_every_group():
    problems = list(find_problems({"*": ["c"]}, "abc", ["c"]))
    assert [problem.model_group for problem in problems] == ["a", "b"]


def test_a_chain_longer_than_litellm_walks_names_what_it_never_reaches():
    line = {NAMES[n]: [NAMES[n + 1]] for n in range(7)}
    problems = [problem for problem in find_problems(line, NAMES) if problem.model_group == "0"]
    assert problems == [
        Problem("0", "never gets to 6, 7: LiteLLM stops after 5 fallbacks. Shorten the chain or raise router_settings.max_fallbacks")
    ]


def test_draws_each_attempt_below_the_group_whose_list_names_it():
    assert tree({"a": ["b", "c"], "b": ["d"]}, "abcd") == "a\n├─ b\n│  └─ d\n└─ c\nb\n└─ d"
