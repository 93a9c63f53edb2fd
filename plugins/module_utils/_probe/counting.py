# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a tier's own counter says: where it is read, and how its readings become requests per phase."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import BadExpectation, Counter
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases

_METRIC = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{(\w+="[^"]*"(,\w+="[^"]*")*)?\})?')


class Reading(NamedTuple):
    """What a counter said: all that was counted until `begin`, and nothing after `end`; moments of the worker's clock."""

    begin: float
    end: float
    value: float


@dataclass(frozen=True)
class Meter:
    """A counter of a tier's requests: a series of a Prometheus page, or a number in a JSON document, by the keys that lead there."""

    tier: str
    url: str
    metric: str = ""
    path: tuple[str, ...] = ()

    def spec(self) -> dict[str, Any]:
        return {"tier": self.tier, "url": self.url, "metric": self.metric, "path": list(self.path)}


def meter_of(given: Mapping[str, Any]) -> Meter:
    """Return a meter from its fields. Raises BadExpectation."""
    tier, url = str(given.get("tier") or ""), str(given.get("url") or "")
    metric, path = str(given.get("metric") or ""), tuple(str(each) for each in given.get("path") or ())
    if not tier:
        raise BadExpectation("counters: each needs the tier that it counts the requests of")
    if not re.match(r"https?://[^/]+", url):
        raise BadExpectation(f"counters: {tier}: url: '{url}' is no address; it is read over http or https")
    if bool(metric) == bool(path):
        raise BadExpectation(f"counters: {tier}: say either metric, the name of a Prometheus series, or path, the keys to a number in JSON")
    if metric and not _METRIC.fullmatch(metric):
        raise BadExpectation(f'counters: {tier}: metric: write name or name{{label="value"}}, not {metric}')
    return Meter(tier, url, metric, path)


def counters_of(readings: Mapping[str, Sequence[Reading]], phases: Phases) -> list[Counter]:
    """Return how much each tier's counter grew in each phase.

    What it grew by between two readings belongs to the phase of the later one. A counter that falls was started again from 0.
    """
    found = []
    for tier, series in sorted(readings.items()):
        steps = list(itertools.pairwise(series))
        restarted = any(now.value < then.value for then, now in steps)
        for phase in phases.spans():
            own = [(then, now) for then, now in steps if phases.at(min(max(now.begin, phases.begun), phases.ended)) == phase]
            grown = sum(now.value - (then.value if now.value >= then.value else 0.0) for then, now in own)
            if own:
                found.append(Counter(tier, phase, round(grown), own[0][0].end, own[-1][1].begin, restarted))
    return found
