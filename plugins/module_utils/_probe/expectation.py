# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a drill has to show: the chains, which of their tiers the fault takes away, and the limits, each with an NFR's id and a unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phase
from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import Tier, server_of

#: Every metric with its unit and what it is. Seconds of waiting: see Request.wait.
METRICS: Mapping[str, tuple[str, str]] = {
    "worst_wait": ("s", "longest wait of any request that met the fault, the restore or the recovery"),
    "later_wait": ("s", "longest wait of a request that started after the next tier's first answer"),
    "first_answer": ("s", "from the fault's effect to the next tier's first answer"),
    "lost": ("requests", "requests without a whole, right answer"),
    "unneeded": ("requests", "requests at tiers that had no business answering"),
    "outage": ("s", "time in which a request was lost or waited longer than the limit"),
    "degraded": ("s", "time in which a request waited much longer than before the fault"),
    "recovery_from_ready": ("s", "from the backend being ready to the first request of its unbroken run"),
    "recovery_from_restore": ("s", "from the restore command to the same"),
    "steady_wait_p50": ("s", "median wait before the fault"),
    "steady_wait_p95": ("s", "95th percentile of the wait before the fault"),
    "steady_answer_max": ("s", "longest whole answer before the fault"),
    "overhead": ("s", "median wait through LiteLLM less median wait straight at the backend"),
}
#: What a limit may be written in, and how much of the metric's unit that is.
UNITS: Mapping[str, tuple[str, float]] = {"s": ("s", 1.0), "ms": ("s", 0.001), "requests": ("requests", 1.0)}


class BadExpectation(ValueError):
    """What is expected cannot be judged; the message says what to change."""


@dataclass(frozen=True)
class Threshold:
    """`metric` must stay below `limit` (with `inclusive`: must not exceed it). `aim`, in the same unit, is what one would like."""

    id: str
    metric: str
    limit: float
    unit: str
    inclusive: bool = False
    aim: float | None = None
    sentence: str = ""

    def __post_init__(self) -> None:
        who = f"threshold {self.id or self.metric or '?'}"
        if not self.id:
            raise BadExpectation(f"{who}: has no id; name the requirement it proves, for example NFR65")
        if self.metric not in METRICS:
            raise BadExpectation(f"{who}: '{self.metric}' is no metric; there are {', '.join(METRICS)}")
        if self.unit not in UNITS:
            raise BadExpectation(
                f"{who}: {'has no unit' if not self.unit else repr(self.unit) + ' is no unit'}; write {' or '.join(UNITS)}"
            )
        if UNITS[self.unit][0] != METRICS[self.metric][0]:
            raise BadExpectation(f"{who}: {self.metric} is measured in {METRICS[self.metric][0]}, the limit is in {self.unit}")
        if not math.isfinite(self.limit) or self.limit < 0:
            raise BadExpectation(f"{who}: the limit {self.limit} is no number from 0 up")

    @property
    def limit_in_metric(self) -> float:
        return self.limit * UNITS[self.unit][1]

    def holds(self, value: float) -> bool:
        """Whether a value, in the metric's unit, is within the limit."""
        return value <= self.limit_in_metric if self.inclusive else value < self.limit_in_metric


def threshold_of(fields: Mapping[str, Any]) -> Threshold:
    """Return the threshold that a module's parameter or the catalogue spells. Raises BadExpectation."""
    known = {"id", "metric", "limit", "unit", "inclusive", "aim", "sentence"}
    if unknown := set(fields) - known:
        raise BadExpectation(f"threshold {fields.get('id', '?')}: {', '.join(sorted(unknown))} is unknown")
    try:
        limit, aim = float(fields["limit"]), fields.get("aim")
        return Threshold(
            id=str(fields.get("id") or ""),
            metric=str(fields.get("metric") or ""),
            limit=limit,
            unit=str(fields.get("unit") or ""),
            inclusive=bool(fields.get("inclusive", False)),
            aim=None if aim is None else float(aim),
            sentence=str(fields.get("sentence") or ""),
        )
    except KeyError:
        raise BadExpectation(f"threshold {fields.get('id', '?')}: has no limit") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, BadExpectation):
            raise
        raise BadExpectation(f"threshold {fields.get('id', '?')}: the limit {fields['limit']!r} is no number") from None


@dataclass(frozen=True)
class Chain:
    """What may answer requests for `asked`, in the order LiteLLM tries it; `tiers[0]` is the primary. The fault takes `down` away."""

    asked: str
    tiers: tuple[Tier, ...]
    down: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.tiers:
            raise BadExpectation(f"{self.asked}: its chain has no tier")
        names = [tier.name for tier in self.tiers]
        if len(set(names)) != len(names) or not all(names):
            raise BadExpectation(f"{self.asked}: its tiers need a name each, and different ones: {', '.join(names)}")
        if unknown := self.down - set(names):
            raise BadExpectation(f"{self.asked}: {', '.join(sorted(unknown))} is to fail and not in its chain ({', '.join(names)})")

    @property
    def primary(self) -> Tier:
        return self.tiers[0]

    @property
    def loses_primary(self) -> bool:
        return self.primary.name in self.down

    @property
    def standing(self) -> Tier | None:
        """The tier that has to answer during the fault; None when nobody is left, and a clear error is what is right."""
        return next((tier for tier in self.tiers if tier.name not in self.down), None)

    def shared_servers(self) -> list[tuple[Tier, Tier]]:
        """Return pairs of tiers that are one server without leave: such a fallback is none."""
        pairs = [(one, other) for at, one in enumerate(self.tiers) for other in self.tiers[at + 1 :]]
        return [
            (one, other)
            for one, other in pairs
            if one.api_base and server_of(one.api_base) == server_of(other.api_base) and other.same_server_as != one.name
        ]


@dataclass(frozen=True)
class Counter:
    """Requests for answers that a tier's upstream itself counted during a phase.

    It was read at `since` and `until`, moments of the worker's clock; `restarted` tells that it began anew in between, in any phase.
    """

    tier: str
    phase: Phase
    requests: int
    since: float = -math.inf
    until: float = math.inf
    restarted: bool = False


@dataclass(frozen=True)
class Minimum:
    """Fewer answers than these are too few to say anything: per model asked, whole and streamed each."""

    steady: int = 5
    fault: int = 10
    recovery: int = 3


@dataclass(frozen=True)
class Expectation:
    """All that the judgement holds a recording against.

    `others`: tiers that no chain has and that must not answer. `direct_loads`: loads that go straight to a backend; they measure LiteLLM's
    own share and are judged in nothing else. `clean_errors`: a stream that had begun and ends in an error event counts as waiting until
    then, not as lost. `longest_lag`: seconds the worker itself may be late.
    """

    chains: tuple[Chain, ...]
    thresholds: tuple[Threshold, ...] = ()
    others: tuple[Tier, ...] = ()
    direct_loads: frozenset[str] = frozenset()
    minimum: Minimum = Minimum()
    clean_errors: bool = False
    longest_lag: float = 0.25
    largest_clock_error: float = 0.25

    def __post_init__(self) -> None:
        asked = [chain.asked for chain in self.chains]
        if len(set(asked)) != len(asked) or not asked:
            raise BadExpectation(f"there must be one chain for each model asked, not {', '.join(asked) or 'none'}")

    @property
    def slowest_allowed(self) -> float | None:
        """The limit that a request's wait has, for the outage and the picture."""
        return next((threshold.limit_in_metric for threshold in self.thresholds if threshold.metric == "worst_wait"), None)

    def chain_of(self, asked: str) -> Chain | None:
        return next((chain for chain in self.chains if chain.asked == asked), None)
