# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The failover estimate against a budget, as data and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm.failover import Chain, Hop, Tier


@dataclass(frozen=True)
class Budget:
    """Seconds that a hop may take: `seconds` (None: any), but for the failure of these model groups their own."""

    seconds: float | None = None
    exceptions: Mapping[str, float] = field(default_factory=dict)

    def of(self, model_group: str) -> float | None:
        return self.exceptions.get(model_group, self.seconds)


NO_BUDGET = Budget()


def over(chains: Sequence[Chain], budget: Budget) -> Iterator[str]:
    """Yield one sentence for each kind of failure that may take longer than its budget, with its worst fault."""
    tried: dict[str, list[str]] = {}
    for chain in chains:
        for tier in chain.tiers:
            tried.setdefault(tier.model_group, []).append(" → ".join(chain.tried))
    alike: dict[tuple[float, float, str], list[Tier]] = {}
    for tier in tiers_of(chains):
        allowed = budget.of(tier.model_group)
        if allowed is not None and tier.worst.worst > allowed:
            alike.setdefault((tier.worst.worst, allowed, str(tier.worst)), []).append(tier)
    for (seconds, allowed, fault), (tier, *more) in alike.items():
        others = sum(hop.worst > allowed for hop in tier.hops) - 1
        yield (
            f"model group '{tier.model_group}'{_and_more([each.model_group for each in more])} may take {seconds:g} s to fail over, "
            f"and its budget is {allowed:g} s ({fault}{f', and {others} more faults' if others else ''}; "
            f"in {_named(tried[tier.model_group])}): {'; '.join(_said(tier.worst))}. "
            "Where that is as it should be, allow it in failover_budgets"
        )


def _and_more(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f", and just so {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''},"


def _named(chains: Sequence[str]) -> str:
    more = f" and {len(chains) - 3} more" if len(chains) > 3 else ""
    return f"the {'chain' if len(chains) == 1 else 'chains'} {', '.join(chains[:3])}{more}"


def tiers_of(chains: Iterable[Chain]) -> tuple[Tier, ...]:
    """Every model group that may have to be given up, once."""
    return tuple({tier.model_group: tier for chain in chains for tier in chain.tiers}.values())


def as_data(chains: Sequence[Chain]) -> dict[str, Any]:
    """The estimate for whoever wants to compute with it: per model group that may fail, and per chain."""
    return {
        "tiers": {tier.model_group: _tier_as_data(tier) for tier in tiers_of(chains)},
        "chains": {
            chain.model_group: {
                "tried": list(chain.tried),
                "seconds": chain.worst.worst.worst,
                "fails": chain.worst.model_group,
                "fault": chain.worst.worst.fault,
                "streamed": chain.worst.worst.streamed,
                "setting": chain.worst.worst.setting,
                "total": chain.total,
            }
            for chain in chains
        },
    }


def _tier_as_data(tier: Tier) -> dict[str, dict[str, Any]]:
    return {
        fault: {
            "first": plain.first,
            "later": plain.later,
            **({"first_streamed": streamed.first, "later_streamed": streamed.later} if streamed else {}),
            "settings": list(dict.fromkeys(said for hop in (plain, streamed) if hop for said in _said(hop))),
        }
        for fault, plain, streamed in _by_fault(tier)
    }


def _by_fault(tier: Tier) -> Iterator[tuple[str, Hop, Hop | None]]:
    """Yield each fault with its two hops: plain, and streamed where a stream is failed over."""
    plain = [hop for hop in tier.hops if not hop.streamed]
    streamed = {hop.fault: hop for hop in tier.hops if hop.streamed}
    for hop in plain:
        yield hop.fault, hop, streamed.get(hop.fault)


def _said(hop: Hop) -> Iterator[str]:
    """Yield what to change, the most useful first."""
    if hop.setting:
        yield hop.setting
    if hop.cooldown:
        yield f"{hop.cooldown} would spare the later requests"


#: A fault, then its seconds: first and later, plain and streamed.
Row = tuple[str, str, str, str, str]
HEAD: Row = ("", "first", "later", "streamed: first", "later")


def rows(tier: Tier) -> Iterator[Row]:
    """Yield a row per fault."""
    for fault, plain, streamed in _by_fault(tier):
        of_stream = (f"{streamed.first:g}", f"{streamed.later:g}") if streamed else ("error", "error")
        yield fault, f"{plain.first:g}", f"{plain.later:g}", *of_stream


def reasons(tier: Tier) -> Iterator[tuple[str, str]]:
    """Yield what makes a tier slow to give up, and the faults that it does so for."""
    faults: dict[str, list[str]] = {}
    for hop in tier.hops:
        for said in _said(hop):
            faults.setdefault(said, []).append(hop.fault)
    for said, found in faults.items():
        yield said, ", ".join(dict.fromkeys(found))


def summary(chain: Chain) -> str:
    worst = chain.worst
    hop = f"at most {worst.worst.worst:g} s for one failover ({worst.model_group}: {worst.worst})"
    return f"{hop}, {chain.total:g} s when all but {chain.answers} fail"


def table(chains: Sequence[Chain]) -> str:
    """The estimate for people: per tier its faults in seconds and why, then per chain its worst hop and its worst whole.

    Tiers that are alike share their lines.
    """
    alike: dict[tuple[tuple[Row, ...], tuple[tuple[str, str], ...]], list[str]] = {}
    for tier in tiers_of(chains):
        why = tuple((said.replace(f" of {tier.model_group}", " of each"), faults) for said, faults in reasons(tier))
        alike.setdefault((tuple(rows(tier)), why), []).append(tier.model_group)
    lines: list[str] = []
    for (seconds, why), names in alike.items():
        lines.append(f"{', '.join(names)}: seconds until the next is asked when it fails")
        lines += _aligned([HEAD, *seconds])
        lines += [f"  - {said.replace(' of each', f' of {names[0]}') if len(names) == 1 else said}: {faults}" for said, faults in why]
    lines += [f"{' → '.join(chain.tried)}: {summary(chain)}" for chain in chains]
    return "\n".join(lines)


def _aligned(table_rows: Sequence[Row]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in table_rows) for column in range(5)]
    for fault, *numbers in table_rows:
        cells = "  ".join(number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
        yield f"  {fault.ljust(widths[0])}  {cells}"
