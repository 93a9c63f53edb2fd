# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Undoes faults by what is written on the objects: those of this run, and those that an earlier one left. Where the cluster is touched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import journal as journals
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Object, Ref, value_at
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import Journal, Unreadable

#: A right value comes back before the pods that read it, and a backend before its Service.
_ORDER = ("Secret", "Deployment", "Service", "NetworkPolicy")
#: Kinds that can be broken, by how to list them.
_LISTED = (
    ("v1", "secrets", "Secret"),
    ("apps/v1", "deployments", "Deployment"),
    ("v1", "services", "Service"),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
)
PAUSE = 0.5
_PODS = "homelab.llm/run=failover-probe"

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
        for each in _listed(resources, version, plural, namespace)
    ]


def _listed(resources: Resources, version: str, plural: str, namespace: str) -> list[Object]:
    try:
        return resources.list_of(version, plural, namespace, f"{journals.BROKEN}=true")
    except ApiError as error:
        # Most faults need no right on NetworkPolicies, and who has none has broken none.
        if plural == "networkpolicies" and error.status == 403:
            return []
        raise


def clear(resources: Resources, refs: Iterable[Ref], call: Call, say: Callable[[str], None], *, force: bool = False) -> Undone:
    """Undo what earlier runs left on these objects. Raises Held when another probe is at work on some of them, NotRestored, ApiError."""
    left = _journals(resources, refs)
    held = {} if force else _living(resources, left, say)
    left = {ref: journal for ref, journal in left.items() if ref not in held}
    undone = Undone()
    for ref, journal in left.items():
        say(f"undoing what an earlier run left on {ref}: {journal.described()}")
    undo(resources, left, call, 60.0, undone)
    for ref, journal in held.items():
        also = f" ({', '.join(undone.what)}, left by another one, was restored)" if undone.what else ""
        raise Held(
            f"{ref} is broken right now by another probe: {journal.described()}{also}. Wait for its end, or stop it; "
            "state: restored with force: true undoes it while it runs"
        )
    return undone


def _journals(resources: Resources, refs: Iterable[Ref]) -> dict[Ref, Journal]:
    found = {}
    for ref in refs:
        if (each := resources.get(ref.manifest)) and (journal := _read(each)):
            found[ref] = journal
    return found


def sweep(resources: Resources, namespaces: Iterable[str]) -> None:
    """Remove the pods of probes that were killed: they would go on asking until their time is over. Whoever may not, need not."""
    for namespace in namespaces:
        with contextlib.suppress(ApiError):
            for each in resources.list_of("v1", "pods", namespace, _PODS):
                holder = journals.holder_of((each["metadata"].get("annotations") or {}).get(journals.HOLDER, ""))
                if holder and holder.is_known_dead:
                    resources.delete(Ref("v1", "Pod", namespace, each["metadata"]["name"]).manifest, grace=0)


def is_broken(resources: Resources, ref: Ref) -> bool:
    """Whether a journal is on the object."""
    return bool(_journals(resources, [ref]))


def _read(found: Object) -> Journal | None:
    try:
        return journals.journal_of(found)
    except Unreadable as error:
        raise NotRestored(str(error)) from None


def _living(resources: Resources, left: Mapping[Ref, Journal], say: Callable[[str], None]) -> dict[Ref, Journal]:
    """Return those whose holder lives: it is no dead process of this machine, and raises its number while somebody looks.

    When a journal was to expire says nothing of that: the two machines' clocks may differ.
    """
    doubtful = {ref: one for ref, one in left.items() if not one.holder.is_known_dead}
    if not doubtful:
        return {}
    first = next(iter(doubtful))
    say(f"{first} is broken by {doubtful[first].described()}; looking for {journals.LEASE:.0f} s whether that is alive")
    before = {ref: _alive(resources, ref) for ref in doubtful}
    until = time.monotonic() + journals.LEASE
    # One number that rises speaks for all that the same run has broken.
    living: set[str] = set()
    while time.monotonic() < until and any(each.run not in living for each in doubtful.values()):
        time.sleep(PAUSE)
        living |= {each.run for ref, each in doubtful.items() if _alive(resources, ref) != before[ref]}
    return {ref: each for ref, each in doubtful.items() if each.run in living}


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
        undone.notes.append(f"{ref} was restored already")
        return
    secrets = _secrets(resources, ref, journal, found)
    if journal.call:
        call(journal.call)
    _disguise(resources, ref, journal)
    touched = {".".join(edit.path) for edit in journal.edits if value_at(found, edit.path) != edit.during}
    # An earlier undoing may have come as far as this.
    theirs = sorted(touched & set(journals.not_as_before(found, journal, secrets)))
    resources.merge_patch(ref.manifest, journals.undoing(found, journal, secrets))
    after = resources.get(ref.manifest) or {}
    wrong = [name for name in journals.not_as_before(after, journal, secrets) if name not in theirs]
    if wrong or (journals.journal_of(after) is None) == bool(journal.made):
        raise NotRestored(f"it was restored and is still not as before: {', '.join(wrong) or journals.JOURNAL}")
    for version, kind, name in journal.made:
        resources.delete(Ref(version, kind, ref.namespace, name).manifest)
    if journal.made:
        resources.merge_patch(ref.manifest, journals.forgetting(resources.get(ref.manifest) or after))
    undone.what.append(str(ref))
    undone.notes += [f"{ref}: {name} was changed by somebody during the fault and left as it is" for name in theirs]
    if journal.rest and journals.rest_of(after, journal.edits) != journal.rest:
        undone.notes.append(f"{ref}: something else in its spec was changed by somebody during the fault and left as it is")


def _disguise(resources: Resources, ref: Ref, journal: Journal) -> None:
    """Take the backend's labels off the pods that stand in: the Service is about to look for them again.

    They are deleted only when it does no longer lead to them: connections to what is gone already would hang.
    """
    for version, kind, name in journal.made:
        pod = resources.get(Ref(version, kind, ref.namespace, name).manifest) if kind == "Pod" else None
        labels = [label for label in (pod or {}).get("metadata", {}).get("labels") or () if "homelab.llm/" not in label]
        if labels:
            resources.merge_patch(Ref(version, kind, ref.namespace, name).manifest, {"metadata": {"labels": dict.fromkeys(labels)}})


def _secrets(resources: Resources, ref: Ref, journal: Journal, found: Object) -> dict[str, str]:
    if not journal.backup:
        return {}
    backup = resources.get(Ref("v1", "Secret", ref.namespace, journal.backup).manifest)
    if backup is None:
        spoilt = [edit for edit in journal.edits if edit.in_backup and value_at(found, edit.path) == edit.during]
        if not spoilt:  # an earlier undoing was ended after it had deleted the backup
            return {edit.path[-1]: str(value_at(found, edit.path)) for edit in journal.edits if edit.in_backup}
        raise NotRestored(f"its backup, the Secret {journal.backup}, is gone: write the right value again")
    return dict(backup.get("data") or {})


def _by_hand(ref: Ref, journal: Journal) -> str:
    """What a person does who sees this at night."""
    values = {edit.path: f"the value in Secret {journal.backup}" if edit.in_backup else edit.before for edit in journal.edits}
    edits = ", ".join(f"{'.'.join(path)} = {value}" for path, value in values.items())
    kind = ref.kind.lower()
    return f"Run again with state: restored, or by hand: kubectl -n {ref.namespace} edit {kind} {ref.name}: {edits or 'end the fault'}"
