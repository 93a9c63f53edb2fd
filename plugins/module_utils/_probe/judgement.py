# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Judge a drill: a pure function from what was recorded, when what happened, and what is expected, to a verdict with its reasons.

Nothing passes by absence: a pass needs traffic at the primary before the fault, a fault that took and lasted, enough answers of each kind
in each phase, the primary back, clocks that can be trusted, and at least one threshold, each measured and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ansible_collections.homelab.llm.plugins.module_utils._probe import measure
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import METRICS, UNITS, Counter, Expectation, Threshold
from ansible_collections.homelab.llm.plugins.module_utils._probe.finding import Finding, Severity
from ansible_collections.homelab.llm.plugins.module_utils._probe.measure import Percentiles, Sight
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording
from ansible_collections.homelab.llm.plugins.module_utils._probe.suspicion import (
    find_no_proof,
    find_not_back,
    find_other_hands,
    find_unneeded,
    find_wrong_answers,
)
from ansible_collections.homelab.llm.plugins.module_utils._probe.trust import find_distrust

Word = Literal["pass", "fail", "inconclusive"]

#: Metrics between the fault's clock and the requests' clock: as uncertain as the offset between the two.
ACROSS_CLOCKS = frozenset({"first_answer", "recovery_from_ready", "recovery_from_restore"})
_ORDER: tuple[Severity, ...] = ("broken", "untrusted", "fail", "doubt")
_WORDS: Mapping[Severity, Word] = {"broken": "fail", "untrusted": "inconclusive", "fail": "fail", "doubt": "inconclusive"}


@dataclass(frozen=True)
class Held:
    """A threshold and what was measured, both in the threshold's own unit; the truth is within `uncertainty` of that."""

    threshold: Threshold
    measured: float | None
    uncertainty: float
    verdict: Word
    aim_met: bool | None


@dataclass(frozen=True)
class Verdict:
    """`findings` has every reason against a pass, the strongest first; a pass has none."""

    word: Word
    findings: tuple[Finding, ...]
    held: tuple[Held, ...]
    metrics: Mapping[str, float | None]
    percentiles: tuple[Percentiles, ...]
    sights: tuple[Sight, ...]


def judge(
    recording: Recording,
    phases: Phases,
    expectation: Expectation,
    counters: Sequence[Counter] = (),
    clock_error: float | None = 0.0,
) -> Verdict:
    """Judge a drill.

    `counters` are the upstreams' own counts, for tiers that have them. `clock_error`: seconds by which times of `phases` may be wrong
    against the requests' clock (0 for one and the same clock, None when the comparison failed).
    """
    sights = measure.sight(recording, phases, expectation)
    values = measure.metrics(recording, phases, expectation, sights, counters)
    held = tuple(hold(threshold, values[threshold.metric], clock_error or 0.0) for threshold in expectation.thresholds)
    findings = [
        *find_not_back(sights, phases, expectation),
        *find_distrust(recording, phases, expectation, clock_error),
        *find_wrong_answers(sights, expectation),
        *find_unneeded(sights, expectation, counters),
        *find_no_proof(sights, phases, expectation),
        *find_other_hands(sights, phases, counters),
        *find_over_limit(held),
    ]
    findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    word = _WORDS[findings[0].severity] if findings else "pass"
    return Verdict(word, tuple(findings), held, values, tuple(measure.percentiles(sights)), tuple(sights))


def hold(threshold: Threshold, value: float | None, clock_error: float) -> Held:
    """Hold a metric against a threshold; within its uncertainty of the limit it is neither kept nor broken."""
    scale = UNITS[threshold.unit][1]
    error = clock_error if threshold.metric in ACROSS_CLOCKS else 0.0
    if value is None:
        return Held(threshold, None, error / scale, "inconclusive", None)
    if threshold.holds(value + error):
        verdict: Word = "pass"
    else:
        verdict = "inconclusive" if threshold.holds(max(0.0, value - error)) else "fail"
    aim_met = None if threshold.aim is None else value + error <= threshold.aim * scale
    return Held(threshold, value / scale, error / scale, verdict, aim_met)


def find_over_limit(held: Sequence[Held]) -> list[Finding]:
    """Return a finding for each threshold that was not kept, or not shown to be."""
    if not held:
        return [Finding("no_threshold", "There is no threshold to hold the measurement against.")]
    found = []
    for one in held:
        digits = 0 if one.threshold.unit == "requests" else 3
        limit, what = f"{one.threshold.limit:g} {one.threshold.unit}", METRICS[one.threshold.metric][1]
        if one.measured is None:
            found.append(Finding("not_measured", f"{one.threshold.id}: {what} could not be measured."))
        elif one.verdict == "fail":
            found.append(
                Finding(
                    "over_limit", f"{one.threshold.id}: {what} was {one.measured:.{digits}f} {one.threshold.unit}, the limit is {limit}."
                )
            )
        elif one.verdict == "inconclusive":
            off = f"{one.measured:.3f} ± {one.uncertainty:.3f} {one.threshold.unit}"
            found.append(Finding("not_measured", f"{one.threshold.id}: {what} was {off}, too near the limit of {limit} to tell."))
    return found
