# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A report as Markdown: for an issue, a merge request, a chat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.compare import compare

_SIGNS = {"pass": "✅ pass", "fail": "❌ fail", "inconclusive": "❔ inconclusive"}


def _t(text: Any) -> str:
    """Return a text that cannot begin a cell, a tag, a link or a line of its own."""
    plain = " ".join(str(text).split())
    for char in "\\`*_[]<>|#~":
        plain = plain.replace(char, "\\" + char)
    return plain


def _n(value: float | None, digits: int = 3) -> str:
    return "?" if value is None else f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0"


def render(report: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> str:
    """Return the file's text; parameters as report_html.render."""
    lines = [f"# {_SIGNS[report['verdict']]}: {_t(report['title'])}", "", _t(report["made_at"]), ""]
    for drill in report["drills"]:
        lines += _drill(drill, earlier)
    lines += _checks(report.get("checks", ()))
    return "\n".join(lines).rstrip() + "\n"


def _checks(checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not checks:
        return
    yield from ("## Measured without a drill", "", "| id | what | limit | measured | verdict | by |", "|---|---|---|---|---|---|")
    for one in checks:
        told = (_t(one[name]) for name in ("id", "sentence", "limit", "measured"))
        yield f"| {' | '.join(told)} | {_SIGNS[one['verdict']]} | {_t(one['by'])} |"
    yield ""
    yield from (f"- {_t(text)}" for one in checks for text in one["details"])


def _drill(drill: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> Iterator[str]:
    yield from (f"## {_t(drill['title'])}: {_SIGNS[drill['verdict']]}", "", _t(drill["headline"]), "")
    for reason in drill["reasons"]:
        yield f"- **{_t(reason['code'])}**: {_t(reason['text'])}"
    if drill["reasons"]:
        yield ""
    if drill["thresholds"]:
        yield from ("| id | what | limit | measured | verdict |", "|---|---|---|---|---|")
    for one in drill["thresholds"]:
        sign, unit = "≤" if one["inclusive"] else "<", one["unit"]
        off = f" ± {_n(one['uncertainty'])}" if one["uncertainty"] else ""
        measured = "not measured" if one["measured"] is None else f"{_n(one['measured'])}{off} {unit}"
        yield f"| {_t(one['id'])} | {_t(one['meaning'])} | {sign} {one['limit']:g} {unit} | {measured} | {_SIGNS[one['verdict']]} |"
    yield from ("", "| phase | answer | requests | p50 s | p95 s | p99 s | max s |", "|---|---|--:|--:|--:|--:|--:|")
    for row in drill["percentiles"]:
        numbers = " | ".join(_n(row[name]) for name in ("p50", "p95", "p99", "max"))
        yield f"| {row['phase']} | {row['kind']} | {row['count']} | {numbers} |"
    yield ""
    fault, restore = drill["fault"], drill["restore"]
    if fault["kind"] != "none":
        yield from (f"Broken: {_t(fault['kind'])} on {_t(fault['target'])}. {_t(fault['how'])}", "")
        yield from (f"Restore: {_t(restore['state'])}. {_t(restore['error'] or restore['how'])}", "")
    changes = compare(drill, earlier)
    if changes:
        yield from ("| compared | then | now | |", "|---|--:|--:|---|")
        for change in changes:
            word = {True: "better", False: "worse", None: ""}[change.better]
            yield f"| {_t(change.meaning)}, {change.unit} | {_n(change.before)} | {_n(change.now)} | {word} |"
        yield ""
