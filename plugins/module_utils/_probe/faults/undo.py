# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Undoes faults by what is written on the objects: those of this run, and those that an earlier one left. Where the cluster is touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import journal as journals
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Object, Ref, value_at
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import Journal, Unreadable

#: A right value comes back before the pods that read it, and a backend before its Service.
_ORDER = ("Secret", "Deployment", "Service")
#: Kinds that can be broken, by how to list them.
_LISTED = (("v1", "secrets", "Secret"), ("apps/v1", "deployments", "Deployment"), ("v1", "services", "Service"))
PAUSE = 0.5

#: Sends the request that an admin API undoes a fault with; raises ApiError.
Call = Callable[[Mapping[str, Any]], None]


class Held(Exception):
    """Another probe has broken it and is at work; the message says who."""


class NotRestored(Exception):
    """What was broken could not be undone; the message says what, why and how to do it by hand."""


@dataclass
class Undone:
    """What was done, for people: `notes` are what somebody should look at."""

    what: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def broken_in(resources: Resources, namespace: str) -> list[Ref]:
    """Return every object of a namespace that says that it is broken."""
    return [
        Ref(version, kind, namespace, each["metadata"]["name"])
        for version, plural, kind in _LISTED
        for each in resources.list_of(version, plural, namespace, f"{journals.BROKEN}=true")
    ]


def clear(resources: Resources, refs: Iterable[Ref], call: Call, say: Callable[[str], None], *, force: bool = False) -> Undone:
    """Undo what earlier runs left on these objects. Raises Held, NotRestored, ApiError."""
    left = _journals(resources, refs)
    if left and not force:
        _refuse_the_living(resources, left, say)
    undone = Undone()
    for ref, journal in left.items():
        say(f"undoing what an earlier run left on {ref}: {journal.described()}")
    undo(resources, left, call, 60.0, undone)
    return undone


def _journals(resources: Resources, refs: Iterable[Ref]) -> dict[Ref, Journal]:
    found = {}
    for ref in refs:
        if (each := resources.get(ref.manifest)) and (journal := _read(each)):
            found[ref] = journal
    return found


def is_broken(resources: Resources, ref: Ref) -> bool:
    """Whether a journal is on the object."""
    return bool(_journals(resources, [ref]))


def _read(found: Object) -> Journal | None:
    try:
        return journals.journal_of(found)
    except Unreadable as error:
        raise NotRestored(str(error)) from None


def _refuse_the_living(resources: Resources, left: Mapping[Ref, Journal], say: Callable[[str], None]) -> None:
    """Raise Held if a holder lives: it is no dead process of this machine, and raises its number while somebody looks."""
    now = datetime.now(UTC)
    doubtful = {ref: one for ref, one in left.items() if not one.holder.is_known_dead and not one.has_expired(now)}
    if not doubtful:
        return
    first = next(iter(doubtful))
    say(f"{first} is broken by {doubtful[first].described()}; looking for {journals.LEASE:.0f} s whether that is alive")
    before = {ref: _alive(resources, ref) for ref in doubtful}
    until = time.monotonic() + journals.LEASE
    while time.monotonic() < until:
        time.sleep(PAUSE)
        for ref, journal in doubtful.items():
            if _alive(resources, ref) != before[ref]:
                raise Held(
                    f"{ref} is broken right now by another probe: {journal.described()}. Wait for its end, or stop it; "
                    "state: restored with force: true undoes it while it runs"
                )


def _alive(resources: Resources, ref: Ref) -> str:
    return journals.alive_of(resources.get(ref.manifest) or {})


def undo(resources: Resources, left: Mapping[Ref, Journal], call: Call, patience: float, undone: Undone) -> None:
    """Undo all of it, as far as that goes; an object that cannot be restored keeps no other from being so. Raises NotRestored."""
    failed = []
    until = time.monotonic() + patience
    for ref, journal in sorted(left.items(), key=lambda each: _ORDER.index(each[0].kind)):
        while True:
            try:
                _undo_one(resources, ref, journal, call, undone)
                break
            except ApiError as error:
                # Somebody else wrote, or the API server is away: both pass.
                passes = error.is_conflict or error.status == 0 or error.status == 429 or error.status >= 500
                if not passes or time.monotonic() > until:
                    failed.append(f"{ref}: {error.message}. {_by_hand(ref, journal)}")
                    break
            except NotRestored as error:
                failed.append(f"{ref}: {error}. {_by_hand(ref, journal)}")
                break
            time.sleep(PAUSE)
    if failed:
        raise NotRestored("; ".join(failed))


def _undo_one(resources: Resources, ref: Ref, journal: Journal, call: Call, undone: Undone) -> None:
    found = resources.get(ref.manifest)
    if found is None:
        raise NotRestored("it is gone, somebody deleted it")
    now = _read(found)
    if now is None or now.run != journal.run:
        undone.notes.append(f"{ref} was restored by somebody else")
        return
    secrets = _secrets(resources, ref, journal)
    if journal.call:
        call(journal.call)
    _disguise(resources, ref, journal)
    theirs = [".".join(edit.path) for edit in journal.edits if value_at(found, edit.path) != edit.during]
    resources.merge_patch(ref.manifest, journals.undoing(found, journal, secrets))
    after = resources.get(ref.manifest) or {}
    wrong = [name for name in journals.not_as_before(after, journal, secrets) if name not in theirs]
    if wrong:
        raise NotRestored(f"it was restored and is still not as before: {', '.join(wrong)}")
    undone.notes += [f"{ref}: {name} was changed by somebody during the fault and left as it is" for name in theirs]
    if journal.rest and journals.rest_of(after, journal.edits) != journal.rest:
        undone.notes.append(f"{ref}: something else in its spec was changed by somebody during the fault and left as it is")
    undone.what.append(str(ref))
    for version, kind, name in journal.made:
        resources.delete(Ref(version, kind, ref.namespace, name).manifest)


def _disguise(resources: Resources, ref: Ref, journal: Journal) -> None:
    """Take the backend's labels off the pods that stand in: the Service is about to look for them again.

    They are deleted only when it does no longer lead to them: connections to what is gone already would hang.
    """
    for version, kind, name in journal.made:
        pod = resources.get(Ref(version, kind, ref.namespace, name).manifest) if kind == "Pod" else None
        labels = [label for label in (pod or {}).get("metadata", {}).get("labels") or () if "homelab.llm/" not in label]
        if labels:
            resources.merge_patch(Ref(version, kind, ref.namespace, name).manifest, {"metadata": {"labels": dict.fromkeys(labels)}})


def _secrets(resources: Resources, ref: Ref, journal: Journal) -> dict[str, str]:
    if not journal.backup:
        return {}
    backup = resources.get(Ref("v1", "Secret", ref.namespace, journal.backup).manifest)
    if backup is None:
        raise NotRestored(f"its backup, the Secret {journal.backup}, is gone: write the right value again")
    return dict(backup.get("data") or {})


def _by_hand(ref: Ref, journal: Journal) -> str:
    """What a person does who sees this at night."""
    values = {edit.path: f"the value in Secret {journal.backup}" if edit.in_backup else edit.before for edit in journal.edits}
    edits = ", ".join(f"{'.'.join(path)} = {value}" for path, value in values.items())
    kind = ref.kind.lower()
    return f"Run again with state: restored, or by hand: kubectl -n {ref.namespace} edit {kind} {ref.name}: {edits or 'end the fault'}"
