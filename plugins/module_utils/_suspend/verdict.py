# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What clients got while a backend was suspended or resumed: plain functions over who answered when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._probe.finding import some
from ansible_collections.homelab.llm.plugins.module_utils._probe.measure import Sight

#: So many requests one after another must be answered by the right one: streams and whole answers take turns, and LiteLLM may go back
#: and forth while a backend leaves.
CONFIRM = 5


@dataclass(frozen=True)
class Run:
    """Requests without one by anybody else in between, up to the newest: when the first began, and when it was answered."""

    started: float
    answered: float


@dataclass(frozen=True)
class Tally:
    """What clients got. Seconds. `answered`: how many by whom."""

    requests: int
    lost: int
    worst_wait: float
    answered: Mapping[str, int]


def tally(sights: Sequence[Sight]) -> Tally:
    who = Counter(one.served.tier or f"unknown ({one.served.claimed or one.served.problem})" for one in sights if not one.lost)
    return Tally(len(sights), sum(one.lost for one in sights), max((one.wait for one in sights), default=0.0), dict(who))


def newest_answerer(sights: Sequence[Sight], model: str) -> str:
    """Return who answered the newest request for the model; "" when nobody did."""
    asked = [one for one in sights if one.chain.asked == model]
    return max(asked, key=lambda one: one.request.t_start).served.tier if asked else ""


def unbroken(sights: Sequence[Sight], model: str, tier: str, since: float) -> Run | None:
    """Return the requests for the model since that moment that the tier answered without a break; None while they are too few."""
    found = []
    for one in sorted(sights, key=lambda one: -one.request.t_start):
        if one.chain.asked != model:
            continue
        if one.lost or one.served.tier != tier or one.request.t_start < since:
            break
        found.append(one)
    if len(found) < CONFIRM:
        return None
    return Run(found[-1].request.t_start, found[-1].request.t_start + found[-1].wait)


def find_problems(sights: Sequence[Sight], model: str, tier: str, run: Run | None, zero: float) -> list[str]:
    """Return what must not have been, a sentence each: lost requests, answers of who had no business answering.

    `tier`: who shall answer in the end, and `run` since when it does. `zero`: the moment of the command, for people.
    """
    problems = []
    if lost := [one for one in sights if one.lost]:
        first = lost[0].request
        why = f"status {first.status}: {first.error}" if first.finish == "status" else first.error or first.finish
        when = f"{first.t_start - zero:+.1f} s from the command"
        problems.append(
            f"{some(len(lost), 'request')} of {len(sights)} {_were(lost)} lost, the first for {first.asked} {when}: {why[:200]}"
        )
    strangers = [one for one in sights if not one.lost and one.served.tier not in {each.name for each in one.chain.tiers[:2]}]
    if strangers:
        who = strangers[0].served.tier or strangers[0].served.claimed or "somebody that LiteLLM does not name"
        problems.append(f"{some(len(strangers), 'request')} {_were(strangers)} answered by {who}, who had no business to")
    if run:
        others = [one for one in sights if one.chain.asked == model and one.request.t_start >= run.started and one.served.tier != tier]
        if others := [one for one in others if not one.lost and one not in strangers]:
            problems.append(
                f"{some(len(others), 'request')} {_were(others)} answered by {others[0].served.tier} when {tier} answered already"
            )
    return problems


def _were(found: Sequence[Sight]) -> str:
    return "was" if len(found) == 1 else "were"
