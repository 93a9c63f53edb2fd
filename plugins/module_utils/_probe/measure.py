# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The numbers of a drill: plain arithmetic over sighted requests. None means: not measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain, Counter, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import PHASES, Phase, Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording, Request
from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import Served, served_by

#: Without a limit of its own a drill counts as out whoever waits longer than this.
OUTAGE_WAIT = 5.0


@dataclass(frozen=True)
class Sight:
    """A request, when it was, whose chain it asked for, who answered, and whether a client got what it may expect."""

    request: Request
    phase: Phase
    chain: Chain
    served: Served
    lost: bool

    @property
    def wait(self) -> float:
        """Seconds; a stream that broke was waited for until it broke."""
        return self.request.t_end - self.request.t_start if self.lost or not self.request.answered else self.request.wait


@dataclass(frozen=True)
class Percentiles:
    """Seconds of waiting of `count` requests. `phase` and `kind` ("whole", "stream") say which."""

    phase: Phase
    kind: str
    count: int
    p50: float
    p95: float
    p99: float
    max: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the sorted, non-empty `values` do not exceed (nearest rank)."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def sight(recording: Recording, phases: Phases, expectation: Expectation) -> list[Sight]:
    """Return the requests that are judged, by their start: those that were sent, and for a model with a chain, through LiteLLM."""
    known = {tier.name: tier for chain in expectation.chains for tier in chain.tiers} | {tier.name: tier for tier in expectation.others}
    sights = []
    for request in sorted(recording.requests, key=lambda request: request.t_start):
        chain = expectation.chain_of(request.asked)
        if chain is None or request.load in expectation.direct_loads or request.finish == "skipped":
            continue
        phase = phases.of(request)
        served = served_by(request, [*known.values()]) if request.answered else Served("")
        lost = is_lost(request, phase, chain, expectation) or served.problem == "wrong_model"
        sights.append(Sight(request, phase, chain, served, lost))
    return sights


def is_lost(request: Request, phase: Phase, chain: Chain, expectation: Expectation) -> bool:
    """Whether a client did not get what it may expect: an answer, or, when the fault left nobody to give one, a clear error."""
    if request.answered:
        return False
    # LiteLLM says it by a status, or by an error event when it had begun to stream.
    if request.finish in ("status", "error") and request.error and chain.standing is None and phase != "steady":
        return False
    return not (expectation.clean_errors and request.finish == "error" and request.stream and request.chunks > 0)


def percentiles(sights: Sequence[Sight]) -> list[Percentiles]:
    """Return a row for each phase and kind that occurs."""
    rows = []
    for phase in PHASES:
        for kind in ("whole", "stream"):
            waits = sorted(one.wait for one in sights if one.phase == phase and one.request.kind == kind)
            if waits:
                p50, p95, p99 = (percentile(waits, share) for share in (0.5, 0.95, 0.99))
                rows.append(Percentiles(phase, kind, len(waits), p50, p95, p99, waits[-1]))
    return rows


def union_of(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the time that intervals cover together."""
    total, reached = 0.0, -math.inf
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def first_answer(sights: Sequence[Sight], phases: Phases) -> float | None:
    """Return when the next tier's first answer was there, for a client that the fault had hit: its first text."""
    ready = [
        one.request.t_start + one.wait
        for one in sights
        if phases.has_fault
        and one.phase != "steady"
        and one.chain.loses_primary
        and one.chain.standing
        and one.served.tier == one.chain.standing.name
    ]
    return min(ready, default=None)


def back_at(sights: Sequence[Sight], phases: Phases) -> float | None:
    """Return the start of the first request from which on the primary answered every one; None while it does not."""
    start = None
    for one in reversed(sights):
        if one.served.tier != one.chain.primary.name or phases.restore_commanded is None or one.request.t_start < phases.restore_commanded:
            break
        start = one.request.t_start
    return start


def recovered_at(sights: Sequence[Sight], phases: Phases) -> float | None:
    """Return when the last of the chains that lost their primary had it back; None if one did not."""
    losers = {one.chain.asked for one in sights if one.chain.loses_primary}
    starts = [back_at([one for one in sights if one.chain.asked == asked], phases) for asked in losers]
    return max((start for start in starts if start is not None), default=None) if None not in starts else None


def unneeded(one: Sight) -> bool:
    """Whether a tier answered that had no business to."""
    chain, who = one.chain, one.served.tier
    if not who or who == chain.primary.name:
        return False
    # Before the fault the next tier makes the state unsteady, and one that is to be down makes the fault doubtful: findings of their own.
    return who not in chain.down and (chain.standing is None or who != chain.standing.name)


def unneeded_counted(counters: Iterable[Counter], expectation: Expectation) -> list[Counter]:
    """Return what upstreams counted that no chain may reach: tiers that are no chain's primary and stand in for nobody."""
    busy = {chain.primary.name for chain in expectation.chains} | {name for chain in expectation.chains for name in chain.down}
    busy |= {chain.standing.name for chain in expectation.chains if chain.standing}
    return [counter for counter in counters if counter.requests > 0 and counter.tier not in busy]


def overhead(recording: Recording, phases: Phases, expectation: Expectation) -> float | None:
    """Return LiteLLM's own share of the wait, for the kind where it is larger; None unless both ways were measured."""
    shares = []
    for stream in (False, True):
        waits: dict[bool, list[float]] = {True: [], False: []}
        for request in recording.requests:
            if request.answered and request.stream == stream and phases.of(request) == "steady":
                waits[request.load in expectation.direct_loads].append(request.wait)
        if all(len(found) >= expectation.minimum.steady for found in waits.values()):
            through, straight = (percentile(sorted(waits[direct]), 0.5) for direct in (False, True))
            shares.append(through - straight)
    return max(shares, default=None)


def metrics(
    recording: Recording, phases: Phases, expectation: Expectation, sights: Sequence[Sight], counters: Sequence[Counter] = ()
) -> dict[str, float | None]:
    """Return every metric of expectation.METRICS, in its unit."""
    outside = [one for one in sights if one.phase != "steady"]
    steady = sorted(one.wait for one in sights if one.phase == "steady")
    limit = expectation.slowest_allowed or OUTAGE_WAIT
    usual = max(3 * percentile(steady, 0.95), percentile(steady, 0.95) + 0.1) if steady else None
    first = first_answer(sights, phases)
    back = recovered_at(sights, phases)

    def waiting(is_bad: Callable[[Sight], bool]) -> float:
        return union_of((one.request.t_start, one.request.t_start + one.wait) for one in outside if is_bad(one))

    def since(moment: float | None, then: float | None) -> float | None:
        return None if moment is None or then is None else max(0.0, then - moment)

    extra = sum(counter.requests for counter in unneeded_counted(counters, expectation))
    return {
        "worst_wait": max((one.wait for one in outside), default=None),
        "later_wait": max((one.wait for one in outside if first is not None and one.request.t_start > first), default=None),
        "first_answer": since(phases.fault_effective, first),
        "lost": sum(one.lost for one in sights) if sights else None,
        "unneeded": max(sum(unneeded(one) for one in sights), extra) if sights else None,
        "outage": waiting(lambda one: one.lost or one.wait >= limit) if outside else None,
        "degraded": waiting(lambda one: usual is not None and (one.lost or one.wait > usual)) if outside and steady else None,
        "recovery_from_ready": since(phases.backend_ready, back),
        "recovery_from_restore": since(phases.restore_commanded, back),
        "steady_wait_p50": percentile(steady, 0.5) if steady else None,
        "steady_wait_p95": percentile(steady, 0.95) if steady else None,
        "steady_answer_max": max((one.request.t_end - one.request.t_start for one in sights if one.phase == "steady"), default=None),
        "overhead": overhead(recording, phases, expectation),
    }
