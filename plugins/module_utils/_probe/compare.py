# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A drill against the same drill of an earlier report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import METRICS

#: Less than this share, or than this in the metric's unit, is chance.
NOISE_SHARE, NOISE = 0.1, 0.02


@dataclass(frozen=True)
class Change:
    """A metric then and now; `better` is None where the difference may be chance or one of them was not measured."""

    metric: str
    meaning: str
    unit: str
    before: float | None
    now: float | None
    better: bool | None


def compare(drill: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> list[Change]:
    """Return the changes since the drill of the same name in `earlier`, a report; none without such a drill. Less is better in each."""
    before = next((old for old in (earlier or {}).get("drills", ()) if old.get("name") == drill["name"]), None)
    if before is None:
        return []
    changes = []
    for metric, (unit, meaning) in METRICS.items():
        then, now = before["metrics"].get(metric), drill["metrics"].get(metric)
        if then is None and now is None:
            continue
        better = None
        if then is not None and now is not None and abs(now - then) > max(NOISE, NOISE_SHARE * then):
            better = now < then
        changes.append(Change(metric, meaning, unit, then, now, better))
    return changes
