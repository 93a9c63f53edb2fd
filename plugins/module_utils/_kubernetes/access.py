# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Whether these credentials may do something, asked before it is begun."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource of a namespace, as in a Role: `group` is "" for the core, `resource` may be "pods/log"."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f' {self.name}' if self.name else ''} in namespace {self.namespace}"


def denied(transport: Transport, rights: Iterable[Right]) -> list[Right]:
    """Return which of the rights the cluster does not grant. Everybody may ask this. Raises ApiError."""
    return [right for right in sorted(set(rights)) if not _is_granted(transport, right)]


def _is_granted(transport: Transport, right: Right) -> bool:
    resource, _slash, part = right.resource.partition("/")
    about = {"namespace": right.namespace, "group": right.group, "resource": resource, "verb": right.verb}
    about |= {"subresource": part} if part else {}
    about |= {"name": right.name} if right.name else {}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": about}}
    return bool(transport.request("POST", _PATH, body, "application/json")["status"].get("allowed"))
