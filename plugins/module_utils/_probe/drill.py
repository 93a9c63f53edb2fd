# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The course of a drill: steady state, fault, restore, recovery; whatever happens, what was broken is restored."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils import _signals
from ansible_collections.homelab.llm.plugins.module_utils._probe import record
from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Offset
from ansible_collections.homelab.llm.plugins.module_utils._probe.counting import counters_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Counter, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.undo import NotRestored, Undone
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import Plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.observation import Observation
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording
from ansible_collections.homelab.llm.plugins.module_utils._probe.sighting import ByWatcher, Sighting
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import Task
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Vantage

#: Seconds for the restore, an API server that is away included.
PATIENCE = 120.0


class Breaker:
    """What a drill breaks; this one nothing. See Injection."""

    kind = "none"

    def prepare(self) -> None:
        """Make ready what the fault needs, without breaking anything."""

    def begin(self) -> None:
        """Break it."""

    def renew(self) -> None:
        """Say that whoever broke it lives. Called all the time."""

    def restore(self, patience: float) -> Undone:
        """Undo it; nothing when there is nothing to undo. Raises NotRestored."""
        del patience
        return Undone()

    def sighting(self, watcher: ByWatcher) -> tuple[Sighting | None, list[str]]:
        """Return what sees the effect, and notes for people. Called when all is well."""
        del watcher
        return None, []


@dataclass
class Drilled:
    """All that a drill brought."""

    recording: Recording
    lines: list[str]
    phases: Phases
    expectation: Expectation
    clock_error: float | None
    look: Mapping[str, Any]
    undone: Undone
    counters: list[Counter]
    notes: list[str] = field(default_factory=list)


class Drill:
    """One drill, run once."""

    def __init__(self, task: Task, vantage: Vantage, breaker: Breaker, say: Callable[[str], None]) -> None:
        self._task, self._breaker, self._say = task, breaker, say
        self._seen = Observation(task, vantage, say, breaker.renew)
        self._restore_error = ""
        self._undone = Undone()
        self._notes: list[str] = []

    def run(self, plan: Plan, look: dict[str, Any]) -> Drilled:
        """Run it. Raises BadTask, Lost, ApiError, Held, BadFault with nothing left broken, or NotRestored."""
        with _signals.raised():
            try:
                self._seen.begin(plan, look)
                self._steady()
                if self._breaker.kind != "none":
                    self._outage()
                self._seen.end()
                return self._drilled()
            finally:
                try:
                    self._make_sure()
                finally:
                    self._seen.close()

    def _make_sure(self) -> None:
        """Restore after whatever went wrong; after a drill that went well there is nothing to do."""
        if self._restore_error:
            return
        try:
            self._undone.what += self._breaker.restore(PATIENCE).what
        except NotRestored as error:
            self._say(f"THE RESTORE FAILED, THE CLUSTER IS NOT AS IT WAS: {error}")
            raise

    def _steady(self) -> None:
        self._breaker.prepare()
        self._seen.wait(None, self._task.durations.steady + 10, until=self._seen.live.begun + self._task.durations.steady)

    def _outage(self) -> None:
        seen = self._seen
        if not seen.live.answered_by_primaries():
            # To break something would show nothing, and cost somebody an outage.
            self._notes.append("Nothing was broken: the primaries did not answer before.")
            return
        sighting, notes = self._breaker.sighting(seen.watcher)
        self._notes += notes
        seen.phase = "fault"
        seen.moments["fault_commanded"] = seen.now()
        self._breaker.begin()
        if sighting and self._sighted("fault_effective", sighting.gone, self._task.durations.effect):
            seen.wait(None, self._task.durations.fault)
        seen.phase = "restore"
        seen.moments["restore_commanded"] = seen.now()
        try:
            self._undone = self._breaker.restore(PATIENCE)
        except NotRestored as error:
            self._restore_error = str(error)
            self._say(f"THE RESTORE FAILED, THE CLUSTER IS NOT AS IT WAS: {error}")
            return
        self._notes += self._undone.notes
        if sighting and self._sighted("backend_ready", sighting.back, self._task.durations.ready):
            seen.phase = "recovery"
            seen.wait(None, self._task.durations.recovery)

    def _sighted(self, name: str, look: Callable[[float, Offset], float | None], longest: float) -> bool:
        """Wait until something is seen, and note when it was so."""
        moments = self._seen.moments

        def found() -> bool:
            moment = look(time.monotonic(), self._seen.offset)
            if moment is not None:
                # What is seen by another clock may seem to come before its cause.
                moments[name] = max([moment, *moments.values()])
            return moment is not None

        self._seen.wait(found, longest)
        return name in moments

    def _drilled(self) -> Drilled:
        seen = self._seen
        lines = seen.live.lines
        phases, look = seen.phases(self._restore_error), seen.watcher.look or {}
        counters = counters_of(seen.watcher.readings, phases)
        return Drilled(record.parse(lines), lines, phases, seen.expectation, seen.clock_error, look, self._undone, counters, self._notes)
