# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Tells what a scan has come to, without a value or a part of one in it."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._leaks.survey import Finding, Survey
from ansible_collections.homelab.llm.plugins.module_utils._leaks.wanted import Wanted

CLEAN, LEAKED, INCONCLUSIVE = "clean", "leaked", "inconclusive"

#: A leak in a loop over ten thousand files is one leak, and a result of this size is read by somebody.
MOST_FINDINGS = 200

_SHOWN = 3


def result(wanted: Wanted, survey: Survey) -> dict[str, Any]:
    """Return what the module returns."""
    hits = sum(finding.tally.count for finding in survey.findings)
    verdict = LEAKED if hits else INCONCLUSIVE if survey.unread else CLEAN
    return dict(
        changed=False,
        verdict=verdict,
        hits=hits,
        findings=[_finding(wanted, each) for each in survey.findings[:MOST_FINDINGS]],
        findings_left_out=max(0, len(survey.findings) - MOST_FINDINGS),
        scanned=dict(
            values=len(wanted.values),
            places=sum(survey.streams.values()),
            bytes=sum(survey.sizes.values()),
            kinds={kind: dict(places=count, bytes=survey.sizes[kind]) for kind, count in sorted(survey.streams.items())},
        ),
        unreadable=[dict(place=each.where, why=each.why) for each in survey.unread],
        unscannable=[
            dict(secret=each.owner.name, namespace=each.owner.namespace, key=each.owner.key, why=each.why) for each in wanted.unscannable
        ],
        msg=_headline(wanted, survey, hits, verdict),
    )


def warnings(wanted: Wanted) -> list[str]:
    return [f"Not looked for: {each.owner} {each.why}" for each in wanted.unscannable]


def _finding(wanted: Wanted, finding: Finding) -> dict[str, Any]:
    place, tally = finding.place, finding.tally
    return dict(
        kind=place.kind,
        object=place.what,
        container=place.container,
        previous=place.previous,
        path=place.path,
        line=tally.lines[0],
        lines=tally.lines,
        offset=tally.offset,
        count=tally.count,
        form=finding.form,
        part=finding.part,
        secrets=[dict(namespace=each.namespace, name=each.name, key=each.key) for each in wanted.owners[finding.value]],
        sentence=_sentence(wanted, finding),
    )


def _sentence(wanted: Wanted, finding: Finding) -> str:
    owner = " and ".join(str(each) for each in wanted.owners[finding.value])
    often = f", {finding.tally.count} times" if finding.tally.count > 1 else ""
    part = "" if finding.part == "whole" else f"the {finding.part} of "
    return f"{finding.place.kind} {finding.place}, line {finding.tally.lines[0]}: {part}{owner} ({finding.form}{often})"


def _headline(wanted: Wanted, survey: Survey, hits: int, verdict: str) -> str:
    size = sum(survey.sizes.values()) / 1e6
    looked = f"looked for {len(wanted.values)} values in {sum(survey.streams.values())} places, {size:.1f} MB"
    if verdict == LEAKED:
        shown = "; ".join(_sentence(wanted, each) for each in survey.findings[:_SHOWN])
        more = f"; and {len(survey.findings) - _SHOWN} more" if len(survey.findings) > _SHOWN else ""
        return f"{hits} leaks ({looked}): {shown}{more}"
    if verdict == INCONCLUSIVE:
        shown = "; ".join(f"{each.where}: {each.why}" for each in survey.unread[:_SHOWN])
        more = f"; and {len(survey.unread) - _SHOWN} more" if len(survey.unread) > _SHOWN else ""
        return f"No leak, but not everything could be read ({looked}): {shown}{more}"
    return f"No leak: {looked}"
