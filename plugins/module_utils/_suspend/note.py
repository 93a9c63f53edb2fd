# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What is written on a suspended Deployment, in the same patch that takes its pods: how many it gets back, since when, by whom."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SUSPENDED = "homelab.llm/suspended"
_VERSION = 1


class Unreadable(ValueError):
    """An annotation that this version did not write; the message says where it is and what to do."""


@dataclass(frozen=True)
class Note:
    """`replicas`: what the Deployment gets back, 1 or more. `since`: ISO 8601. `by`: who. `run`: which run wrote it."""

    replicas: int
    since: str
    by: str
    run: str

    def text(self) -> str:
        return json.dumps({"version": _VERSION, **dataclasses.asdict(self)}, separators=(",", ":"))

    def described(self) -> str:
        return f"suspended since {self.since} by {self.by}"


def note_of(found: Mapping[str, Any]) -> Note | None:
    """Return what is written on a Deployment, None when nothing is. Raises Unreadable."""
    metadata = found.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if SUSPENDED not in annotations:
        return None
    try:
        fields = json.loads(annotations[SUSPENDED])
        if fields.pop("version") != _VERSION:
            raise ValueError
        note = Note(**fields)
        # True is an int for Python, and no number of pods.
        if (
            isinstance(note.replicas, bool)
            or not isinstance(note.replicas, int)
            or note.replicas < 1
            or not all(isinstance(each, str) for each in (note.since, note.by, note.run))
        ):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        where = f"{metadata.get('namespace')}/{metadata.get('name')}"
        text = f"The annotation {SUSPENDED} on Deployment {where} is none that this version wrote: remove it, and scale by hand if need be"
        raise Unreadable(text) from None
    return note


def suspended_by(found: Mapping[str, Any]) -> str:
    """Return since when a Deployment is suspended and by whom, for people; "" when it is not, or that cannot be read."""
    try:
        note = note_of(found)
    except Unreadable:
        return ""
    return note.described() if note else ""
