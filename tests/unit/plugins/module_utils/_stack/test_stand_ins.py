# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tier without its key is skipped, and its name goes on being answered."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._stack.stand_ins import find

ORDER = ("claude", "gpt", "ollama")


def model(name: str, key: str = "") -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": name, **({"api_key": f"os.environ/{key}"} if key else {})}}


MODELS = [model("claude", "ANTHROPIC_API_KEY"), model("gpt", "OPENAI_API_KEY"), model("ollama")]


def test_with_all_keys_nobody_is_skipped() -> None:
    found = find(MODELS, ORDER, {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"})
    assert (found.lacking, found.aliases, found.messages) == ({}, {}, [])


def test_the_next_one_with_its_key_answers() -> None:
    assert find(MODELS, ORDER, {"OPENAI_API_KEY"}).aliases == {"claude": "gpt"}
    found = find(MODELS, ORDER, set())
    assert found.aliases == {"claude": "ollama", "gpt": "ollama"}
    assert found.messages[0] == "claude is skipped, there is no ANTHROPIC_API_KEY: ollama answers in its place"


def test_for_the_last_one_the_nearest_before_it_answers() -> None:
    assert find(MODELS, ("ollama", "gpt", "claude"), {"OPENAI_API_KEY"}).aliases == {"claude": "gpt"}


def test_equals_are_skipped_only_together() -> None:
    both = [*MODELS, model("claude", "SECOND_KEY")]
    assert "claude" not in find(both, ORDER, {"SECOND_KEY"}).lacking


def test_outside_the_order_nobody_answers_in_its_place() -> None:
    found = find([*MODELS, model("groq", "GROQ_API_KEY")], ORDER, {"ANTHROPIC_API_KEY", "OPENAI_API_KEY"})
    assert found.aliases == {}
    assert found.messages == ["groq is skipped, there is no GROQ_API_KEY: nobody answers in its place"]


def test_a_stand_in_that_fails_is_followed_by_the_rest_of_its_chain() -> None:
    wanted = {"claude": ["gpt", "ollama"], "gpt": ["ollama"]}
    assert find(MODELS, ORDER, {"OPENAI_API_KEY"}).fallbacks(wanted) == {"claude": ["ollama"], "gpt": ["ollama"]}
    assert find(MODELS, ORDER, {"ANTHROPIC_API_KEY"}).fallbacks(wanted) == {"claude": ["ollama"]}
    assert find(MODELS, ORDER, set()).fallbacks(wanted) == {}
