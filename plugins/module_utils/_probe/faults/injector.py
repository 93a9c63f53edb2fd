# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Breaks what a plan says, keeps saying that its holder lives, and undoes it. The only code that breaks anything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils import _signals
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import journal as journals
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Object, Ref
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault, Fault
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import Journal, journal_of, myself, now_text
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.undo import Call, Held, Undone, undo

#: Times that a step is tried again because a controller wrote the object's status in between.
TRIES = 20


class Injector:
    """One fault of one run, at most once."""

    def __init__(self, resources: Resources, fault: Fault, namespace: str, run: str, longest: float, call: Call) -> None:
        self._resources, self._fault, self._namespace, self._run, self._call = resources, fault, namespace, run, call
        self._refs = plan.refs(fault, namespace)
        self._longest = longest
        self._taken: dict[Ref, Journal] = {}
        self._alive, self._renewed = 0, 0.0
        self._made: tuple[tuple[str, str, str], ...] = ()
        self.is_over = False

    @property
    def has_begun(self) -> bool:
        return bool(self._taken)

    def objects(self) -> dict[Ref, Object]:
        """Return what the fault will change, as it is. Raises BadFault when something is not there, and what plan.steps raises."""
        objects = {ref: self._get(ref) for ref in self._refs}
        plan.steps(self._fault, self._run, objects)
        return objects

    def _get(self, ref: Ref) -> Object:
        found = self._resources.get(ref.manifest)
        if found is None:
            raise BadFault(f"there is no {ref}")
        return {"kind": ref.kind, **found}

    def made(self, version: str, kind: str, name: str) -> None:
        """Note an object that is to be deleted with the undoing."""
        self._made += ((version, kind, name),)

    def break_all(self, call_off: Mapping[str, Any] | None = None) -> None:
        """Break every object, each with its journal in the same patch. Raises Held, BadFault, ApiError: `restore` is needed then too."""
        began = datetime.now(UTC)
        times = (now_text(began), now_text(began + timedelta(seconds=self._longest)))
        self._renewed = time.monotonic()
        for ref in self._refs:
            # What was made belongs to the first object that is broken, and so does the call: undone once.
            self._break(ref, times, () if self._taken else self._made, None if self._taken else call_off)

    def _break(self, ref: Ref, times: tuple[str, str], made: tuple[tuple[str, str, str], ...], call: Mapping[str, Any] | None) -> None:
        backup = ""
        for attempt in range(TRIES):
            found = self._get(ref)
            if other := journal_of(found):
                raise Held(f"{ref} is broken right now by another probe: {other.described()}")
            edits = next((step.edits for step in plan.steps(self._fault, self._run, {ref: found})), None)
            if edits is None:  # This one only has to be there.
                return
            if any(edit.in_backup for edit in edits):
                backup = self._back_up(ref, found, times)
                made = (*made, ("v1", "Secret", backup)) if attempt == 0 else made
            rest = journals.rest_of(found, edits)
            journal = Journal(self._run, self._fault.kind, myself(), *times, edits, made, backup, call, rest)
            # Before the request: when its answer is lost nobody knows whether it was done, and undoing what was not is harmless.
            self._taken[ref] = journal
            try:
                # An interruption in the middle would leave nobody to know whether it was done.
                with _signals.delayed():
                    self._resources.merge_patch(ref.manifest, journals.breaking(found, journal))
                return
            except ApiError as error:
                if not error.is_conflict or attempt == TRIES - 1:
                    raise
                del self._taken[ref]

    def _back_up(self, ref: Ref, found: Object, times: tuple[str, str]) -> str:
        """Keep the right value in a Secret of its own: an annotation is no place for it."""
        name = f"{ref.name}-backup-{self._run}"
        data = {self._fault.key: found["data"][self._fault.key]}
        notes = {"homelab.llm/failover-probe-backup-of": ref.name, "homelab.llm/failover-probe-expires": times[1]}
        metadata = {"name": name, "namespace": ref.namespace, "annotations": notes}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
        try:
            self._resources.create(body)
        except ApiError as error:
            if not error.is_conflict:
                raise
            self._resources.merge_patch(body, {"data": data})
        return name

    def renew(self) -> None:
        """Say that the holder lives, every few seconds. An API server that is away is no reason to stop."""
        if not self._taken or self.is_over or time.monotonic() - self._renewed < journals.RENEWAL:
            return
        self._renewed = time.monotonic()
        self._alive += 1
        for ref in self._taken:
            with contextlib.suppress(ApiError):
                found = self._resources.get(ref.manifest) or {}
                if (own := journal_of(found)) and own.run == self._run:
                    metadata = {"resourceVersion": found["metadata"]["resourceVersion"], "annotations": {journals.ALIVE: str(self._alive)}}
                    self._resources.merge_patch(ref.manifest, {"metadata": metadata})

    def restore(self, patience: float) -> Undone:
        """Undo what this run broke. Raises NotRestored, then it may be tried again."""
        undone = Undone()
        if not self.is_over:
            undo(self._resources, self._taken, self._call, patience, undone)
            self.is_over = True
        return undone
