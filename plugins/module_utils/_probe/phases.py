# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The phases of a drill, on the worker's clock: steady, fault, restore, recovery."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Request

Phase = Literal["steady", "fault", "restore", "recovery"]
PHASES: tuple[Phase, ...] = ("steady", "fault", "restore", "recovery")


@dataclass(frozen=True)
class Phases:
    """When what happened, in seconds of the worker's monotonic clock; None is for what did not happen.

    steady    from `begun` to `fault_commanded`; without a fault (`none`, check mode) to `ended`
    fault     from the command until the command to restore. `fault_effective` is when the *cluster* or the *backend* was seen broken, by
              something other than the requests that are judged
    restore   from `restore_commanded` until `backend_ready`: the backend itself answers, asked without LiteLLM
    recovery  from there to `ended`

    `restore_error` says why a restore failed; then nothing else matters.
    """

    begun: float
    ended: float
    fault_commanded: float | None = None
    fault_effective: float | None = None
    restore_commanded: float | None = None
    backend_ready: float | None = None
    restore_error: str = ""

    def __post_init__(self) -> None:
        order = [self.begun, self.fault_commanded, self.fault_effective, self.restore_commanded, self.backend_ready, self.ended]
        known = [time for time in order if time is not None]
        if known != sorted(known):
            named = ", ".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self) if field.name != "restore_error")
            raise ValueError(f"the phases are not in order: {named}")

    @property
    def has_fault(self) -> bool:
        return self.fault_commanded is not None

    def spans(self) -> dict[Phase, tuple[float, float]]:
        """Return begin and end of each phase that there was."""
        if self.fault_commanded is None:
            return {"steady": (self.begun, self.ended)}
        spans: dict[Phase, tuple[float, float]] = {"steady": (self.begun, self.fault_commanded)}
        spans["fault"] = (self.fault_commanded, self.restore_commanded if self.restore_commanded is not None else self.ended)
        if self.restore_commanded is not None:
            spans["restore"] = (self.restore_commanded, self.backend_ready if self.backend_ready is not None else self.ended)
        if self.backend_ready is not None:
            spans["recovery"] = (self.backend_ready, self.ended)
        return spans

    def at(self, time: float) -> Phase:
        """Return the phase of a moment."""
        for phase, (begin, end) in reversed(list(self.spans().items())):
            if begin <= time and (time < end or end == self.ended):
                return phase
        return "steady"

    def of(self, request: Request) -> Phase:
        """Return the phase a request belongs to: that of its start. One that the fault met under way has met the fault."""
        phase = self.at(request.t_start)
        if phase == "steady" and self.fault_commanded is not None and request.t_end >= self.fault_commanded:
            return "fault"
        return phase
