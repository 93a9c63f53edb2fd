# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a fault writes on the object it breaks, before and together with breaking it: who, until when, and what to undo.

Two annotations: JOURNAL holds all of it and is written once; ALIVE is a number that the holder raises every few seconds. Whoever finds a
journal and sees the number stand still for LEASE seconds knows that its holder is dead, whatever the two machines' clocks say.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Edit, Object, digest, merged, setting, value_at

JOURNAL = "homelab.llm/failover-probe"
ALIVE = "homelab.llm/failover-probe-alive"
#: A label, so that what is broken can be listed.
BROKEN = "homelab.llm/failover-probe-broken"
#: On the pods of a probe: whose they are.
HOLDER = "homelab.llm/failover-probe-holder"
#: Between two signs of life; and how long a number must stand still. An API server that is gone for 10 s kills nobody.
RENEWAL, LEASE = 3.0, 16.0


class Unreadable(ValueError):
    """A journal that this version cannot undo; the message says where it is."""


@dataclass(frozen=True)
class Holder:
    """A process. `machine` is one boot of one machine and its process namespace, so that `pid` and `started` mean something there."""

    who: str
    machine: str
    pid: int
    started: str

    @property
    def is_known_dead(self) -> bool:
        """True only for a process of this very machine that is no more; a stranger may live."""
        return self.machine == _machine() and _started(self.pid) != self.started


def holder_of(text: str) -> Holder | None:
    """Return the holder that an annotation names, None when it names none."""
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


def note() -> dict[str, str]:
    """Return the annotation that makes a pod this process's own."""
    return {HOLDER: json.dumps(dataclasses.asdict(myself()), separators=(",", ":"))}


def myself() -> Holder:
    return Holder(f"process {os.getpid()} on {socket.gethostname()}", _machine(), os.getpid(), _started(os.getpid()))


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no path, a name
    except OSError:
        return f"{socket.gethostname()}/{os.getpid()}"


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks; "" when there is none."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in "ZX" else words[19]


@dataclass(frozen=True)
class Journal:
    """`edits`: what to undo. `made`: other objects to delete, [apiVersion, kind, name]. `backup`: the Secret with what is secret.

    `expires`, for people: when its holder meant to be done at the latest.
    `call`: the request that undoes a fault that an admin API made, {"method", "url", "body"}. `rest`: fingerprint of all else in the spec.
    """

    run: str
    fault: str
    holder: Holder
    began: str
    expires: str
    edits: tuple[Edit, ...] = ()
    made: tuple[tuple[str, str, str], ...] = ()
    backup: str = ""
    call: Mapping[str, Any] | None = None
    rest: str = ""

    def text(self) -> str:
        return json.dumps({"version": 1, **dataclasses.asdict(self)}, separators=(",", ":"))

    def described(self) -> str:
        return f"fault {self.fault} of {self.holder.who}, begun {self.began}, to end before {self.expires}"


def now_text(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="seconds")


def journal_of(found: Mapping[str, Any]) -> Journal | None:
    """Return the journal on an object, None without one. Raises Unreadable."""
    annotations = value_at(found, ("metadata", "annotations")) or {}
    if JOURNAL not in annotations:
        return None
    where = f"{found.get('kind', 'object')} {found['metadata'].get('namespace')}/{found['metadata'].get('name')}"
    try:
        fields = json.loads(annotations[JOURNAL])
        if fields.pop("version") != 1:
            raise ValueError
        edits = tuple(Edit(**{**each, "path": tuple(each["path"])}) for each in fields.pop("edits"))
        made = tuple((each[0], each[1], each[2]) for each in fields.pop("made"))
        return Journal(edits=edits, made=made, holder=Holder(**fields.pop("holder")), **fields)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        text = f"the annotation {JOURNAL} on {where} is none that this version wrote: undo by hand what it says, then remove it"
        raise Unreadable(text) from None


def alive_of(found: Mapping[str, Any]) -> str:
    return str((value_at(found, ("metadata", "annotations")) or {}).get(ALIVE, ""))


def breaking(found: Mapping[str, Any], journal: Journal) -> Object:
    """Return the one patch that writes the journal and breaks the object; refused by the server when `found` is not the newest."""
    metadata = {
        "resourceVersion": found["metadata"]["resourceVersion"],
        "annotations": {JOURNAL: journal.text(), ALIVE: "0"},
        "labels": {BROKEN: "true"},
    }
    patch: Object = {"metadata": metadata}
    for edit in journal.edits:
        patch = merged(patch, setting(edit.path, value_at(found, edit.path), edit.during))
    return patch


def forgetting(found: Mapping[str, Any]) -> Object:
    """Return the patch that takes the journal away."""
    version = found["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "annotations": {JOURNAL: None, ALIVE: None}, "labels": {BROKEN: None}}}


def undoing(found: Mapping[str, Any], journal: Journal, secrets: Mapping[str, str]) -> Object:
    """Return the patch that undoes the fault. `secrets`: what the backup holds, by its key.

    It takes the journal away too, unless other objects were made that must go first: whoever is killed in between leaves them on record.
    A field that is not as the fault had it was changed by somebody since: it is theirs and stays.
    """
    patch: Object = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}} if journal.made else forgetting(found)
    for edit in journal.edits:
        now = value_at(found, edit.path)
        if now == edit.during:
            patch = merged(patch, setting(edit.path, now, secrets[edit.path[-1]] if edit.in_backup else edit.before))
    return patch


def not_as_before(found: Mapping[str, Any], journal: Journal, secrets: Mapping[str, str]) -> list[str]:
    """Return which edited fields are not as they were."""
    wrong = []
    for edit in journal.edits:
        before = secrets.get(edit.path[-1]) if edit.in_backup else edit.before
        if (value_at(found, edit.path) or None) != (before or None):
            wrong.append(".".join(edit.path))
    return wrong


def rest_of(found: Mapping[str, Any], edits: tuple[Edit, ...]) -> str:
    return "" if found.get("kind") == "Secret" else digest(found, edits)
