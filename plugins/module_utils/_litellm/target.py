# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Where a config is kept: a key of a ConfigMap, or a file."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError

if TYPE_CHECKING:
    from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client

#: How often, and with how many seconds in between, to look whether an object that is being deleted is gone.
LEAVING_TRIES, LEAVING_PAUSE = 50, 0.2


class ChangedMeanwhileError(Exception):
    """Somebody else wrote since the text was read: read again, edit again."""


class Target(Protocol):
    """A place with a config text."""

    name: str

    @property
    def uid(self) -> str | None:
        """Of the object, as it was read or written last. None while there is none, and for what is no object."""

    def read(self) -> str | None:
        """Return the text, or None when there is none yet."""

    def write(self, text: str, *, dry_run: bool) -> None:
        """Write the text, if nobody else did since it was read. With `dry_run` do everything else."""


@dataclass
class ConfigMapKey:
    """A ConfigMap is named in full, `namespace/name`, in every message."""

    client: Client
    namespace: str
    object_name: str
    key: str

    def __post_init__(self) -> None:
        self.name = f"ConfigMap {self.namespace}/{self.object_name}, key {self.key}"
        self._found: dict[str, Any] | None = None

    @property
    def uid(self) -> str | None:
        return self._found["metadata"]["uid"] if self._found else None

    def read(self) -> str | None:
        self._found = self._settled()
        return None if self._found is None else (self._found.get("data") or {}).get(self.key)

    def _settled(self) -> dict[str, Any] | None:
        """The object. One that is on its way out, with all that it owns, is waited for: what is written to it would go with it."""
        for _each in range(LEAVING_TRIES):
            found = self.client.get("configmaps", self.namespace, self.object_name)
            if found is None or not found["metadata"].get("deletionTimestamp"):
                return found
            time.sleep(LEAVING_PAUSE)
        raise ApiError(409, "Conflict", f"{self.name} is being deleted and does not go: see metadata.finalizers of it")

    def write(self, text: str, *, dry_run: bool) -> None:
        body: dict[str, Any] = {"data": {self.key: text}}
        try:
            if self._found is None:
                metadata = {
                    "name": self.object_name,
                    "namespace": self.namespace,
                    "labels": {"app.kubernetes.io/managed-by": "homelab.llm"},
                }
                self._found = self.client.create(
                    "configmaps", self.namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **body}, dry_run=dry_run
                )
            else:
                # The server refuses the patch when the object is no longer the one that was read.
                body["metadata"] = {"resourceVersion": self._found["metadata"]["resourceVersion"]}
                self._found = self.client.merge_patch("configmaps", self.namespace, self.object_name, body, dry_run=dry_run)
        except ApiError as error:
            if error.is_conflict:
                raise ChangedMeanwhileError from None
            # In check mode an earlier task may have been about to make the namespace.
            if not (dry_run and error.is_missing_namespace):
                raise


@dataclass
class File:
    """A file is replaced as a whole, so that LiteLLM never reads half of it."""

    path: Path
    uid: str | None = None

    def __post_init__(self) -> None:
        self.name = str(self.path)

    def read(self) -> str | None:
        try:
            return self.path.read_bytes().decode()  # not read_text: it would turn CRLF into LF
        except FileNotFoundError:
            return None

    def write(self, text: str, *, dry_run: bool) -> None:
        if dry_run:
            return
        # Beside the file a rename is atomic; the mode of an existing file is kept, a new one may hold host names: owner only.
        draft = self.path.with_name(f".{self.path.name}.new")
        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o600
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(text.encode())
        draft.chmod(mode)
        draft.replace(self.path)
