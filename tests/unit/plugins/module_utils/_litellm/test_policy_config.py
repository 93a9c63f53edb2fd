# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What litellm_model is told for a policy. That LiteLLM then does so is tried with LiteLLM itself, in tests/local."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import Told
from ansible_collections.homelab.llm.plugins.module_utils._litellm.converge import Wanted, converge
from ansible_collections.homelab.llm.plugins.module_utils._litellm.policy import Policy, Quota
from ansible_collections.homelab.llm.plugins.module_utils._litellm.policy_config import Configuration, Redis, configure

CLAUDE = {
    "model_name": "claude-opus-4.5",
    "litellm_params": {"model": "anthropic/claude-opus-4-5", "api_key": "os.environ/ANTHROPIC_API_KEY"},
}
GPT = {"model_name": "gpt-4-turbo", "litellm_params": {"model": "openai/gpt-4-turbo", "api_key": "os.environ/OPENAI_API_KEY"}}
OLLAMA = {"model_name": "ollama/neural-chat", "litellm_params": {"model": "ollama_chat/neural-chat", "api_base": "http://ollama:11434"}}
MODELS = [OLLAMA, GPT, CLAUDE]
ORDER = ("claude-opus-4.5", "gpt-4-turbo", "ollama/neural-chat")


def configured(policy: Policy | None = None, models: list[Any] | None = None, redis: Redis | None = None) -> Configuration:
    return configure(policy or Policy(ORDER, ORDER, 30, 3600, (Quota("claude", 80, 100), Quota("gpt4", 40, 50))), models or MODELS, redis)


def test_models_come_in_the_order_of_the_policy_and_fall_back_to_those_after_them():
    found = configured()
    assert [each["model_name"] for each in found.models] == list(ORDER)
    assert found.fallbacks == {"claude-opus-4.5": ["gpt-4-turbo", "ollama/neural-chat"], "gpt-4-turbo": ["ollama/neural-chat"]}


def test_a_limit_finds_its_model_by_how_its_name_begins():
    claude, gpt, ollama = (each["litellm_params"] for each in configured().models)
    assert (claude["rpm"], claude["max_budget"], claude["budget_duration"]) == (100, 80, "1mo")
    assert (gpt["rpm"], gpt["max_budget"]) == (50, 40)
    assert not {"rpm", "max_budget", "budget_duration"} & set(ollama)


def test_the_longest_name_of_a_limit_counts():
    mini = {**GPT, "model_name": "gpt-4o-mini", "litellm_params": {"model": "openai/gpt-4o-mini"}}
    policy = Policy(("gpt-4-turbo", "gpt-4o-mini"), ("gpt-4-turbo", "gpt-4o-mini"), quotas=(Quota("gpt4", rpm=1), Quota("gpt-4o", rpm=2)))
    assert [each["litellm_params"]["rpm"] for each in configured(policy, [GPT, mini]).models] == [1, 2]


def test_a_limit_for_no_model_or_for_several_is_refused():
    mini = {**GPT, "model_name": "gpt-4o-mini"}
    policy = Policy(("gpt-4-turbo",), ("gpt-4-turbo",), quotas=(Quota("gpt", 1), Quota("gemini", 1)))
    several, none = configured(policy, [GPT, mini]).problems
    assert several.startswith("litellm.quota_limits.gpt fits gpt-4-turbo, gpt-4o-mini, and LiteLLM counts each by itself")
    assert none.startswith("litellm.quota_limits.gemini is for no model")


def test_a_model_that_is_not_allowed_is_not_served():
    assert [each["model_name"] for each in configured(Policy(("gpt-4-turbo",), ("gpt-4-turbo",))).models] == ["gpt-4-turbo"]


def test_an_allowed_model_that_nobody_described_is_told():
    (problem,) = configured(Policy(("gpt-5",), ("gpt-5",))).problems
    assert problem.startswith(
        "litellm.allowed_models has gpt-5, and no entry of models has that model_name. There are: ollama/neural-chat,"
    )


def test_an_entry_that_is_none_is_told():
    (problem,) = configured(None, [{"model_name": "claude-opus-4.5"}]).problems
    assert "has no litellm_params.model" in problem


def test_ids_outlive_another_key_and_another_timeout():
    twice = [{**GPT, "litellm_params": {**GPT["litellm_params"], "model": f"openai/gpt-{number}"}} for number in (1, 2)]
    assert [each["model_info"]["id"] for each in configured(Policy(("gpt-4-turbo",), ("gpt-4-turbo",)), twice).models] == [
        "gpt-4-turbo-1",
        "gpt-4-turbo-2",
    ]
    assert [each["model_info"]["id"] for each in configured().models] == list(ORDER)


def test_what_the_author_of_an_entry_says_comes_first_but_for_the_limits():
    own = {
        "model_name": "gpt-4-turbo",
        "litellm_params": {"model": "openai/gpt-4-turbo", "timeout": 5, "cooldown_time": 1, "rpm": 7, "max_budget": 9},
        "model_info": {"id": "mine", "base_model": "gpt-4o"},
    }
    policy = Policy(("gpt-4-turbo", "ollama/neural-chat"), ("gpt-4-turbo", "ollama/neural-chat"), quotas=(Quota("gpt4", 40, 50),))
    found = configured(policy, [own, OLLAMA]).models[0]
    assert found["model_info"]["id"] == "mine"
    assert found["model_info"]["base_model"] == "gpt-4o"
    assert found["litellm_params"] == {**own["litellm_params"], "rpm": 50, "max_budget": 40, "budget_duration": "1mo"}


def test_only_what_has_something_behind_it_is_left_alone_when_it_fails():
    cooled = ["cooldown_time" in each["litellm_params"] for each in configured().models]
    assert cooled == ["allowed_fails_policy" in each["model_info"] for each in configured().models] == [True, True, False]


def test_ones_own_machine_is_the_cheapest_of_equals():
    local = {"model_name": "gpt-4-turbo", "litellm_params": {"model": "ollama_chat/neural-chat", "input_cost_per_token": 0}}
    remote, own = configured(Policy(("gpt-4-turbo",), ("gpt-4-turbo",)), [GPT, local]).models
    assert remote["model_info"]["base_model"] == "gpt-4-turbo"
    # LiteLLM takes 0 for no price, and no price for a very high one.
    assert 0 < own["litellm_params"]["input_cost_per_token"] == own["litellm_params"]["output_cost_per_token"] < 1e-9


def test_the_settings_say_every_clause_and_take_out_those_that_are_off():
    assert configured().settings == {
        "router_settings": {
            "num_retries": 0,
            "timeout": 30,
            "routing_strategy": "cost-based-routing",
            "optional_pre_call_checks": ["enforce_model_rate_limits"],
            "max_fallbacks": None,
            "redis_host": None,
            "redis_port": None,
            "redis_password": None,
        },
        "litellm_settings": {"cache": True, "cache_params": {"type": "local", "ttl": 3600}, "drop_params": True},
        "general_settings": {"always_include_stream_usage": True},
    }
    off = configured(Policy(("gpt-4-turbo",), ("gpt-4-turbo",), strategy="random")).settings
    assert off["router_settings"]["routing_strategy"] == "simple-shuffle"
    assert (
        off["router_settings"]["optional_pre_call_checks"]
        is off["litellm_settings"]["cache"]
        is off["litellm_settings"]["cache_params"]
        is None
    )


def test_redis_keeps_what_is_counted():
    settings = configured(redis=Redis("redis", 6380, "REDIS_PASSWORD")).settings["router_settings"]
    assert (settings["redis_host"], settings["redis_port"], settings["redis_password"]) == ("redis", 6380, "os.environ/REDIS_PASSWORD")
    assert configured(redis=Redis("redis")).settings["router_settings"]["redis_password"] is None


def test_a_chain_that_is_longer_than_litellm_walks_is_walked():
    names = tuple(f"model-{number}" for number in range(8))
    models = [{"model_name": name, "litellm_params": {"model": f"openai/{name}"}} for name in names]
    found = configured(Policy(names, names), models)
    assert found.settings["router_settings"]["max_fallbacks"] == 7
    assert not converge("", Wanted(Told(found.models, found.fallbacks, found.settings))).problems


def test_litellm_model_takes_it_all_and_leaves_out_whose_key_is_not_there():
    found = configured()
    result = converge(
        "", Wanted(Told(found.models, found.fallbacks, found.settings), known_names=["LITELLM_MASTER_KEY"], leave_out_without_key=True)
    )
    assert result.problems == ()
    assert [each.model_name for each in result.left_out] == ["claude-opus-4.5", "gpt-4-turbo"]
    assert result.chains == {"ollama/neural-chat": ["ollama/neural-chat"]}
    again = converge(result.text, Wanted(Told(found.models, found.fallbacks, found.settings), known_names=[], leave_out_without_key=True))
    assert again.text == result.text


def test_a_name_that_stands_for_a_model_may_have_a_chain_and_one_for_nothing_may_not():
    found = configured()
    alias = {"router_settings": {**found.settings["router_settings"], "model_group_alias": {"best": "claude-opus-4.5"}}}
    told = Told(found.models, {**found.fallbacks, "best": ["ollama/neural-chat"]}, {**found.settings, **alias})
    assert converge("", Wanted(told)).problems == ()
    (problem,) = converge("", Wanted(Told(found.models, {**found.fallbacks, "worst": ["ollama/neural-chat"]}, found.settings))).problems
    assert problem == "model group 'worst' has fallbacks but is not in model_list: LiteLLM will never use them"
