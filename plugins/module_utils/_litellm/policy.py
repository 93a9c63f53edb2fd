# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What somebody wants of LiteLLM on one machine, in words of their own: order, limits, cache. `policy_config` says it in LiteLLM's.

litellm:
  fallback_strategy: [claude-opus-4.5, gpt-4-turbo, ollama/neural-chat]
  api_timeout: 30
  cache_config: {enable_cache: true, type: in_memory, ttl: 3600}
  quota_limits:
    claude: {monthly_limit_usd: 100, fallback_after_80_percent: true, rpm_limit: 100}
  allowed_models: [claude-opus-4.5, gpt-4-turbo, ollama/neural-chat]
router: {strategy: cost-based, fallback_on_quota_error: true, fallback_on_timeout: true}
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: LiteLLM's word for each of ours.
STRATEGIES = {"cost-based": "cost-based-routing", "random": "simple-shuffle"}
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

#: The one kind of cache there is here, by the names it goes by.
CACHE_TYPES = ("in_memory", "local")

#: A value of `api_keys` refers to the environment. Both spellings are common: that of templates, and LiteLLM's.
_REFERENCE = re.compile(r"^(?:\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}|os\.environ/([A-Za-z_][A-Za-z0-9_]*))$")

_KEYS = {
    "": ("litellm", "router"),
    "litellm": (
        "default_model",
        "fallback_strategy",
        "log_level",
        "debug",
        "api_timeout",
        "cache_config",
        "quota_limits",
        "api_keys",
        "allowed_models",
    ),
    "litellm.cache_config": ("enable_cache", "type", "ttl"),
    "router": ("strategy", "fallback_on_quota_error", "fallback_on_timeout"),
}
_QUOTA_KEYS = ("monthly_limit_usd", "fallback_after_80_percent", "rpm_limit")


@dataclass(frozen=True)
class Quota:
    """The limits of one model. `budget_usd` is what may be spent before the next tier takes over, not what the policy calls the limit."""

    name: str
    budget_usd: float | None = None
    rpm: int | None = None


@dataclass(frozen=True)
class Policy:
    """A policy that makes sense in itself. Seconds are seconds; a `cache_ttl` of None is no cache."""

    fallback_strategy: tuple[str, ...]
    allowed_models: tuple[str, ...]
    timeout: float = 30
    cache_ttl: int | None = None
    quotas: tuple[Quota, ...] = ()
    strategy: str = "cost-based"
    log_level: str = "INFO"
    key_names: tuple[str, ...] = ()


@dataclass
class _Reader:
    """Takes values out of the mapping and collects what is wrong with them, so that all of it is told at once."""

    problems: list[str] = field(default_factory=list)

    def section(self, parent: Mapping[str, Any], path: str, known: Iterable[str] = ()) -> Mapping[str, Any]:
        value = parent.get(path.rpartition(".")[2])
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problems.append(f"{path} is {_shown(value)}: it has to be a mapping")
            return {}
        self.keys(value, path, known or _KEYS.get(path, ()))
        return value

    def keys(self, value: Mapping[str, Any], path: str, known: Iterable[str]) -> None:
        for key in value:
            if known and key not in known:
                near = difflib.get_close_matches(str(key), list(known), n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                self.problems.append(f"{path}{'.' if path else ''}{key} is no key of a policy: {hint}")

    def number(self, parent: Mapping[str, Any], path: str, default: float | None, what: str) -> float | None:
        value = parent.get(path.rpartition(".")[2])
        if value is None:
            return default
        # A bool is an int to Python; text comes out of a template or a quoted number.
        number = _as_number(value)
        if number is None or number <= 0:
            self.problems.append(f"{path} is {_shown(value)}: write {what}")
            return default
        return number

    def whole(self, parent: Mapping[str, Any], path: str, default: int | None, what: str) -> int | None:
        number = self.number(parent, path, default, what)
        if number is not None and number != int(number):
            self.problems.append(f"{path} is {number:g}: write {what}")
            return default
        return None if number is None else int(number)

    def flag(self, parent: Mapping[str, Any], path: str, default: bool) -> bool:
        value = parent.get(path.rpartition(".")[2], default)
        if isinstance(value, bool):
            return value
        self.problems.append(f"{path} is {_shown(value)}: write true or false")
        return default

    def word(self, parent: Mapping[str, Any], path: str, default: str, known: Iterable[str]) -> str:
        value = parent.get(path.rpartition(".")[2], default)
        if value in known:
            return str(value)
        self.problems.append(f"{path} is {_shown(value)}: write one of {', '.join(known)}")
        return default

    def names(self, parent: Mapping[str, Any], path: str) -> tuple[str, ...]:
        value = parent.get(path.rpartition(".")[2])
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) and each for each in value):
            self.problems.append(f"{path} is {_shown(value)}: write a list of names of models")
            return ()
        twice = sorted({each for each in value if list(value).count(each) > 1})
        self.problems += [f"{path} has {each} twice" for each in twice]
        return tuple(dict.fromkeys(value))


def read(policy: Any) -> tuple[Policy | None, tuple[str, ...]]:
    """Return the policy, or None and what is wrong with it, one sentence each that names the key, its value and the way out."""
    reader = _Reader()
    if not isinstance(policy, Mapping):
        return None, (f"the policy is {_shown(policy)}: it has to be a mapping with the sections litellm and router",)
    reader.keys(policy, "", _KEYS[""])
    litellm, router = reader.section(policy, "litellm"), reader.section(policy, "router")
    order = reader.names(litellm, "litellm.fallback_strategy")
    if not order and not reader.problems:
        reader.problems.append("litellm.fallback_strategy is empty: name the models to try, in their order")
    allowed = reader.names(litellm, "litellm.allowed_models") or order
    reader.problems += _names_allowed(litellm, order, allowed)
    cache = reader.section(litellm, "litellm.cache_config")
    ttl = reader.whole(cache, "litellm.cache_config.ttl", 3600, "a whole number of seconds above 0")
    reader.word(cache, "litellm.cache_config.type", CACHE_TYPES[0], CACHE_TYPES)
    level = reader.word(litellm, "litellm.log_level", "INFO", LOG_LEVELS)
    read_policy = Policy(
        fallback_strategy=order,
        allowed_models=allowed,
        timeout=reader.number(litellm, "litellm.api_timeout", 30, "a number of seconds above 0") or 30,
        cache_ttl=ttl if reader.flag(cache, "litellm.cache_config.enable_cache", bool(cache)) else None,
        quotas=tuple(_quotas(reader, litellm)),
        strategy=reader.word(router, "router.strategy", "cost-based", STRATEGIES),
        log_level="DEBUG" if reader.flag(litellm, "litellm.debug", False) else level,
        key_names=tuple(_key_names(reader, litellm)),
    )
    for cause in ("fallback_on_quota_error", "fallback_on_timeout"):
        if not reader.flag(router, f"router.{cause}", True):
            reader.problems.append(
                f"router.{cause} is false: LiteLLM falls back on every error or on none. "
                "Write true, or make litellm.fallback_strategy one model, which has nothing to fall back to"
            )
    return (None, tuple(reader.problems)) if reader.problems else (read_policy, ())


def _names_allowed(litellm: Mapping[str, Any], order: Iterable[str], allowed: Iterable[str]) -> Iterator[str]:
    for name in order:
        if name not in allowed:
            yield f"litellm.fallback_strategy has {name}, which litellm.allowed_models has not: add it there, or take it out here"
    default = litellm.get("default_model")
    if default is not None and default != next(iter(order), default):
        # LiteLLM's own setting for it (general_settings.completion_model) answers every request with that model, whichever was asked for.
        yield (
            f"litellm.default_model is {_shown(default)}, and litellm.fallback_strategy begins with another: "
            "it is the model that is asked first, so write the same, or leave it out"
        )


def _quotas(reader: _Reader, litellm: Mapping[str, Any]) -> Iterator[Quota]:
    limits = reader.section(litellm, "litellm.quota_limits")
    for name in limits:
        # A name may have dots in it (gpt-4.1), so it is not looked up by a path.
        path = f"litellm.quota_limits.{name}"
        told = limits[name]
        if not isinstance(told, Mapping):
            reader.problems.append(f"{path} is {_shown(told)}: it has to be a mapping")
            continue
        reader.keys(told, path, _QUOTA_KEYS)
        # LiteLLM takes 0 for no limit.
        usd = reader.number(
            told,
            f"{path}.monthly_limit_usd",
            None,
            "a number of US dollars above 0 (for a model that must cost nothing, take it out of the lists)",
        )
        rpm = reader.whole(told, f"{path}.rpm_limit", None, "a whole number of requests a minute above 0")
        share = 0.8 if reader.flag(told, f"{path}.fallback_after_80_percent", True) else 1
        yield Quota(str(name), None if usd is None else round(usd * share, 9), rpm)


def _key_names(reader: _Reader, litellm: Mapping[str, Any]) -> Iterator[str]:
    for name, value in reader.section(litellm, "litellm.api_keys").items():
        found = _REFERENCE.match(value.strip()) if isinstance(value, str) else None
        if not found:
            # Whatever it is, it may be a key: it is not shown.
            reader.problems.append(f"litellm.api_keys.{name} is not a reference: put the key into .env and write os.environ/{name} here")
        else:
            yield found[1] or found[2]


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, (str, bool, int, float)) or value is None else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}…"
