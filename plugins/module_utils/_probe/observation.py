# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Clients at work: they ask by the clock while somebody else does something to the backends; what they saw, when, and a line a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Exchange, Offset, offset_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import BadExpectation, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.live import Live
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import Plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.sighting import ByWatcher
from ansible_collections.homelab.llm.plugins.module_utils._probe.suspicion import COUNTED_AFTER
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import BadTask, Task
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Lost, Vantage

PAUSE = 0.05
#: Seconds for LiteLLM, or whoever is asked in its place, to be looked at; and, beside the clients' grace, for the worker's last words.
LOOK, LAST_WORDS = 30.0, 10.0


class Observation:
    """From the clients' first request to their last. Times are the worker's clock unless said otherwise.

    `meanwhile` is called all the time. `moments`: what happened when, by the names of Phases.
    """

    def __init__(self, task: Task, vantage: Vantage, say: Callable[[str], None], meanwhile: Callable[[], None] = lambda: None) -> None:
        self._task, self._vantage, self._say, self._meanwhile = task, vantage, say, meanwhile
        self._exchanges: list[Exchange] = []
        self._grace = 0.0
        self._parent = os.getppid()
        self.watcher = ByWatcher()
        self.offset = Offset(0.0, 0.0)
        self.phase = "steady"
        self.moments: dict[str, float] = {}
        self.expectation: Expectation
        self.live: Live

    def begin(self, plan: Plan, look: dict[str, Any]) -> None:
        """Let the clients begin. Raises BadTask when what is asked is not served, Lost, ApiError."""
        self._vantage.start(plan, look)
        self._grace = plan.grace_s
        until = time.monotonic() + LOOK
        while self.watcher.look is None:
            self._vantage.check()
            if time.monotonic() > until:
                raise Lost(f"{self._task.front} was not looked at within {LOOK:.0f} s")
            time.sleep(PAUSE)
            self.watcher.take(self._vantage.watcher_lines())
        found, where = self.watcher.look, self._task.gateway or self._task.url
        if found["error"]:
            raise BadTask(f"{'gateway' if self._task.gateway else 'url'}: {where} {found['error']}")
        if unread := {tier: why for tier, why in self.watcher.uncounted.items() if why}:
            raise BadTask("; ".join(f"counters: {tier} cannot be read: {why}" for tier, why in unread.items()))
        if missing := self._task.unserved(found["served"]):
            raise BadTask(f"models: {', '.join(missing)} is not served at {where}; there are {', '.join(found['served'])}")
        try:
            self.expectation = self._task.expectation(found["tiers"])
        except BadExpectation as error:
            raise BadTask(str(error)) from None
        self.live = Live(self.expectation)
        self.wait(lambda: self.live.has_begun, LOOK)
        if not self.live.has_begun:
            raise Lost(self.live.error or "its worker said nothing")
        self.compare()

    def compare(self) -> None:
        """Compare the clocks; the more often, the better they are known."""
        self._exchanges += self._vantage.exchanges()
        try:
            self.offset = offset_of(self._exchanges)
        except ValueError:
            self.offset = Offset(self.live.newest - time.monotonic(), 1.0)  # for the live view; the verdict is told that it is unknown

    @property
    def clock_error(self) -> float | None:
        """Seconds by which the clocks may differ from what is known; None when they could not be compared."""
        try:
            return offset_of(self._exchanges).error
        except ValueError:
            return None

    def wait(self, condition: Callable[[], bool] | None, seconds: float, until: float | None = None) -> None:
        """Go on for so long, or until the condition holds, or until the worker's clock is there. Raises Lost."""
        end, looked = time.monotonic() + seconds, 0.0
        while time.monotonic() < end and not (until is not None and self.live.newest >= until):
            self._pump()
            if condition and condition():
                return
            if time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                self._vantage.check()
                if os.getppid() != self._parent:
                    raise Lost("whoever started it is gone")
            time.sleep(PAUSE)

    def end(self) -> None:
        """Let the clients end what they have begun."""
        self.compare()
        self._vantage.stop()
        until = time.monotonic() + self._grace + LAST_WORDS
        while not self.live.has_ended and time.monotonic() < until:
            time.sleep(PAUSE)
            self._pump()
        ended = self.moments["ended"] = max([self.live.newest, *self.moments.values()])
        while time.monotonic() < until and not self.watcher.has_read(ended + COUNTED_AFTER):
            time.sleep(PAUSE)
            self.watcher.take(self._vantage.watcher_lines())

    def close(self) -> None:
        """Take the clients away, whatever has happened."""
        self._vantage.close()

    def now(self) -> float:
        return max([self.offset.theirs(time.monotonic()), *self.moments.values()])

    def phases(self, restore_error: str = "") -> Phases:
        """Return the phases so far."""
        moments = {name: self.moments.get(name) for name in ("fault_commanded", "fault_effective", "restore_commanded", "backend_ready")}
        last = max([self.live.newest, *self.moments.values()])
        return Phases(begun=self.moments["begun"], ended=last, restore_error=restore_error, **moments)

    def _pump(self) -> None:
        self._meanwhile()
        self.watcher.take(self._vantage.watcher_lines())
        over = self.live.take(self._vantage.worker_lines())
        if self.live.has_begun:
            self.moments.setdefault("begun", self.live.begun)
        if over and self.live.has_begun:
            zero = self.moments.get("fault_commanded", self.live.begun + self._task.durations.steady)
            self._say(self.live.line(self.phases(), self.phase, zero))
