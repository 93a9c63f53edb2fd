# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The result of a drill, and of several, as plain dictionaries: what the module returns, what reports are made of, what is compared later.

A result; what ends in `_s` is in seconds, moments counted from zero: the fault's effect, else its command, else the start.

    schema        1
    name, title   of the drill
    verdict       pass | fail | inconclusive
    reasons       [{code, severity, text}], the strongest first; none for a pass (finding.py)
    headline      one sentence with the numbers that matter
    thresholds    [{id, sentence, metric, meaning, limit, unit, inclusive, aim, aim_met, measured, uncertainty, verdict}]
    metrics       {name: number or null}  (expectation.METRICS has names and units)
    percentiles   [{phase, kind, count, p50, p95, p99, max}]
    requests      {sent, answered, lost, skipped, by_finish: {}, by_tier: {}, by_phase: {phase: {tier: count}}}
    phases        {steady | fault | restore | recovery: [begin_s, end_s]}
    fault         {kind, target, how, commanded_s, effective_s}     kind "none": nothing was broken
    restore       {state: restored | failed | missing | none, how, commanded_s, ready_s, error}
    clock         {error_s, worst_lag_s, worst_heartbeat_s}
    tiers         [{name, model_group, role: primary | fallback | other}]     in the order of the picture's colours
    limit_s       the limit that a wait has, or null
    started_at    ISO 8601, UTC
    environment   {what: value}   versions and settings that matter, none of them secret
    loads         [{name, model, protocol, rate, stream, prompt_tokens, url}]
    counters      [{tier, phase, requests}]   the upstreams' own
    seconds       [[second, {tier: count}, lost, worst_wait]]     } summary() leaves these two out
    marks         [[start_s, wait, tier, stream, finish]]         } tier: position in tiers, -1 lost, -2 nobody known

A report: schema, title, made_at, verdict (the worst of its drills and checks), drills (a list of results), checks (checks.py), if any.
"""

from __future__ import annotations

import dataclasses
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import METRICS, Counter, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.judgement import Held, Verdict
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording
from ansible_collections.homelab.llm.plugins.module_utils._probe.timeline import seconds_of

SCHEMA = 1
_BULKY = ("seconds", "marks")


@dataclass(frozen=True)
class About:
    """What the recording cannot tell of a drill. Nothing here may be secret; see the module's docstring for the shapes."""

    name: str
    title: str
    fault: str = "none"
    target: str = ""
    how: str = ""
    restored_how: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    loads: Sequence[Mapping[str, Any]] = ()


def result_of(
    about: About,
    verdict: Verdict,
    recording: Recording,
    phases: Phases,
    expectation: Expectation,
    counters: Sequence[Counter] = (),
    clock_error: float | None = 0.0,
) -> dict[str, Any]:
    """Return the result of one drill."""
    zero = next(time for time in (phases.fault_effective, phases.fault_commanded, phases.begun) if time is not None)
    tiers = _tiers(expectation)
    places = {tier["name"]: place for place, tier in enumerate(tiers)}
    lags = [request.t_start - request.t_due for request in recording.requests]
    result = {
        "schema": SCHEMA,
        "name": about.name,
        "title": about.title,
        "verdict": verdict.word,
        "reasons": [{"code": one.code, "severity": one.severity, "text": one.text} for one in verdict.findings],
        "thresholds": [_threshold(held) for held in verdict.held],
        "metrics": {name: _round(value) for name, value in verdict.metrics.items()},
        "percentiles": [{name: _round(value) for name, value in dataclasses.asdict(row).items()} for row in verdict.percentiles],
        "requests": _requests(verdict, recording),
        "phases": {phase: [_round(begin - zero), _round(end - zero)] for phase, (begin, end) in phases.spans().items()},
        "fault": {
            "kind": about.fault,
            "target": about.target,
            "how": about.how,
            "commanded_s": _since(zero, phases.fault_commanded),
            "effective_s": _since(zero, phases.fault_effective),
        },
        "restore": {
            "state": _restore_state(phases),
            "how": about.restored_how,
            "commanded_s": _since(zero, phases.restore_commanded),
            "ready_s": _since(zero, phases.backend_ready),
            "error": phases.restore_error,
        },
        "clock": {
            "error_s": _round(clock_error),
            "worst_lag_s": _round(max(lags, default=0.0)),
            "worst_heartbeat_s": _round(max((beat.late_s for beat in recording.beats), default=0.0)),
        },
        "tiers": tiers,
        "limit_s": expectation.slowest_allowed,
        "started_at": _started_at(recording, phases),
        "environment": dict(about.environment),
        "loads": [dict(load) for load in about.loads],
        "counters": [{"tier": one.tier, "phase": one.phase, "requests": one.requests} for one in counters],
        "seconds": [[one.at, dict(one.answered), one.lost, _round(one.worst_wait)] for one in seconds_of(verdict.sights, zero)],
        "marks": [
            [
                _round(sight.request.t_start - zero),
                _round(sight.wait),
                -1 if sight.lost else places.get(sight.served.tier, -2),
                int(sight.request.stream),
                sight.request.finish,
            ]
            for sight in verdict.sights
        ],
    }
    result["headline"] = headline(result)
    return result


def summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result without what is long: for a module's return value."""
    return {name: value for name, value in result.items() if name not in _BULKY}


def report_of(results: Iterable[Mapping[str, Any]], title: str, made_at: datetime) -> dict[str, Any]:
    """Return the report of several drills. Its verdict is the worst of theirs, and without a drill inconclusive."""
    drills = [dict(result) for result in results]
    words = {drill["verdict"] for drill in drills}
    word = next((word for word in ("fail", "inconclusive", "pass") if word in words), "inconclusive")
    stamp = made_at.astimezone(UTC).isoformat(timespec="seconds")
    return {"schema": SCHEMA, "title": title, "made_at": stamp, "verdict": word, "drills": drills}


def headline(result: Mapping[str, Any]) -> str:
    """Return what happened, in a sentence or two, with numbers."""
    metrics, requests = result["metrics"], result["requests"]
    parts = [f"{requests['lost'] or 'None'} of {requests['sent']} requests {'was' if requests['lost'] in (0, 1) else 'were'} lost"]
    worst, limit = metrics.get("worst_wait"), result.get("limit_s")
    if worst is not None:
        parts.append(f"the slowest waited {worst:.2f} s" + (f" of {limit:g} s allowed" if limit is not None else ""))
    if metrics.get("first_answer") is not None:
        parts.append(f"the next tier answered {metrics['first_answer']:.2f} s after the fault")
    if metrics.get("recovery_from_ready") is not None:
        parts.append(f"all was as before {metrics['recovery_from_ready']:.1f} s after the backend was ready")
    if worst is None and metrics.get("steady_wait_p50") is not None:
        parts.append(f"half of them waited {metrics['steady_wait_p50']:.3f} s or less, 95 % {metrics['steady_wait_p95']:.3f} s or less")
    if metrics.get("overhead") is not None:
        parts.append(f"LiteLLM added {metrics['overhead'] * 1000:.0f} ms, median")
    return "; ".join(parts) + "."


def _tiers(expectation: Expectation) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for chain in expectation.chains:
        for place, tier in enumerate(chain.tiers):
            found.setdefault(tier.name, {"name": tier.name, "model_group": tier.model_group, "role": "fallback" if place else "primary"})
    for tier in expectation.others:
        found.setdefault(tier.name, {"name": tier.name, "model_group": tier.model_group, "role": "other"})
    return list(found.values())


def _threshold(held: Held) -> dict[str, Any]:
    threshold = held.threshold
    return {
        "id": threshold.id,
        "sentence": threshold.sentence,
        "metric": threshold.metric,
        "meaning": METRICS[threshold.metric][1],
        "limit": threshold.limit,
        "unit": threshold.unit,
        "inclusive": threshold.inclusive,
        "aim": threshold.aim,
        "aim_met": held.aim_met,
        "measured": _round(held.measured),
        "uncertainty": _round(held.uncertainty),
        "verdict": held.verdict,
    }


def _requests(verdict: Verdict, recording: Recording) -> dict[str, Any]:
    sights = verdict.sights
    by_phase: dict[str, dict[str, int]] = {}
    for sight in sights:
        who = "lost" if sight.lost else sight.served.tier or "?"
        counts = by_phase.setdefault(sight.phase, {})
        counts[who] = counts.get(who, 0) + 1
    return {
        "sent": len(sights),
        "answered": sum(sight.request.answered for sight in sights),
        "lost": sum(sight.lost for sight in sights),
        "skipped": sum(request.finish == "skipped" for request in recording.requests),
        "by_finish": dict(sorted(Tally(sight.request.finish for sight in sights).items())),
        "by_tier": dict(sorted(Tally(sight.served.tier or "?" for sight in sights if sight.request.answered).items())),
        "by_phase": by_phase,
    }


def _restore_state(phases: Phases) -> str:
    if phases.restore_error:
        return "failed"
    if not phases.has_fault:
        return "none"
    return "missing" if phases.restore_commanded is None else "restored"


def _started_at(recording: Recording, phases: Phases) -> str:
    if recording.begun is None:
        return ""
    wall = recording.begun.wall + phases.begun - recording.begun.t_mono
    return datetime.fromtimestamp(wall, tz=UTC).isoformat(timespec="seconds")


def _since(zero: float, time: float | None) -> float | None:
    return None if time is None else round(time - zero, 4)


def _round(value: Any) -> Any:
    """Tenths of milliseconds are below what is measured."""
    return round(value, 4) if isinstance(value, float) else value
