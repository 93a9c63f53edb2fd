# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What to do with a Deployment as it is, to have it suspended or resumed: one patch, nothing, or a refusal. No cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import journal as journals
from ansible_collections.homelab.llm.plugins.module_utils._probe.finding import some
from ansible_collections.homelab.llm.plugins.module_utils._suspend import writer
from ansible_collections.homelab.llm.plugins.module_utils._suspend.note import SUSPENDED, Note, Unreadable, note_of

Wanted = Literal["suspended", "resumed"]
Object = dict[str, Any]

#: What is said of pods in check mode.
NOT_WAITED = "not waited for in check mode"


class Refused(Exception):
    """It is not to be done; the message says why and what to do. Nothing was changed."""


@dataclass(frozen=True)
class Decision:
    """`patch`: bound to the resourceVersion that was read, None when all is as it shall be. `replicas`: what the Deployment has afterwards.

    `note`: what is written on it then. `remarks`: sentences for people.
    """

    patch: Object | None
    replicas: int
    note: Note | None
    remarks: tuple[str, ...] = ()


def replicas_of(found: Mapping[str, Any]) -> int:
    return int((found.get("spec") or {}).get("replicas", 1))


def name_of(found: Mapping[str, Any]) -> str:
    return f"Deployment {found['metadata'].get('namespace')}/{found['metadata'].get('name')}"


def refuse_a_drill(found: Mapping[str, Any]) -> None:
    """Raise Refused while a drill has broken the Deployment, or one that was killed has left it so."""
    try:
        journal = journals.journal_of({"kind": "Deployment", **found})
    except journals.Unreadable as error:
        raise Refused(str(error)) from None
    if journal:
        raise Refused(
            f"{name_of(found)} is broken by a drill right now ({journal.described()}): wait for its end. If it was killed, "
            "homelab.llm.failover_probe with state: restored, or playbooks/drill.yml with -e drill_confirm=restore, restores it"
        )


def decide(found: Mapping[str, Any], wanted: Wanted, new: Note, given: int | None) -> Decision:
    """Return what to do. Raises Refused.

    `new`: what to write when it is suspended now, its `replicas` are not used. `given`: for a Deployment that somebody scaled to 0 without
    writing down how many it had.
    """
    refuse_a_drill(found)
    try:
        note = note_of(found)
    except Unreadable as error:
        raise Refused(str(error)) from None
    return _suspend(found, note, new, given) if wanted == "suspended" else _resume(found, note, given)


def _suspend(found: Mapping[str, Any], note: Note | None, new: Note, given: int | None) -> Decision:
    replicas = replicas_of(found)
    if replicas == 0 and note:
        return Decision(None, 0, note)
    if replicas == 0 and not given:
        raise Refused(
            f"{name_of(found)} has 0 replicas already and nothing says how many it had{_by(found)}. Scale it up first, or say how many it "
            "is to get back, with replicas: 1 (in the playbook: -e replicas=1)"
        )
    # What runs is what comes back, whoever set it: a number that was remembered before that has been overruled.
    kept = Note(replicas or int(given or 1), new.since, new.by, new.run)
    remarks = []
    if note:
        remarks.append(f"{name_of(found)} was {note.described()}, and scaled to {replicas} since{_by(found)}. It is suspended again.")
    if keeper := writer.keeper(found):
        remarks.append(f"{keeper}. Else it may bring the pods back at any time.")
    return Decision(_patch(found, {SUSPENDED: kept.text()}, 0), 0, kept, tuple(remarks))


def _resume(found: Mapping[str, Any], note: Note | None, given: int | None) -> Decision:
    replicas = replicas_of(found)
    if note and replicas:
        remark = f"{name_of(found)} was {note.described()}, and scaled to {replicas} since{_by(found)}: that number stays."
        return Decision(_patch(found, {SUSPENDED: None}, None), replicas, None, (remark,))
    if note:
        return Decision(_patch(found, {SUSPENDED: None}, note.replicas), note.replicas, None)
    if replicas:
        return Decision(None, replicas, None)
    if not given:
        raise Refused(
            f"{name_of(found)} has 0 replicas and nothing says how many it had: it was scaled by hand{_by(found)}. Say how many it is to "
            "get, with replicas: 1 (in the playbook: -e replicas=1)"
        )
    return Decision(_patch(found, {}, given), given, None)


def _patch(found: Mapping[str, Any], annotations: Mapping[str, str | None], replicas: int | None) -> Object:
    """The annotation and the replicas in one: there is no moment in which the one is there without the other."""
    metadata: Object = {"resourceVersion": found["metadata"]["resourceVersion"]}
    patch: Object = {"metadata": {**metadata, "annotations": dict(annotations)} if annotations else metadata}
    return patch if replicas is None else {**patch, "spec": {"replicas": replicas}}


def _by(found: Mapping[str, Any]) -> str:
    return f", by {who}" if (who := writer.last_writer(found)) else ""


def overruled(found: Mapping[str, Any], wanted: Wanted) -> str:
    """Return who has made it other than it was made, a sentence; "" while it is as it shall be. Raises Unreadable."""
    replicas, note = replicas_of(found), note_of(found)
    if wanted == "suspended" and note is None:
        return f"{name_of(found)} was resumed by somebody meanwhile{_by(found)}, and has {some(replicas, 'replica')}"
    if wanted == "suspended" and replicas:
        keeper = writer.keeper(found)
        return (
            f"{name_of(found)} was scaled back to {some(replicas, 'replica')}{_by(found)}. Make who does that leave replicas alone first: "
            f"{keeper or 'an autoscaler, KEDA, or a controller that keeps it as it is in Git'}"
        )
    if wanted == "resumed" and note:
        return f"{name_of(found)} is suspended again, since {note.since} by {note.by}"
    if wanted == "resumed" and not replicas:
        return f"{name_of(found)} was scaled to 0 meanwhile{_by(found)}"
    return ""


def shown(replicas: int, note: Note | None) -> str:
    """Return a Deployment for a diff."""
    about = f"suspended since {note.since} by {note.by}, to get back {some(note.replicas, 'replica')}" if note else "not suspended"
    return f"replicas: {replicas}\n{about}\n"
