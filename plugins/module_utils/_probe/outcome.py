# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""How each requirement of the catalogue came out: the table at the end of the drills. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.catalogue import Requirement

_ORDER = ("pass", "inconclusive", "fail")


@dataclass(frozen=True)
class Outcome:
    """A row. `measured` is the worst of all drills that prove it, with its unit; `by` says which one that was, or what proves it."""

    id: str
    limit: str
    measured: str
    verdict: str
    by: str

    def cells(self) -> tuple[str, ...]:
        return self.id, self.limit, self.measured, self.verdict, self.by


def outcomes(
    requirements: Iterable[Requirement], drills: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]] = ()
) -> list[Outcome]:
    """Return a row for each requirement; `drills` are results (result.py), `checks` what else was measured (checks.py).

    One that nothing of it measured says what proves it instead.
    """
    found = []
    checked = {each["id"]: each for each in checks}
    for one in requirements:
        limit = str(one.limit or "-")
        if one.id in checked:
            found.append(Outcome(one.id, limit, *(checked[one.id][cell] for cell in ("measured", "verdict", "by"))))
            continue
        held = [(drill, each) for drill in drills for each in drill["thresholds"] if each["id"] == one.id]
        if not held:
            found.append(Outcome(one.id, limit, "-", *_unmeasured(one)))
            continue
        # A drill that is no pass as a whole shows nothing, though one of its limits may have been kept.
        words = {each["verdict"] for _drill, each in held} | {"inconclusive" for drill, _each in held if drill["verdict"] == "inconclusive"}
        known = [(each["measured"], drill["name"], each["unit"]) for drill, each in held if each["measured"] is not None]
        worst = max(known, default=None)
        measured = f"{worst[0]:.3g} {worst[2]}" if worst else "not measured"
        count = f", the worst of {len(held)}" if len(held) > 1 else ""
        found.append(Outcome(one.id, limit, measured, max(words, key=_ORDER.index), f"{worst[1] if worst else held[0][0]['name']}{count}"))
    return found


def _unmeasured(one: Requirement) -> tuple[str, str]:
    if one.by == "drill":
        return "not drilled", f"drill {', '.join(one.drills)}"
    return ("checked elsewhere", one.where) if one.by == "check" else ("not proven", one.why)


def table(rows: Sequence[Outcome]) -> list[str]:
    """Return the rows as lines of text, in columns."""
    heads = ("id", "limit", "measured", "verdict", "by")
    cells = [heads, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads) - 1)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]) for line in cells]
