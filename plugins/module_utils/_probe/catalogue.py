# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The catalogue of requirements (playbooks/vars/nfr.yml) as checked data: what is asked, by which limit, and what proves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import BadExpectation, Threshold

#: What a limit that no drill measures may be counted in, beside a drill's units.
COUNTS = ("hits", "writes", "placeholders", "requests", "s", "ms")
_FIELDS: Mapping[str, frozenset[str]] = {
    "drill": frozenset({"by", "drills", "metric"}),
    "check": frozenset({"by", "where"}),
    "none": frozenset({"by", "why"}),
}


class BadCatalogue(ValueError):
    """The catalogue cannot be used; the message names every entry that is wrong, and how."""


@dataclass(frozen=True)
class Limit:
    """Less than `value` `unit`, or with `inclusive` not more; `aim`, in the same unit, is what one would like."""

    value: float
    unit: str
    inclusive: bool = False
    aim: float | None = None

    def __str__(self) -> str:
        if self.value == 0:
            return f"0 {self.unit}"
        return f"{'≤' if self.inclusive else '<'} {self.value:g} {self.unit}"


@dataclass(frozen=True)
class Requirement:
    """One entry. `drills` and `metric` are set for a proof by drill, `where` for one by check, `why` for none."""

    id: str
    sentence: str
    by: Literal["drill", "check", "none"]
    limit: Limit | None = None
    aim: str = ""
    drills: tuple[str, ...] = ()
    metric: str = ""
    where: str = ""
    why: str = ""

    def threshold(self) -> Threshold:
        """Return what a drill holds its measurement against. Raises BadExpectation for a requirement that no drill proves."""
        if self.by != "drill" or self.limit is None:
            raise BadExpectation(f"{self.id} is not proven by a drill")
        return Threshold(self.id, self.metric, self.limit.value, self.limit.unit, self.limit.inclusive, self.limit.aim, self.sentence)


def load(entries: Any) -> tuple[Requirement, ...]:
    """Return the requirements in `entries`, the list `nfr_catalogue`. Raises BadCatalogue with everything that is wrong in it."""
    if not isinstance(entries, list) or not entries:
        raise BadCatalogue("the catalogue of requirements must be a list with entries")
    problems: list[str] = []
    found: list[Requirement] = []
    for place, entry in enumerate(entries, start=1):
        try:
            found.append(_requirement(entry, place))
        except BadExpectation as error:
            problems.append(str(error))
    ids = [requirement.id for requirement in found]
    problems += [f"{name}: is in the catalogue {ids.count(name)} times" for name in sorted(set(ids)) if ids.count(name) > 1]
    if problems:
        raise BadCatalogue(f"the catalogue of requirements cannot be used: {'; '.join(problems)}")
    return tuple(found)


def of_drill(requirements: Iterable[Requirement], drill: str) -> tuple[Threshold, ...]:
    """Return the thresholds that a drill of this name has to keep."""
    return tuple(requirement.threshold() for requirement in requirements if drill in requirement.drills)


def _requirement(entry: Any, place: int) -> Requirement:
    if not isinstance(entry, Mapping) or not entry.get("id") or not isinstance(entry["id"], str):
        raise BadExpectation(f"entry {place}: has no id")
    name = entry["id"]
    if unknown := set(entry) - {"id", "sentence", "limit", "aim", "proof"}:
        raise BadExpectation(f"{name}: {', '.join(sorted(unknown))} is unknown")
    if not entry.get("sentence"):
        raise BadExpectation(f"{name}: has no sentence")
    proof = entry.get("proof")
    if not isinstance(proof, Mapping) or proof.get("by") not in _FIELDS:
        raise BadExpectation(f"{name}: proof must say by: {', '.join(_FIELDS)}")
    by = cast('Literal["drill", "check", "none"]', proof["by"])
    if set(proof) != _FIELDS[by]:
        raise BadExpectation(f"{name}: a proof by {by} needs exactly {', '.join(sorted(_FIELDS[by]))}, not {', '.join(sorted(proof))}")
    requirement = Requirement(
        id=name,
        sentence=str(entry["sentence"]),
        by=by,
        limit=_limit(name, entry.get("limit")),
        aim=str(entry.get("aim") or ""),
        drills=tuple(proof.get("drills") or ()),
        metric=str(proof.get("metric") or ""),
        where=str(proof.get("where") or ""),
        why=str(proof.get("why") or ""),
    )
    if by == "drill":
        if requirement.limit is None or not requirement.drills:
            raise BadExpectation(f"{name}: a proof by drill needs a limit and the names of drills")
        requirement.threshold()  # an unknown metric, or a unit that is not the metric's
    return requirement


def _limit(name: str, limit: Any) -> Limit | None:
    if limit is None:
        return None
    if not isinstance(limit, Mapping) or set(limit) - {"value", "unit", "inclusive", "aim"}:
        raise BadExpectation(f"{name}: a limit has value, unit, inclusive and aim")
    value = limit.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadExpectation(f"{name}: the limit {value!r} is no number")
    if not limit.get("unit"):
        raise BadExpectation(f"{name}: the limit {value:g} has no unit; write {', '.join(COUNTS)}")
    if limit["unit"] not in COUNTS:
        raise BadExpectation(f"{name}: '{limit['unit']}' is no unit; write {', '.join(COUNTS)}")
    aim = limit.get("aim")
    if aim is not None and (isinstance(aim, bool) or not isinstance(aim, (int, float))):
        raise BadExpectation(f"{name}: the aim {aim!r} is no number")
    return Limit(float(value), limit["unit"], bool(limit.get("inclusive", False)), None if aim is None else float(aim))


def markdown(requirements: Iterable[Requirement]) -> str:
    """Return docs/NFR.md."""
    return "\n".join(_lines(requirements)) + "\n"


def _lines(requirements: Iterable[Requirement]) -> Iterator[str]:
    yield from (
        "<!-- Made by scripts/nfr from playbooks/vars/nfr.yml: edit that one. -->",
        "# Timings and guarantees",
        "",
        "What is asked, and what proves it. A drill breaks something on purpose and measures it ([how it measures and judges](PROBE.md));",
        "a check looks without an outage. What nothing proves yet says so.",
        "",
        "| id | requirement | limit | aim | proof |",
        "|---|---|---|---|---|",
    )
    for one in requirements:
        cells = (one.id, one.sentence, str(one.limit or "–"), one.aim or "–", _proof(one))  # noqa: RUF001 - a dash for nothing
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _proof(one: Requirement) -> str:
    if one.by == "drill":
        return f"drill {', '.join(f'`{drill}`' for drill in one.drills)}: `{one.metric}`"
    return f"check: {one.where}" if one.by == "check" else f"**not proven**: {one.why}"
