# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What something else than a drill has measured in the same play, held against the catalogue. Pure.

A check in a report: {id, sentence, limit, measured, verdict, by, details: [sentence]}, texts for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.catalogue import BadCatalogue, Requirement

#: Details are for somebody who reads them.
_MOST = 20


def checks_of(given: Iterable[Mapping[str, Any]], requirements: Iterable[Requirement]) -> list[dict[str, Any]]:
    """Return the checks judged by the catalogue's limits.

    `given` has id, measured (None: nothing was), complete (whether all was looked at that was to be), by (what measured it, in words), and
    details. What is beyond the limit fails however little was looked at; what is not complete proves nothing.
    Raises BadCatalogue for a requirement that is not there, has no limit, or is a drill's to prove.
    """
    known = {one.id: one for one in requirements}
    return [_check(each, known) for each in given]


def _check(given: Mapping[str, Any], known: Mapping[str, Requirement]) -> dict[str, Any]:
    one = known.get(given["id"])
    if one is None or one.limit is None or one.by != "check":
        raise BadCatalogue(f"checks: {given['id']} is no requirement of the catalogue that has a limit and is proven by a check")
    measured = given.get("measured")
    kept = measured is not None and (measured <= one.limit.value if one.limit.inclusive else measured < one.limit.value)
    complete = measured is not None and given.get("complete", True)
    details = list(given.get("details") or ())
    left = [f"and {len(details) - _MOST} more"] if len(details) > _MOST else []
    return {
        "id": one.id,
        "sentence": one.sentence,
        "limit": str(one.limit),
        "measured": "not measured" if measured is None else f"{measured:g} {one.limit.unit}",
        "verdict": "fail" if measured is not None and not kept else "pass" if complete else "inconclusive",
        "by": str(given.get("by") or ""),
        "details": [*details[:_MOST], *left],
    }


def with_checks(report: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the report with these, and with the worst verdict of all. Without a check it stays as it was."""
    if not checks:
        return dict(report)
    words = {report["verdict"], *(each["verdict"] for each in checks)} if report["drills"] else {each["verdict"] for each in checks}
    word = next(word for word in ("fail", "inconclusive", "pass") if word in words)
    return {**report, "verdict": word, "checks": [dict(each) for each in checks]}
