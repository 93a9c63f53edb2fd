# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A drill second by second: for the live line while it runs, and for the strip below the picture."""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._probe.measure import Sight


@dataclass(frozen=True)
class Second:
    """Requests that *ended* within a second, `at` whole seconds since zero. `answered`: count per tier, "?" for nobody known."""

    at: int
    answered: tuple[tuple[str, int], ...]
    lost: int
    worst_wait: float

    @property
    def requests(self) -> int:
        return sum(count for _tier, count in self.answered) + self.lost


def seconds_of(sights: Iterable[Sight], zero: float) -> tuple[Second, ...]:
    """Return each second in which a request ended, in order. `zero` is a time of the requests' clock."""
    by_second: dict[int, list[Sight]] = {}
    for sight in sights:
        by_second.setdefault(math.floor(sight.request.t_end - zero), []).append(sight)
    return tuple(second_of(at, found) for at, found in sorted(by_second.items()))


def second_of(at: int, sights: Sequence[Sight]) -> Second:
    """Return what ended in one second, of which there must be something."""
    who = Tally(sight.served.tier or "?" for sight in sights if not sight.lost)
    return Second(at, tuple(sorted(who.items())), sum(sight.lost for sight in sights), max(sight.wait for sight in sights))


def live_line(second: Second, phase: str, worst_so_far: float, limit: float | None) -> str:
    """Return what a person who watches a drill sees of one second, in one line."""
    who = ", ".join(f"{tier} {count}" for tier, count in sorted(second.answered, key=lambda one: -one[1])) or "nobody"
    lost = f", LOST {second.lost}" if second.lost else ""
    of = f" of {limit:g} s" if limit is not None else " s"
    return f"{second.at:+4d} s  {phase:<8}  {second.requests:3d} requests: {who}{lost}  worst {worst_so_far:.2f}{of}"
