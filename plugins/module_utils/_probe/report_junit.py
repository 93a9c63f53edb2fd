# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A report as JUnit XML: for a build server, where a drill is a suite and a threshold a test case.

Inconclusive is an error, not a pass and not "skipped": a gate that could not measure must not open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

#: What XML 1.0 cannot hold, however it is escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _t(text: Any) -> str:
    return _ILLEGAL.sub("\ufffd", str(text))


def render(report: Mapping[str, Any]) -> str:
    """Return the file's text."""
    suites = [line for drill in report["drills"] for line in _suite(drill)]
    suites += _checks(report.get("checks", ()))
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites name={quoteattr(_t(report['title']))}>", *suites, "</testsuites>", ""]
    )


def _checks(checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not checks:
        return
    words = [one["verdict"] for one in checks]
    counts = f'tests="{len(checks)}" failures="{words.count("fail")}" errors="{words.count("inconclusive")}"'
    yield f'<testsuite name="checks" {counts}>'
    for one in checks:
        text = "\n".join((f"limit {one['limit']}, measured {one['measured']}, by {one['by']}", *one["details"]))
        yield _case("checks", f"{one['id']} {one['sentence']}", one["verdict"], text)
    yield "</testsuite>"


def _case(suite: str, name: str, word: str, text: str) -> str:
    tag = {"fail": "failure", "inconclusive": "error"}.get(word)
    case = f"<testcase classname={quoteattr(_t(suite))} name={quoteattr(_t(name))}"
    if tag is None:
        return f"{case}/>"
    first = (text.splitlines() or [word])[0]
    return f"{case}><{tag} type={quoteattr(word)} message={quoteattr(_t(first))}>{escape(_t(text))}</{tag}></testcase>"


def _suite(drill: Mapping[str, Any]) -> Iterator[str]:
    # The drill as a whole is a case too: a restore that failed belongs to no threshold.
    cases: list[tuple[str, str, str]] = [("the drill as a whole", drill["verdict"], "\n".join(one["text"] for one in drill["reasons"]))]
    for one in drill["thresholds"]:
        measured = "not measured" if one["measured"] is None else f"{one['measured']:g} {one['unit']}"
        cases.append((f"{one['id']} {one['meaning']}", one["verdict"], f"limit {one['limit']:g} {one['unit']}, measured {measured}"))
    words = [word for _name, word, _text in cases]
    moments = [moment for span in drill["phases"].values() for moment in span]
    attributes = {
        "name": _t(drill["name"]),
        "tests": len(cases),
        "failures": words.count("fail"),
        "errors": words.count("inconclusive"),
        "time": f"{max(moments) - min(moments):.3f}",
        "timestamp": _t(drill["started_at"])[:19],
    }
    yield f"<testsuite {' '.join(f'{name}={quoteattr(str(value))}' for name, value in attributes.items())}>"
    yield from (_case(drill["name"], name, word, text) for name, word, text in cases)
    yield f"<system-out>{escape(_t(drill['headline']))}</system-out>"
    yield "</testsuite>"
