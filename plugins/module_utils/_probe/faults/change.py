# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Fields of an object as they were and as a fault has them, and the merge patches (RFC 7386) between the two. Plain data, no cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Ref:
    """Which object."""

    version: str
    kind: str
    namespace: str
    name: str

    @property
    def manifest(self) -> Object:
        return {"apiVersion": self.version, "kind": self.kind, "metadata": {"namespace": self.namespace, "name": self.name}}

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def deployment(namespace: str, name: str) -> Ref:
    return Ref("apps/v1", "Deployment", namespace, name)


def service(namespace: str, name: str) -> Ref:
    return Ref("v1", "Service", namespace, name)


def secret(namespace: str, name: str) -> Ref:
    return Ref("v1", "Secret", namespace, name)


def network_policy(namespace: str, name: str) -> Ref:
    return Ref("networking.k8s.io/v1", "NetworkPolicy", namespace, name)


@dataclass(frozen=True)
class Edit:
    """One field. None: it is not there. `in_backup`: what it was is secret and in the backup, `before` says nothing then."""

    path: tuple[str, ...]
    before: Any
    during: Any
    in_backup: bool = False


def value_at(found: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = found
    for name in path:
        value = (value or {}).get(name)
    return value


def merged(one: Object, other: Mapping[str, Any]) -> Object:
    """Return both patches as one."""
    result = dict(one)
    for name, value in other.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if both else value
    return result


def setting(path: tuple[str, ...], now: Any, wanted: Any) -> Object:
    """Return the merge patch that makes a field exactly `wanted`: what a map has and shall not have must be named as null."""
    if isinstance(now, Mapping) and isinstance(wanted, Mapping):
        wanted = {**{name: None for name in now if name not in wanted}, **wanted}
    patch: Any = wanted
    for name in reversed(path):
        patch = {name: patch}
    return dict(patch)


def digest(found: Mapping[str, Any], ignored: tuple[Edit, ...] = ()) -> str:
    """A fingerprint of what an object's owner wrote, without the edited fields. For objects without secrets only: it is no keyed one."""
    spec = json.loads(json.dumps(found.get("spec") or {}))
    for edit in ignored:
        within: Any = {"spec": spec}
        for name in edit.path[:-1]:
            within = (within or {}).get(name)
        if isinstance(within, dict):
            within.pop(edit.path[-1], None)
    return hashlib.sha256(json.dumps(_pruned(spec), sort_keys=True).encode()).hexdigest()[:16]


def _pruned(value: Any) -> Any:
    """Without empty maps: the server drops one, and the field that was its last leaves one behind."""
    if not isinstance(value, dict):
        return value
    kept = {name: _pruned(each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each != {}}
