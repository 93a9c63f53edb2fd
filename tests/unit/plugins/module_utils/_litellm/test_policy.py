# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of a policy, and what is said of one that cannot be kept."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._litellm.policy import Policy, Quota, read

#: As a developer has it, in JSON.
POLICY: dict[str, Any] = json.loads("""
{"litellm": {
   "default_model": "claude-opus-4.5",
   "fallback_strategy": ["claude-opus-4.5", "gpt-4-turbo", "ollama/neural-chat"],
   "log_level": "INFO",
   "debug": false,
   "api_timeout": 30,
   "cache_config": {"enable_cache": true, "type": "in_memory", "ttl": 3600},
   "quota_limits": {
     "claude": {"monthly_limit_usd": 100, "fallback_after_80_percent": true, "rpm_limit": 100},
     "gpt4": {"monthly_limit_usd": 50, "fallback_after_80_percent": true, "rpm_limit": 50}},
   "api_keys": {"ANTHROPIC_API_KEY": "{{ env.ANTHROPIC_API_KEY }}", "OPENAI_API_KEY": "os.environ/OPENAI_API_KEY"},
   "allowed_models": ["claude-opus-4.5", "gpt-4-turbo", "ollama/neural-chat"]},
 "router": {"strategy": "cost-based", "fallback_on_quota_error": true, "fallback_on_timeout": true}}
""")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The policy with one value another one. The path is that of its problem."""
    policy = copy.deepcopy(POLICY)
    *way, last = path.split(".")
    section = policy
    for key in way:
        section = section[key]
    section[last] = value
    return policy


def problems_of(policy: Any) -> tuple[str, ...]:
    found, problems = read(policy)
    assert (found is None) == bool(problems)
    return problems


def test_every_clause_is_read():
    order = ("claude-opus-4.5", "gpt-4-turbo", "ollama/neural-chat")
    assert read(POLICY) == (
        Policy(
            fallback_strategy=order,
            allowed_models=order,
            timeout=30,
            cache_ttl=3600,
            quotas=(Quota("claude", 80, 100), Quota("gpt4", 40, 50)),
            strategy="cost-based",
            log_level="INFO",
            key_names=("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        ),
        (),
    )


def test_an_order_is_all_that_a_policy_needs():
    assert read({"litellm": {"fallback_strategy": ["one"]}}) == (Policy(("one",), ("one",)), ())


def test_all_of_a_limit_is_spent_where_80_percent_are_not_asked_for():
    found, _ = read(changed("litellm.quota_limits.claude.fallback_after_80_percent", False))
    assert found is not None
    assert found.quotas[0] == Quota("claude", 100, 100)


def test_numbers_may_come_as_text_out_of_a_template():
    found, _ = read(changed("litellm.api_timeout", "2.5"))
    assert found is not None
    assert found.timeout == 2.5


def test_debug_is_a_log_level():
    found, _ = read(changed("litellm.debug", True))
    assert found is not None
    assert found.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("litellm.quota_limits.claude.monthly_limit_usd", "a hundred", "'a hundred': write a number of US dollars above 0"),
        ("litellm.quota_limits.claude.monthly_limit_usd", 0, "0: write a number of US dollars above 0 (for a model that must cost nothing"),
        ("litellm.quota_limits.claude.monthly_limit_usd", True, "True: write a number of US dollars"),
        ("litellm.quota_limits.claude.monthly_limit_usd", float("nan"), "nan: write a number of US dollars"),
        ("litellm.quota_limits.claude.monthly_limit_usd", [100], "a list: write a number of US dollars"),
        ("litellm.quota_limits.claude.rpm_limit", 1.5, "1.5: write a whole number of requests a minute above 0"),
        ("litellm.quota_limits.claude.fallback_after_80_percent", "yes", "'yes': write true or false"),
        ("litellm.quota_limits.claude", 100, "100: it has to be a mapping"),
        ("litellm.api_timeout", -1, "-1: write a number of seconds above 0"),
        ("litellm.cache_config.ttl", "soon", "'soon': write a whole number of seconds above 0"),
        ("litellm.cache_config.type", "redis", "'redis': write one of in_memory, local"),
        ("litellm.log_level", "LOUD", "'LOUD': write one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("litellm.fallback_strategy", "gpt-4-turbo", "'gpt-4-turbo': write a list of names of models"),
        ("litellm.fallback_strategy", [], "empty: name the models to try, in their order"),
        ("router.strategy", "cheapest", "'cheapest': write one of cost-based, random"),
        ("router.fallback_on_timeout", False, "false: LiteLLM falls back on every error or on none"),
        ("router.fallback_on_quota_error", False, "false: LiteLLM falls back on every error or on none"),
        ("litellm.default_model", "gpt-4-turbo", "'gpt-4-turbo', and litellm.fallback_strategy begins with another"),
    ],
)
def test_what_is_wrong_is_said_once_with_key_value_and_way_out(path, value, said):
    (problem,) = problems_of(changed(path, value))
    assert problem.startswith(f"{path} is {said}")


def test_a_model_that_is_twice_in_the_order_is_told():
    assert problems_of(changed("litellm.fallback_strategy", ["gpt-4-turbo", "gpt-4-turbo"]))[0] == (
        "litellm.fallback_strategy has gpt-4-turbo twice"
    )


def test_a_chain_reaches_nothing_that_is_not_allowed():
    (problem,) = problems_of(changed("litellm.allowed_models", ["claude-opus-4.5", "gpt-4-turbo"]))
    assert problem.startswith("litellm.fallback_strategy has ollama/neural-chat, which litellm.allowed_models has not")


def test_a_key_in_plain_text_is_refused_and_not_repeated():
    key = "sk-" + "k" * 30
    (problem,) = problems_of(changed("litellm.api_keys.OPENAI_API_KEY", key))
    assert problem.startswith("litellm.api_keys.OPENAI_API_KEY is not a reference: put the key into .env")
    assert key not in problem


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("litellm.fallback_stratgy", "litellm.fallback_stratgy is no key of a policy: did you mean fallback_strategy?"),
        ("litellm.quota_limits.claude.rpm_limits", "litellm.quota_limits.claude.rpm_limits is no key of a policy: did you mean rpm_limit?"),
        ("elsewhere", "elsewhere is no key of a policy: there are litellm, router"),
    ],
)
def test_a_key_that_would_do_nothing_is_told(path, said):
    assert problems_of(changed(path, 1)) == (said,)


def test_all_problems_are_told_at_once():
    policy = changed("litellm.api_timeout", "soon")
    policy["router"]["strategy"] = "cheapest"
    policy["litellm"]["quota_limits"]["gpt4"]["monthly_limit_usd"] = "much"
    assert len(problems_of(policy)) == 3


@pytest.mark.parametrize("policy", [None, "policy.json", ["litellm"]])
def test_something_that_is_no_policy_is_told(policy):
    (problem,) = problems_of(policy)
    assert "it has to be a mapping with the sections litellm and router" in problem
