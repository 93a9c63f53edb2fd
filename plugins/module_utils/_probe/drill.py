# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The course of a drill: steady state, fault, restore, recovery; whatever happens, what was broken is restored."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils import _signals
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._probe import record
from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Exchange, Offset, offset_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import BadExpectation, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.undo import NotRestored, Undone
from ansible_collections.homelab.llm.plugins.module_utils._probe.live import Live
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import Plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording
from ansible_collections.homelab.llm.plugins.module_utils._probe.sighting import ByWatcher, Sighting
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import BadTask, Task
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Lost, Vantage

PAUSE = 0.05
#: Seconds for LiteLLM to be looked at; for the restore, an API server that is away included; and for it when the drill was interrupted.
LOOK, PATIENCE = 30.0, 120.0


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
    notes: list[str] = field(default_factory=list)


class Drill:
    """One drill, run once."""

    def __init__(self, task: Task, vantage: Vantage, breaker: Breaker, say: Callable[[str], None]) -> None:
        self._task, self._vantage, self._breaker, self._say = task, vantage, breaker, say
        self._watcher = ByWatcher()
        self._exchanges: list[Exchange] = []
        self._offset = Offset(0.0, 0.0)
        self._phase = "steady"
        self._moments: dict[str, float] = {}
        self._restore_error = ""
        self._undone = Undone()
        self._notes: list[str] = []
        self._parent = os.getppid()

    def run(self, plan: Plan, look: dict[str, Any]) -> Drilled:
        """Run it. Raises BadTask, Lost, ApiError, Held, BadFault with nothing left broken, or NotRestored."""
        with _signals.raised():
            try:
                self._vantage.start(plan, look)
                self._begin()
                self._steady()
                if self._breaker.kind != "none":
                    self._outage()
                self._end()
                return self._drilled()
            finally:
                try:
                    self._make_sure()
                finally:
                    self._vantage.close()

    def _make_sure(self) -> None:
        """Restore after whatever went wrong; after a drill that went well there is nothing to do."""
        if self._restore_error:
            return
        try:
            self._undone.what += self._breaker.restore(PATIENCE).what
        except NotRestored as error:
            self._say(f"THE RESTORE FAILED, THE CLUSTER IS NOT AS IT WAS: {error}")
            raise

    def _begin(self) -> None:
        until = time.monotonic() + LOOK
        while self._watcher.look is None:
            self._vantage.check()
            if time.monotonic() > until:
                raise Lost(f"LiteLLM at {self._task.url} was not looked at within {LOOK:.0f} s")
            time.sleep(PAUSE)
            self._watcher.take(self._vantage.watcher_lines())
        look = self._watcher.look
        if look["error"]:
            raise BadTask(f"url: {self._task.url} {look['error']}")
        if missing := self._task.unserved(look["served"]):
            raise BadTask(f"models: {', '.join(missing)} is not served at {self._task.url}; there are {', '.join(look['served'])}")
        try:
            self._expectation = self._task.expectation(look["tiers"])
        except BadExpectation as error:
            raise BadTask(str(error)) from None
        self._live = Live(self._expectation)
        self._wait(lambda: self._live.has_begun, LOOK)
        if not self._live.has_begun:
            raise Lost(self._live.error or "its worker said nothing")
        self._compare()

    def _compare(self) -> None:
        self._exchanges += self._vantage.exchanges()
        try:
            self._offset = offset_of(self._exchanges)
        except ValueError:
            self._offset = Offset(self._live.newest - time.monotonic(), 1.0)  # for the live view; the verdict is told that it is unknown

    def _steady(self) -> None:
        self._breaker.prepare()
        self._wait(None, self._task.durations.steady + 10, until=self._live.begun + self._task.durations.steady)

    def _outage(self) -> None:
        if not self._live.answered_by_primaries():
            # To break something would show nothing, and cost somebody an outage.
            self._notes.append("Nothing was broken: the primaries did not answer before.")
            return
        sighting, notes = self._breaker.sighting(self._watcher)
        self._notes += notes
        self._phase = "fault"
        self._moments["fault_commanded"] = self._now()
        self._breaker.begin()
        if sighting and self._seen("fault_effective", sighting.gone, self._task.durations.effect):
            self._wait(None, self._task.durations.fault)
        self._phase = "restore"
        self._moments["restore_commanded"] = self._now()
        try:
            self._undone = self._breaker.restore(PATIENCE)
        except NotRestored as error:
            self._restore_error = str(error)
            self._say(f"THE RESTORE FAILED, THE CLUSTER IS NOT AS IT WAS: {error}")
            return
        self._notes += self._undone.notes
        if sighting and self._seen("backend_ready", sighting.back, self._task.durations.ready):
            self._phase = "recovery"
            self._wait(None, self._task.durations.recovery)

    def _seen(self, name: str, look: Callable[[float, Offset], float | None], longest: float) -> bool:
        """Wait until something is seen, and note when it was so."""

        def found() -> bool:
            moment = look(time.monotonic(), self._offset)
            if moment is not None:
                # What is seen by another clock may seem to come before its cause.
                self._moments[name] = max([moment, *self._moments.values()])
            return moment is not None

        self._wait(found, longest)
        return name in self._moments

    def _end(self) -> None:
        self._compare()
        self._vantage.stop()
        until = time.monotonic() + 20
        while not self._live.has_ended and time.monotonic() < until:
            time.sleep(PAUSE)
            self._pump()
        self._moments["ended"] = max([self._live.newest, *self._moments.values()])

    def _wait(self, condition: Callable[[], bool] | None, seconds: float, until: float | None = None) -> None:
        """Go on for so long, or until the condition holds, or until the worker's clock is there."""
        end, looked = time.monotonic() + seconds, 0.0
        while time.monotonic() < end and not (until is not None and self._live.newest >= until):
            self._pump()
            if condition and condition():
                return
            if time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                self._vantage.check()
                if os.getppid() != self._parent:
                    raise Lost("whoever started it is gone")
            time.sleep(PAUSE)

    def _pump(self) -> None:
        self._breaker.renew()
        self._watcher.take(self._vantage.watcher_lines())
        over = self._live.take(self._vantage.worker_lines())
        if self._live.has_begun:
            self._moments.setdefault("begun", self._live.begun)
        if over and self._live.has_begun:
            zero = self._moments.get("fault_commanded", self._live.begun + self._task.durations.steady)
            self._say(self._live.line(self._phases(self._live.newest), self._phase, zero))

    def _now(self) -> float:
        return max([self._offset.theirs(time.monotonic()), *self._moments.values()])

    def _phases(self, ended: float) -> Phases:
        moments = {name: self._moments.get(name) for name in ("fault_commanded", "fault_effective", "restore_commanded", "backend_ready")}
        last = max([ended, *self._moments.values()])
        return Phases(begun=self._moments["begun"], ended=last, restore_error=self._restore_error, **moments)

    def _drilled(self) -> Drilled:
        try:
            error: float | None = offset_of(self._exchanges).error
        except ValueError:
            error = None
        look = self._watcher.look or {}
        phases = self._phases(self._moments["ended"])
        recording = record.parse(self._live.lines)
        return Drilled(recording, self._live.lines, phases, self._expectation, error, look, self._undone, self._notes)


__all__ = ["ApiError", "Breaker", "Drill", "Drilled"]
