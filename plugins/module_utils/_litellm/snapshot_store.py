# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Snapshots in a cluster: looked up, made, and removed when nothing uses them any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._litellm import snapshot

if TYPE_CHECKING:
    from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client


@dataclass(frozen=True)
class Wish:
    """The snapshot that a text shall have, with its files, and what is to be done for it."""

    name: str
    data: Mapping[str, str]
    action: snapshot.Action


@dataclass(frozen=True)
class Settled:
    """What became of a wish. `warning` is empty unless old snapshots had to stay."""

    name: str
    changed: bool
    removed: tuple[str, ...] = ()
    warning: str = ""


@dataclass(frozen=True)
class SnapshotStore:
    """The snapshots of one ConfigMap. `files` lie beside the config in those that are made."""

    client: Client
    base: snapshot.Base
    files: Mapping[str, str] = field(default_factory=dict)

    def look(self, text: str, owner_uid: str | None) -> Wish:
        """Read only. Raises SnapshotError for a name that is taken, so before anything is written."""
        return self._look(snapshot.contents(self.base, text, self.files), owner_uid)

    def _look(self, data: Mapping[str, str], owner_uid: str | None) -> Wish:
        name = snapshot.name_of(self.base, snapshot.checksum_of(self.base, data))
        found = self.client.get("configmaps", self.base.namespace, name)
        return Wish(name, data, snapshot.plan(self.base, name, data, found, owner_uid))

    def settle(self, wish: Wish, owner_uid: str | None, *, dry_run: bool) -> Settled:
        """Make the snapshot if need be, and then remove those that nothing uses any more.

        Only a dry run may lack the owner: then there is nothing yet that the server could check.
        """
        if wish.action == "keep":
            return Settled(wish.name, changed=False)
        if owner_uid is not None:
            self._make(wish, owner_uid, dry_run)
        removed, warning = self._clean(wish.name, dry_run) if wish.action == "create" else ([], "")
        return Settled(wish.name, True, tuple(removed), warning)

    def _make(self, wish: Wish, owner_uid: str, dry_run: bool) -> None:
        body = snapshot.manifest(self.base, wish.name, wish.data, owner_uid)
        try:
            if wish.action == "create":
                self.client.create("configmaps", self.base.namespace, body, dry_run=dry_run)
            else:
                patch = {"metadata": {key: body["metadata"][key] for key in ("labels", "ownerReferences")}, "immutable": True}
                self.client.merge_patch("configmaps", self.base.namespace, wish.name, patch, dry_run=dry_run)
        except ApiError as error:
            # Another run may have made the same one first. If it is not the same, this raises.
            if not (error.is_conflict and self._look(wish.data, owner_uid).action == "keep"):
                raise

    def _clean(self, current: str, dry_run: bool) -> tuple[list[str], str]:
        """Housekeeping: who may not list pods, or delete a ConfigMap, has a config that works all the same."""
        namespace = self.base.namespace
        removed: list[str] = []
        try:
            there = self.client.list_of("configmaps", namespace, f"{snapshot.SNAPSHOT_OF}={self.base.label}")
            if len(there) < 3:  # the current one and the newest of the others stay in any case
                return [], ""
            users = [*self.client.list_of("replicasets", namespace), *self.client.list_of("pods", namespace)]
            for name in snapshot.unused(there, users, current):
                self.client.delete("configmaps", namespace, name, dry_run=dry_run)
                removed.append(name)
        except ApiError as error:
            return removed, f"Old snapshots of ConfigMap {namespace}/{self.base.name} stay: {error.message}"
        return removed, ""
