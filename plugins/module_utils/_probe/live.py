# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The record of a drill while it grows: what to show of each second, and what is known so far."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe import measure, record, timeline
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.measure import Sight
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Recording, Request

Json = dict[str, Any]


class Live:
    """Takes the worker's lines as they come."""

    def __init__(self, expectation: Expectation) -> None:
        self._expectation = expectation
        self._seen = 0
        self._requests: list[Request] = []
        self._worst, self._phase = 0.0, "steady"
        self.lines: list[str] = []
        self.begun = self.newest = math.nan
        self.has_ended = False
        self.error = ""

    @property
    def has_begun(self) -> bool:
        return not math.isnan(self.begun)

    def take(self, lines: Iterable[str]) -> bool:
        """Take lines; return whether a second is over."""
        over = False
        for line in lines:
            self.lines.append(line)
            try:
                fields = json.loads(line)
                over = self._note(fields) or over
            except (ValueError, KeyError, TypeError, record.NotARecord):
                continue  # the judgement counts them
        return over

    def _note(self, fields: Json) -> bool:
        kind = fields["kind"]
        if kind == "request":
            self._requests.append(record.request_of(fields))
        elif kind == "hello":
            self.begun = self.newest = fields["t_mono"]
        elif kind == "beat":
            self.newest = fields["t_mono"]
            return True
        elif kind == "end":
            self.newest, self.has_ended = fields["t_mono"], True
        elif kind == "error":
            self.error = fields["text"]
        return False

    def answered_by_primaries(self) -> bool:
        """Whether the primary of each chain has answered: without that a fault would show nothing."""
        who = {(sight.chain.asked, sight.served.tier) for sight in self.sights()}
        return all((chain.asked, chain.primary.name) in who for chain in self._expectation.chains)

    def sights(self) -> list[Sight]:
        """Return every request that has ended so far and who answered it, in no phase yet."""
        return measure.sight(Recording(tuple(self._requests)), Phases(self.begun, self.newest), self._expectation)

    def line(self, phases: Phases, phase: str, zero: float) -> str:
        """Return what a person sees of what ended since the last line."""
        fresh = self._requests[self._seen :]
        self._seen = len(self._requests)
        sights = measure.sight(Recording(tuple(fresh)), phases, self._expectation)
        at = math.floor(self.newest - zero)
        second = timeline.Second(at, (), 0, 0.0) if not sights else timeline.second_of(at, sights)
        # What was slow before anything was broken is no matter of the outage.
        self._worst = max(self._worst if phase == self._phase or self._phase != "steady" else 0.0, second.worst_wait)
        self._phase = phase
        return timeline.live_line(second, phase, self._worst, self._expectation.slowest_allowed)
