# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a judgement has found: one sentence each, with a code that does not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["broken", "untrusted", "fail", "doubt"]
"""What it does to the verdict, the strongest first.

    broken     the cluster is not as it was: fail, and the first thing to say
    untrusted  the times cannot be trusted: inconclusive, whatever they say
    fail       a client did not get what it should have: fail
    doubt      it cannot be told: inconclusive unless something failed
"""

#: Every code, with its severity.
CODES: Mapping[str, Severity] = {
    "restore_failed": "broken",
    "not_restored": "broken",
    "clock_jumped": "untrusted",
    "clock_unknown": "untrusted",
    "worker_late": "untrusted",
    "record_incomplete": "untrusted",
    "same_server": "fail",
    "wrong_model": "fail",
    "unneeded": "fail",
    "lost": "fail",
    "over_limit": "fail",
    "not_recovered": "fail",
    "skipped": "doubt",
    "no_primary_traffic": "doubt",
    "not_steady": "doubt",
    "fault_did_not_take": "doubt",
    "came_back_by_itself": "doubt",
    "cached": "doubt",
    "unknown_answerer": "doubt",
    "counter_disagrees": "doubt",
    "too_few_samples": "doubt",
    "not_measured": "doubt",
    "no_threshold": "doubt",
}


@dataclass(frozen=True)
class Finding:
    """`code` is a key of CODES, `text` one sentence for people, with what to do where that is known."""

    code: str
    text: str

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"{self.code} is no code of a finding")

    @property
    def severity(self) -> Severity:
        return CODES[self.code]


def some(count: int, what: str) -> str:
    """Return "1 request" or "7 requests"."""
    return f"{count} {what}{'' if count == 1 else 's'}"
