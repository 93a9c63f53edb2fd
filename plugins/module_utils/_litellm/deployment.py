# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a LiteLLM config comes to for one deployment and for the router: how long they wait, how often they ask again, when they stop.

Everything here is read as litellm 1.106.2 reads it; each function names its place there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: constants.py, DEFAULT_REQUEST_TIMEOUT_SECONDS: how long LiteLLM waits when nobody says how long.
DEFAULT_TIMEOUT = 6000.0
#: openai.DEFAULT_MAX_RETRIES, which Router.__init__ takes when nobody says how often.
DEFAULT_RETRIES = 2
#: constants.py, DEFAULT_COOLDOWN_TIME_SECONDS.
DEFAULT_COOLDOWN = 5.0
#: __init__.py, allowed_fails.
DEFAULT_ALLOWED_FAILS = 3

#: The callback of the role litellm (files/first_token) that bounds the first token, and the one provider that it can do so for.
FIRST_TOKEN, WATCHABLE = "first_token.entry.callback", "openai"
#: Its default for the time between two tokens (bounds.py).
DEFAULT_GAP = 4.0


@dataclass(frozen=True)
class Bound:
    """Seconds after which LiteLLM gives a silent backend up, and the setting that says so (two with equal seconds are equal)."""

    seconds: float
    setting: str = field(compare=False)


@dataclass(frozen=True)
class Watch:
    """The bounds of a deployment whose first token is bounded: to it, and between two of the next.

    The bound to connect is no upper bound: over a connection that was kept, a machine that is gone hangs as one that is there.
    """

    first_token: Bound
    gap: Bound


@dataclass(frozen=True)
class Deployment:
    """One entry of `model_list`, as far as a failure of its backend is concerned."""

    provider: str
    plain: Bound
    streamed: Bound
    watch: Watch | None = None
    retries: int | None = None
    cooldown_time: float | None = None
    allowed_fails_policy: tuple[tuple[str, int], ...] | None = None
    allowed_fails: int | None = None

    def allowed(self, exception: str) -> int | None:
        return dict(self.allowed_fails_policy or ()).get(f"{exception}AllowedFails")


@dataclass(frozen=True)
class Router:
    """`router_settings` and what `litellm_settings` adds to them."""

    retries: int = DEFAULT_RETRIES
    retries_setting: str = ""
    retry_after: float = 0
    cooldown_time: float = DEFAULT_COOLDOWN
    disable_cooldowns: bool = False
    allowed_fails: int = DEFAULT_ALLOWED_FAILS
    #: Whether router_settings.allowed_fails differs from the default (cooldown_handlers.py, _is_allowed_fails_set_on_router).
    allowed_fails_set: bool = False
    allowed_fails_policy: Mapping[str, int] | None = None
    retry_policy: Mapping[str, Any] | None = None
    group_retry_policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def retries_of_policy(self, model_group: str, exception: str) -> int | None:
        """router_utils/get_retry_from_policy.py, get_num_retries_from_retry_policy."""
        policy = self.group_retry_policies.get(model_group, self.retry_policy)
        if policy is None:
            return None
        found = policy.get(f"{exception}Retries")
        return _whole(policy.get("DefaultRetries") if found is None else found)


def router_of(data: Mapping[str, Any]) -> Router:
    """router.py, Router.__init__, with what proxy_server.py passes to it (load_config)."""
    router, plain = section(data, "router_settings"), section(data, "litellm_settings")
    retries, retries_setting = DEFAULT_RETRIES, f"LiteLLM's default num_retries ({DEFAULT_RETRIES}; set router_settings.num_retries)"
    for name, settings in (("router_settings", router), ("litellm_settings", plain)):
        if (found := _whole(settings.get("num_retries"))) is not None:
            retries, retries_setting = found, f"{name}.num_retries ({found})"
            break
    default_fails = _whole(plain.get("allowed_fails"))
    default_fails = DEFAULT_ALLOWED_FAILS if default_fails is None else default_fails
    fails = _whole(router.get("allowed_fails"))
    policies = router.get("model_group_retry_policy")
    return Router(
        retries=retries,
        retries_setting=retries_setting,
        retry_after=number(router.get("retry_after")) or 0,
        cooldown_time=number(router.get("cooldown_time")) or DEFAULT_COOLDOWN,
        disable_cooldowns=bool(router.get("disable_cooldowns")),
        allowed_fails=default_fails if fails is None else fails,
        allowed_fails_set=fails is not None and fails != default_fails,
        allowed_fails_policy=_counts(router.get("allowed_fails_policy")),
        retry_policy=_mapping(router.get("retry_policy")),
        group_retry_policies={key: value for key, value in (_mapping(policies) or {}).items() if isinstance(value, Mapping)},
    )


def deployment_of(entry: Mapping[str, Any], data: Mapping[str, Any]) -> Deployment:
    """router_utils/cooldown_handlers.py, _get_deployment_cooldown_policy; router.py, deployment_callback_on_failure."""
    params, info = (_mapping(entry.get(key)) or {} for key in ("litellm_params", "model_info"))
    policy = _counts(info.get("allowed_fails_policy"))
    cooldown = info.get("cooldown_time") if info.get("cooldown_time") is not None else params.get("cooldown_time")
    plain = _plain_bound(str(entry.get("model_name")), params, data)
    provider = provider_of(params)
    return Deployment(
        provider=provider,
        plain=plain,
        watch=_watch(str(entry.get("model_name")), info) if provider == WATCHABLE and watches(data) else None,
        streamed=_streamed_bound(str(entry.get("model_name")), params, data, plain),
        retries=_whole(params.get("num_retries")),
        cooldown_time=number(cooldown),
        allowed_fails_policy=None if policy is None else tuple(sorted(policy.items())),
        allowed_fails=_whole(info.get("allowed_fails")),
    )


def levels_of(entries: Sequence[Mapping[str, Any]], data: Mapping[str, Any]) -> tuple[tuple[Deployment, ...], ...]:
    """The deployments of one model group, by `litellm_params.order`: LiteLLM tries the next order before the next model group.

    With `enable_weighted_failover` it tries every other deployment of the group first, so each is a level of its own.
    router.py, async_function_with_fallbacks_common_utils (ORDER-BASED FALLBACKS, WEIGHTED FAILOVER).
    """
    if section(data, "router_settings").get("enable_weighted_failover"):
        return tuple((deployment_of(entry, data),) for entry in entries)
    by_order: dict[float, list[Deployment]] = {}
    for entry in entries:
        order = number((_mapping(entry.get("litellm_params")) or {}).get("order"))
        by_order.setdefault(float("inf") if order is None else order, []).append(deployment_of(entry, data))
    if len([order for order in by_order if order != float("inf")]) < 2:
        return (tuple(each for deployments in by_order.values() for each in deployments),)
    return tuple(tuple(by_order[order]) for order in sorted(by_order) if order != float("inf"))


def provider_of(params: Mapping[str, Any]) -> str:
    return str(params.get("custom_llm_provider") or str(params.get("model")).partition("/")[0])


def watches(data: Mapping[str, Any]) -> bool:
    """Whether LiteLLM loads the callback that bounds first tokens."""
    callbacks = section(data, "litellm_settings").get("callbacks")
    return FIRST_TOKEN in callbacks if isinstance(callbacks, list) else callbacks == FIRST_TOKEN


def _watch(model_group: str, info: Mapping[str, Any]) -> Watch | None:
    def bound(name: str, seconds: float) -> Bound:
        return Bound(seconds, f"model_info.{name} of {model_group} ({seconds:g})")

    first = number(info.get("first_token_timeout")) or 0
    gap = number(info.get("gap_timeout")) or DEFAULT_GAP
    return Watch(bound("first_token_timeout", first), bound("gap_timeout", gap)) if first > 0 else None


def _plain_bound(model_group: str, params: Mapping[str, Any], data: Mapping[str, Any]) -> Bound:
    """router.py, Router._get_non_stream_timeout: the first that is neither absent nor 0."""
    request, router = _request_timeout(data), number(section(data, "router_settings").get("timeout"))
    for seconds, setting in (
        (number(params.get("timeout")), f"litellm_params.timeout of {model_group}"),
        (number(params.get("request_timeout")), f"litellm_params.request_timeout of {model_group}"),
        (request if router is not None else None, "litellm_settings.request_timeout"),
        (router, "router_settings.timeout"),
        (request, "litellm_settings.request_timeout"),
    ):
        if seconds:
            return Bound(seconds, f"{setting} ({seconds:g})")
    return Bound(DEFAULT_TIMEOUT, f"LiteLLM's default timeout ({DEFAULT_TIMEOUT:g}; set litellm_params.timeout of {model_group})")


def _streamed_bound(model_group: str, params: Mapping[str, Any], data: Mapping[str, Any], plain: Bound) -> Bound:
    """router.py, Router._get_stream_timeout, and _get_timeout for what it leaves open.

    litellm_settings.request_timeout counts here only beside a router_settings.timeout: else it is that itself (Router.__init__).
    """
    router = section(data, "router_settings")
    for seconds, setting in (
        (number(params.get("stream_timeout")), f"litellm_params.stream_timeout of {model_group}"),
        (number(router.get("stream_timeout")), "router_settings.stream_timeout"),
        (_request_timeout(data) if router.get("timeout") is not None else None, "litellm_settings.request_timeout"),
    ):
        if seconds:
            return Bound(seconds, f"{setting} ({seconds:g})")
    return plain


def _request_timeout(data: Mapping[str, Any]) -> float | None:
    return number(section(data, "litellm_settings").get("request_timeout"))


def section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _mapping(data.get(name)) or {}


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None


def _counts(value: Any) -> dict[str, int] | None:
    return {str(key): count for key, each in value.items() if (count := _whole(each)) is not None} if isinstance(value, Mapping) else None


def number(value: Any) -> float | None:
    """A number, or a text that is one. What an `os.environ/NAME` will be nobody knows here."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)
