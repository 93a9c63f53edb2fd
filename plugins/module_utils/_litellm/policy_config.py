# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A policy in LiteLLM's words, as LiteLLM 1.106.2 really obeys them: what litellm_model is to be told. Plain data in, plain data out."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import chain, entry
from ansible_collections.homelab.llm.plugins.module_utils._litellm.policy import STRATEGIES, Policy, Quota

#: A deployment that fails is left alone for so many seconds, so that only the first request of an outage pays for it.
COOLDOWN = 10

#: Without these LiteLLM never leaves the only deployment of a model group alone, whatever its cooldown_time.
_NO_FAILS_ALLOWED = {
    f"{kind}AllowedFails": 0
    for kind in (
        "AuthenticationError",
        "BadGatewayError",
        "InternalServerError",
        "NotFoundError",
        "RateLimitError",
        "ServiceUnavailableError",
        "TimeoutError",
    )
}

#: Counted from the first request that is paid for, and then from the first one after its end.
BUDGET_DURATION = "1mo"

#: Providers whose models LiteLLM's price table has without the provider's name. Spend is found either way, cost-based routing looks the
#: name up as it is: without a base_model it takes `openai/gpt-4o-mini` for a model without a price.
_BARE_IN_PRICE_TABLE = ("anthropic", "openai")

#: Providers that are one's own machine. 0 counts as no price, and no price as 10 dollars a token, for cost-based routing.
_OWN_MACHINE = ("ollama", "ollama_chat")
NEXT_TO_NOTHING = 1e-12


@dataclass(frozen=True)
class Redis:
    """Where LiteLLM keeps what it has counted. `password` is the name of an environment variable; empty: it asks for none."""

    host: str
    port: int = 6379
    password: str = ""


@dataclass(frozen=True)
class Configuration:
    """What to tell litellm_model, and the environment that LiteLLM is to have besides its keys."""

    models: tuple[dict[str, Any], ...] = ()
    fallbacks: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def configure(policy: Policy, models: Sequence[Any], redis: Redis | None = None) -> Configuration:
    """Return the configuration for a policy. `models` are entries of LiteLLM's model_list, those that are not allowed among them."""
    if shapeless := [problem for each in models if (problem := entry.shape_problem(each))]:
        return Configuration(problems=tuple(shapeless))
    named = _with_ids(models)
    problems = [*_unknown_models(policy, named)]
    quotas = _quotas_of(policy, named, problems)
    if problems:
        return Configuration(problems=tuple(problems))
    order = {name: position for position, name in enumerate((*policy.fallback_strategy, *policy.allowed_models))}
    allowed = sorted((each for each in named if each["model_name"] in policy.allowed_models), key=lambda each: order[each["model_name"]])
    groups = [each["model_name"] for each in allowed]
    return Configuration(
        models=tuple(
            _entry(each, policy, quotas.get(each["model_info"]["id"]), equals=groups.count(each["model_name"]) > 1) for each in allowed
        ),
        fallbacks=_fallbacks(policy),
        settings=_settings(policy, redis),
        environment={"LITELLM_LOG": policy.log_level},
    )


def _with_ids(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each entry with an id. LiteLLM keeps budgets by it, and its own is a hash that another key or another timeout changes."""
    groups = [each["model_name"] for each in models]
    seen: dict[str, int] = {}
    result = []
    for each in models:
        name = each["model_name"]
        seen[name] = seen.get(name, 0) + 1
        own = {**copy.deepcopy(dict(each)), "model_info": dict(each.get("model_info") or {})}
        own["model_info"].setdefault("id", name if groups.count(name) == 1 else f"{name}-{seen[name]}")
        result.append(own)
    return result


def _unknown_models(policy: Policy, models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    there = list(dict.fromkeys(each["model_name"] for each in models))
    for name in policy.allowed_models:
        if name not in there:
            yield f"litellm.allowed_models has {name}, and no entry of models has that model_name. There are: {', '.join(there) or 'none'}"


def _quotas_of(policy: Policy, models: Sequence[Mapping[str, Any]], problems: list[str]) -> dict[str, Quota]:
    """Which quota is whose, by the deployment's id. `gpt4` means `gpt-4-turbo`; where several fit, the longest one counts."""
    owners: dict[str, list[str]] = {quota.name: [] for quota in policy.quotas}
    found: dict[str, Quota] = {}
    for each in models:
        names = [_bare(each["model_name"]), _bare(str(each["model_info"]["id"]))]
        fitting = [quota for quota in policy.quotas if any(name.startswith(_bare(quota.name)) for name in names)]
        if fitting:
            quota = max(fitting, key=lambda quota: len(_bare(quota.name)))
            found[str(each["model_info"]["id"])] = quota
            owners[quota.name].append(str(each["model_info"]["id"]))
    for name, ids in owners.items():
        if not ids:
            there = ", ".join(dict.fromkeys(each["model_name"] for each in models))
            problems.append(f"litellm.quota_limits.{name} is for no model: write the name of one, or how it begins. There are: {there}")
        elif len(ids) > 1:
            problems.append(
                f"litellm.quota_limits.{name} fits {', '.join(ids)}, and LiteLLM counts each by itself: "
                "write one for each, by its model_name or its model_info.id"
            )
    return found


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _entry(told: Mapping[str, Any], policy: Policy, quota: Quota | None, *, equals: bool) -> dict[str, Any]:
    """One deployment. What its author says of it comes first, but for the limits: they are the policy's."""
    params: dict[str, Any] = {"timeout": policy.timeout, **told["litellm_params"]}
    info: dict[str, Any] = dict(told["model_info"])
    provider, _slash, model = str(params["model"]).partition("/")
    if provider in _BARE_IN_PRICE_TABLE and model:
        info.setdefault("base_model", model)
    if equals and provider in _OWN_MACHINE:
        for price in ("input_cost_per_token", "output_cost_per_token"):
            params[price] = params.get(price) or NEXT_TO_NOTHING
    # What is the end of the chain would only refuse to be asked.
    if equals or told["model_name"] in policy.fallback_strategy[:-1]:
        params.setdefault("cooldown_time", COOLDOWN)
        info.setdefault("allowed_fails_policy", dict(_NO_FAILS_ALLOWED))
    if quota and quota.rpm is not None:
        params["rpm"] = quota.rpm
    if quota and quota.budget_usd is not None:
        params.update(max_budget=quota.budget_usd, budget_duration=BUDGET_DURATION)
    return {**told, "litellm_params": params, "model_info": info}


def _fallbacks(policy: Policy) -> dict[str, list[str]]:
    """Each model falls back to those after it, in their order; one that is in no list to none."""
    order = policy.fallback_strategy
    return {name: list(order[position + 1 :]) for position, name in enumerate(order[:-1])}


def _settings(policy: Policy, redis: Redis | None) -> dict[str, dict[str, Any]]:
    """A None takes a key out of the config: what an earlier policy had wanted must not stay."""
    longer = len(policy.fallback_strategy) - 1 > chain.MAX_FALLBACKS
    limited = any(quota.rpm is not None for quota in policy.quotas)
    return {
        "router_settings": {
            # Each retry sleeps before the next model is asked.
            "num_retries": 0,
            "timeout": policy.timeout,
            "routing_strategy": STRATEGIES[policy.strategy],
            # Without it, `rpm` is a hint for choosing among equals, and counts answers instead of requests.
            "optional_pre_call_checks": ["enforce_model_rate_limits"] if limited else None,
            "max_fallbacks": len(policy.fallback_strategy) - 1 if longer else None,
            "redis_host": redis.host if redis else None,
            "redis_port": redis.port if redis else None,
            "redis_password": f"os.environ/{redis.password}" if redis and redis.password else None,
        },
        "litellm_settings": {
            "cache": True if policy.cache_ttl else None,
            "cache_params": {"type": "local", "ttl": policy.cache_ttl} if policy.cache_ttl else None,
            # A request is written for the first of a chain: what only that one understands must not keep the others from answering.
            "drop_params": True,
        },
        # A stream that one of OpenAI's protocol answers in the place of one of another would tell no usage, and so cost nothing.
        "general_settings": {"always_include_stream_usage": True},
    }


def as_data(configuration: Configuration) -> dict[str, Any]:
    """The same for a playbook, in the parameters of litellm_model."""
    return {
        "models": list(configuration.models),
        "fallbacks": configuration.fallbacks,
        "settings": configuration.settings,
        "environment": configuration.environment,
    }
