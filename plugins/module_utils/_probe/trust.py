# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Whether a recording can be believed at all: complete, on time, by clocks that did not jump."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import LONGEST_GAP, find_jumps
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.finding import Finding, some
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording


def find_distrust(recording: Recording, phases: Phases, expectation: Expectation, clock_error: float | None) -> Iterator[Finding]:
    """Yield why a recording's times mean nothing, or not enough. `clock_error`: seconds, None when the clocks could not be compared."""
    yield from _find_gaps(recording, phases, expectation)
    beats = [beat for beat in (recording.begun, *recording.beats, recording.ended) if beat is not None]
    for text in find_jumps(beats):
        yield Finding("clock_jumped", f"A clock jumped: {text}; times across that moment mean nothing.")
    if phases.has_fault and clock_error is None:
        yield Finding(
            "clock_unknown",
            "The clock that timed the fault was not compared with the worker's, or no offset fits: times since the fault are unknown.",
        )
    elif phases.has_fault and clock_error is not None and clock_error > expectation.largest_clock_error:
        limit = expectation.largest_clock_error
        yield Finding(
            "clock_unknown",
            f"The two clocks are known to {clock_error:.2f} s only, worse than {limit:g} s: times since the fault are unknown.",
        )
    late = max([request.t_start - request.t_due for request in recording.requests] + [beat.late_s for beat in recording.beats], default=0.0)
    if late > expectation.longest_lag:
        yield Finding(
            "worker_late",
            f"The worker itself was up to {late:.2f} s late (limit {expectation.longest_lag:g} s): "
            "too little CPU, so its times are not the service's.",
        )
    skipped = sum(request.finish == "skipped" for request in recording.requests)
    if skipped:
        yield Finding(
            "skipped",
            f"{some(skipped, 'request')} of {len(recording.requests)} were not sent: "
            "the probe's own limit. Raise concurrency or lower the rate.",
        )


def _find_gaps(recording: Recording, phases: Phases, expectation: Expectation) -> Iterator[Finding]:
    if recording.begun is None or recording.ended is None:
        which = "beginning" if recording.begun is None else "end"
        yield Finding(
            "record_incomplete", f"The worker's record has no {which}: it was killed or its output was lost, so requests may be missing."
        )
    if recording.broken_lines:
        yield Finding("record_incomplete", f"{some(recording.broken_lines, 'line')} of the worker's record could not be read.")
    ids = [request.id for request in recording.requests]
    if len(set(ids)) != len(ids):
        yield Finding("record_incomplete", "A request is in the record twice: two records were mixed.")
    if recording.ended is not None and len(ids) < recording.ended.sent:
        yield Finding("record_incomplete", f"{recording.ended.sent} requests were sent and {len(ids)} are in the record.")
    if recording.begun is not None and recording.ended is not None:
        ticks = [recording.begun.t_mono, *(beat.t_mono for beat in recording.beats), recording.ended.t_mono]
        if phases.begun < ticks[0] - LONGEST_GAP or phases.ended > ticks[-1] + LONGEST_GAP:
            yield Finding("record_incomplete", "The worker did not run for the whole drill: the phases go beyond its record.")
    strangers = {request.asked for request in recording.requests if expectation.chain_of(request.asked) is None}
    strangers -= {request.asked for request in recording.requests if request.load in expectation.direct_loads}
    if strangers:
        yield Finding("not_measured", f"No chain is expected for {', '.join(sorted(strangers))}: its requests were judged by nothing.")
