# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Two clocks: how far apart they are, how well that is known, and whether one of them jumped."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Beat

#: Heartbeats come once a second. A longer silence means that the worker, its node or its clock stood still.
LONGEST_GAP = 2.5
#: Wall and monotonic clock may drift apart by this between two heartbeats (NTP slews by 0.0005 s a second).
LARGEST_STEP = 0.1


@dataclass(frozen=True)
class Exchange:
    """The caller's clock before it sent a `ping` and after it got the `pong`, and the worker's clock in between."""

    sent: float
    theirs: float
    received: float


@dataclass(frozen=True)
class Offset:
    """Add `seconds` to a time of the caller's clock to get the worker's; the truth is within `error` of that."""

    seconds: float
    error: float

    def theirs(self, ours: float) -> float:
        return ours + self.seconds


def offset_of(exchanges: Iterable[Exchange]) -> Offset:
    """Return the offset that fits all exchanges: each bounds it from both sides by causality alone, as in NTP, whatever the way there took.

    Raises ValueError without an exchange, or when no offset fits: a clock jumped between them.
    """
    bounds = [(exchange.theirs - exchange.received, exchange.theirs - exchange.sent) for exchange in exchanges]
    if not bounds:
        raise ValueError("the clocks were never compared")
    low, high = max(low for low, _high in bounds), min(high for _low, high in bounds)
    # Two good clocks drift apart by some 0.00005 s a second; less than a millisecond is no jump.
    if low - high > 0.001:
        raise ValueError(f"no offset of the clocks fits every comparison: one of them jumped by at least {low - high:.3f} s")
    return Offset((low + high) / 2, abs(high - low) / 2)


def find_jumps(beats: Sequence[Beat]) -> Iterator[str]:
    """Yield where the worker's clocks disagree or it was silent, a sentence each. `beats` in order, both ends of the run included."""
    for before, after in itertools.pairwise(beats):
        passed = after.t_mono - before.t_mono
        step = (after.wall - before.wall) - passed
        if passed < 0:
            yield f"the monotonic clock went back by {-passed:.2f} s"
        elif passed > LONGEST_GAP:
            yield f"the worker was silent for {passed:.1f} s where a heartbeat is due each second"
        if abs(step) > LARGEST_STEP:
            yield f"the wall clock and the monotonic clock disagree by {abs(step):.2f} s within {max(passed, 0):.1f} s: one of them jumped"
