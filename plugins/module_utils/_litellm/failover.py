# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""How long a client waits at most until LiteLLM asks the next tier: computed from the config, before it is deployed.

For each model group that has somewhere to fall back to and each way to fail: for the first request of an outage and for those that
follow at once. A later outage of one that cools down starts anew: after each `cooldown_time` one request pays as the first did.
An upper bound for one fault at a time, without the time that the tier which answers takes itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import chain
from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import fallbacks_of, max_fallbacks_of
from ansible_collections.homelab.llm.plugins.module_utils._litellm.deployment import Deployment, Router, levels_of, router_of, section
from ansible_collections.homelab.llm.plugins.module_utils._litellm.outage import FAULTS, Fault, Outage, Spent

#: What LiteLLM itself needs for a hop: 0.02 to 0.1 s, 0.39 s for the first one of a pod on a busy machine with two cores.
OVERHEAD = 0.4

#: The deployments of a model group, by their order.
Levels = Sequence[Sequence[Deployment]]

#: A bound below this is LiteLLM's own work: there is nothing to set.
NOTHING_TO_SET = 1.0


@dataclass(frozen=True)
class Hop:
    """One tier fails in one way, streamed or not: seconds until the next is asked.

    `setting` is what makes them so many, `cooldown` what would spare the later requests most of them; empty where nothing can be set.
    """

    fault: str
    streamed: bool
    first: float
    later: float
    setting: str = ""
    cooldown: str = ""

    @property
    def worst(self) -> float:
        return max(self.first, self.later)

    def __str__(self) -> str:
        return f"{self.fault}, {'streamed' if self.streamed else 'not streamed'}"


@dataclass(frozen=True)
class Tier:
    """A model group that has somewhere to fall back to, with each way for it to fail."""

    model_group: str
    hops: tuple[Hop, ...]

    @property
    def worst(self) -> Hop:
        return max(self.hops, key=lambda hop: hop.worst)


@dataclass(frozen=True)
class Chain:
    """The tiers that a request to a model group passes, all but the last as they fail; `answers` is the last."""

    tiers: tuple[Tier, ...]
    answers: str

    @property
    def model_group(self) -> str:
        return self.tiers[0].model_group

    @property
    def tried(self) -> tuple[str, ...]:
        return (*(tier.model_group for tier in self.tiers), self.answers)

    @property
    def worst(self) -> Tier:
        """The tier whose failure takes longest."""
        return max(self.tiers, key=lambda tier: tier.worst.worst)

    @property
    def total(self) -> float:
        """Seconds until the last one is asked when all before it fail in their worst way."""
        return round(sum(tier.worst.worst for tier in self.tiers), 2)


def estimate(data: Mapping[str, Any]) -> tuple[Chain, ...]:
    """Return the chain of each model group that has somewhere to fall back to, in the order of `model_list`."""
    fallbacks, deepest = fallbacks_of(data), max_fallbacks_of(data, chain.MAX_FALLBACKS)
    by_group: dict[str, list[Mapping[str, Any]]] = {}
    for entry in data.get("model_list") or []:
        if isinstance(entry, Mapping):
            by_group.setdefault(str(entry.get("model_name")), []).append(entry)
    estimator = _Estimator(router_of(data), weighted=bool(section(data, "router_settings").get("enable_weighted_failover")))
    tiers: dict[str, Tier] = {}

    def tier(model_group: str) -> Tier:
        if model_group not in tiers:
            entries = by_group.get(model_group) or _of_a_pattern(model_group, by_group)
            tiers[model_group] = estimator.tier(model_group, levels_of(entries, data))
        return tiers[model_group]

    walks = (chain.walk(fallbacks, model_group, deepest) for model_group in by_group)
    return tuple(Chain(tuple(tier(each) for each in tried[:-1]), tried[-1]) for tried in walks if len(tried) > 1)


def _of_a_pattern(model_group: str, by_group: Mapping[str, list[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """`groq/*` serves `groq/llama-3.3-70b-versatile`: the longest such name wins."""
    patterns = [name for name in by_group if name.endswith("*") and model_group.startswith(name.removesuffix("*"))]
    return by_group[max(patterns, key=len)] if patterns else []


class _Estimator:
    """Lives through outages. Most model groups of a long config are alike, so each kind is lived through once."""

    def __init__(self, router: Router, *, weighted: bool) -> None:
        self._router = router
        self._weighted = weighted
        self._lived: dict[Hashable, tuple[Spent, Spent]] = {}

    def tier(self, model_group: str, levels: Levels) -> Tier:
        return Tier(model_group, tuple(self._hop(model_group, levels, fault, streamed) for fault in FAULTS for streamed in fault.ways))

    def _hop(self, model_group: str, levels: Levels, fault: Fault, streamed: bool) -> Hop:
        size = sum(len(level) for level in levels)
        spent = [self._longest(model_group, level, fault, streamed, size) for level in levels]
        first, later = (sum(each.seconds for each in which) + OVERHEAD for which in zip(*spent, strict=True))
        if self._weighted:
            # Of a request that asks them all only the first failure is counted: the others are asked once more by the next one.
            firsts = [each.seconds for each, _later in spent]
            later = max(later, sum(firsts) - min(firsts) + OVERHEAD)
        hop = Hop(fault.name, streamed, round(first, 2), round(later, 2))
        if hop.worst < NOTHING_TO_SET:
            return hop
        slowest = max(range(len(levels)), key=lambda position: spent[position][0].seconds)
        setting = _setting(model_group, levels[slowest], self._router, fault, streamed, spent[slowest][0])
        return replace(hop, setting=setting, cooldown=_cooldown(model_group, levels[slowest], fault, streamed, hop))

    def _longest(self, model_group: str, level: Sequence[Deployment], fault: Fault, streamed: bool, size: int) -> tuple[Spent, Spent]:
        """The longest that a first and a second request can take: which deployment is asked first is left to chance."""
        own_policy = model_group if model_group in self._router.group_retry_policies else ""
        key = (tuple(level), fault, streamed, size, own_policy)
        if key not in self._lived:

            def outage(*asked: int | None) -> tuple[Outage, Spent]:
                lived = Outage(model_group, level, self._router, fault, streamed, size)
                return lived, [lived.request(each) for each in asked or (None,)][-1]

            choices = Outage(model_group, level, self._router, fault, streamed, size).choices() or (None,)
            firsts = {one: outage(one) for one in choices}
            seconds = [outage(one, other)[1] for one, (lived, _spent) in firsts.items() for other in lived.choices() or (None,)]
            self._lived[key] = (
                max((spent for _lived, spent in firsts.values()), key=lambda each: each.seconds),
                max(seconds, key=lambda each: each.seconds),
            )
        return self._lived[key]


def _setting(model_group: str, level: Sequence[Deployment], router: Router, fault: Fault, streamed: bool, first: Spent) -> str:
    """What takes most of the seconds."""
    if first.sleeping + first.waiting * (first.attempts - 1) / first.attempts < first.waiting:
        longest = max(level, key=lambda each: fault.seconds(each, streamed))
        bound = fault.bound(longest, streamed)
        hint = ", for want of a stream_timeout" if streamed and bound is longest.plain else ""
        return f"{bound.setting} bounds it{hint}"
    retries = next((each.retries for each in level if each.retries), None)
    where = router.retries_setting if retries is None else f"litellm_params.num_retries of {model_group} ({retries})"
    if router.retries_of_policy(model_group, fault.exception) is not None:
        where = f"the retries of {fault.exception} in router_settings"
    return f"{where} repeats the {'wait' if first.waiting else 'attempt'} and sleeps after each"


def _cooldown(model_group: str, level: Sequence[Deployment], fault: Fault, streamed: bool, hop: Hop) -> str:
    """What would take a deployment out after its first failure; nothing does so where LiteLLM has no name for the error."""
    if hop.later < NOTHING_TO_SET:
        return ""
    if any(fault.begun_stream(each, streamed) or fault.exception_of(each) != fault.exception for each in level):
        return ""
    return f"model_info.allowed_fails_policy.{fault.exception}AllowedFails of {model_group} (0)"
