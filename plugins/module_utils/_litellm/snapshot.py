# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A snapshot: an immutable ConfigMap with one state of a config, named after its content. Decided here, without a cluster.

LiteLLM reads its config at each start. A pod that mounts the ConfigMap which is edited would read, when it is started again (out of
memory, node reboot), a config that it never served and that may not even start. One that mounts a snapshot starts with its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: Label of a snapshot with the name of the ConfigMap that it is a state of.
SNAPSHOT_OF = "homelab.llm/snapshot-of"

#: How much of the checksum is in the name: 40 bits, and a name that is there with another content is refused.
DIGITS = 10

#: Kubernetes' limits for the name of an object and for the value of a label.
LONGEST_NAME, LONGEST_LABEL = 253, 63

Action = Literal["create", "adopt", "keep"]


class SnapshotError(Exception):
    """A snapshot that cannot be made. The message is one sentence without any part of the config."""


@dataclass(frozen=True)
class Base:
    """The ConfigMap that is edited, and its key with the config."""

    namespace: str
    name: str
    key: str

    @property
    def label(self) -> str:
        """Its name as the value of a label, shortened to one of its own where it is too long."""
        if len(self.name) <= LONGEST_LABEL:
            return self.name
        short = hashlib.sha256(self.name.encode()).hexdigest()[:DIGITS]
        return f"{self.name[: LONGEST_LABEL - DIGITS - 1]}-{short}"


def contents(base: Base, text: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return what is in the snapshot of a config with these files beside it. Raises SnapshotError."""
    if base.key in files:
        raise SnapshotError(f"a file beside the config is called {base.key} as the config is: give it another name")
    return {base.key: text, **files}


def checksum_of(base: Base, data: Mapping[str, str]) -> str:
    """SHA-256 in hex of a config that is alone, which is its own, or with the files beside it."""
    alone = set(data) == {base.key}
    return hashlib.sha256((data[base.key] if alone else json.dumps(data, sort_keys=True)).encode()).hexdigest()


def name_of(base: Base, checksum: str) -> str:
    """Return the name of the snapshot with that checksum. Raises SnapshotError."""
    name = f"{base.name}-{checksum[:DIGITS]}"
    if len(name) > LONGEST_NAME:
        raise SnapshotError(
            f"ConfigMap {base.namespace}/{base.name} leaves no room in its name for that of a snapshot: "
            f"call it by {LONGEST_NAME - DIGITS - 1} characters at most"
        )
    return name


def manifest(base: Base, name: str, data: Mapping[str, str], owner_uid: str) -> dict[str, Any]:
    """Return the snapshot as an object. It goes when the ConfigMap that it is a state of goes."""
    # Without blockOwnerDeletion, for which OpenShift asks for a right that an edit of ConfigMaps does not need.
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": base.name, "uid": owner_uid}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": base.namespace,
            "labels": {"app.kubernetes.io/managed-by": "homelab.llm", SNAPSHOT_OF: base.label},
            "ownerReferences": [owner],
        },
        "immutable": True,
        "data": dict(data),
    }


def plan(base: Base, name: str, data: Mapping[str, str], found: Mapping[str, Any] | None, owner_uid: str | None) -> Action:
    """Tell what is to be done for the snapshot `name`, of which `found` is what is there. Raises SnapshotError.

    "adopt": it has the content and not the rest, most often because its owner was removed and made anew, and with the old owner it
    would be garbage. `owner_uid` is None while the owner is not made.
    """
    if found is None:
        return "create"
    if found.get("data") != data or found.get("binaryData"):
        raise SnapshotError(
            f"ConfigMap {base.namespace}/{name} should be a snapshot of the config and has another content: "
            f"see who made it (kubectl -n {base.namespace} get configmap {name} --show-managed-fields -o yaml), then remove it"
        )
    metadata = found["metadata"]
    owned = any(each.get("uid") == owner_uid for each in metadata.get("ownerReferences") or ())
    labelled = (metadata.get("labels") or {}).get(SNAPSHOT_OF) == base.label
    return "keep" if owned and labelled and found.get("immutable") else "adopt"


def unused(snapshots: Iterable[Mapping[str, Any]], users: Iterable[Mapping[str, Any]], current: str) -> list[str]:
    """Return the names of the snapshots that no ReplicaSet or Pod of `users` refers to.

    Never the current one, nor the newest of the others: that may be another run's, which has not come to its Deployment yet.
    """
    referred = {text for user in users for text in _texts(user.get("spec"))}
    idle = [each["metadata"] for each in snapshots if each["metadata"]["name"] not in referred | {current}]
    idle.sort(key=lambda metadata: (metadata.get("creationTimestamp") or "", metadata["name"]))
    return [metadata["name"] for metadata in idle[:-1]]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a specification: a volume is not the only place that can name a ConfigMap."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
