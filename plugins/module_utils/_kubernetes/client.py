# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A small Kubernetes client: reads, creates and merge-patches the few kinds this collection edits in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

#: Owner of the fields that this collection writes, as `kubectl get --show-managed-fields` shows it.
FIELD_MANAGER = "homelab.llm"

#: API group and version by plural name. A kind that is not here is a bug of the caller, not of the cluster.
_API = {
    "configmaps": "/api/v1",
    "endpoints": "/api/v1",
    "events": "/api/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
    "serviceaccounts": "/api/v1",
    "services": "/api/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
}

Object = dict[str, Any]


class Client:
    """One connection to one API server. Every method raises ApiError.

    `warnings` collects what the server warned about, each sentence once: the module passes them on.
    """

    def __init__(self, connect: Callable[[], Transport]) -> None:
        self._connect = connect
        self._connected: Transport | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Client:
        """Make a client from the options of the `homelab.llm.kubernetes` doc fragment.

        The cluster is looked for at the first request, so that work which turns out to need none gets by without.
        """
        return cls(lambda: Transport(discovery.from_params(params)))

    @property
    def _transport(self) -> Transport:
        if self._connected is None:
            self._connected = self._connect()
        return self._connected

    def close(self) -> None:
        """End the connection. A module that exits need not."""
        if self._connected is not None:
            self._connected.close()

    @property
    def warnings(self) -> list[str]:
        return [] if self._connected is None else list(self._connected.warnings)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None when it, or its namespace, is not there."""
        try:
            return self._transport.request("GET", _path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, kind: str, namespace: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create and return the object. With `dry_run` the server does everything but keep it, its checks and admission included."""
        return self._transport.request("POST", _path(kind, namespace) + _query(dry_run), body, "application/json")

    def merge_patch(self, kind: str, namespace: str, name: str, body: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Change the fields in `body`, remove those that are None there, and leave all others alone (RFC 7386).

        With `metadata.resourceVersion` in `body` the server answers 409 when somebody else wrote since: `ApiError.is_conflict`.
        """
        return self._transport.request("PATCH", _path(kind, namespace, name) + _query(dry_run), body, "application/merge-patch+json")

    def list_of(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """Return the objects of a namespace that carry the labels; none when the namespace is not there."""
        query = "?" + urlencode({"labelSelector": selector}) if selector else ""
        return [*(self._transport.request("GET", _path(kind, namespace) + query).get("items") or ())]

    def delete(self, kind: str, namespace: str, name: str, *, dry_run: bool = False) -> None:
        """Delete the object. One that is not there is as good as deleted."""
        # With a body the server ignores the options in the address: a dry run asked for there would delete.
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **({"dryRun": ["All"]} if dry_run else {})}
        try:
            self._transport.request("DELETE", _path(kind, namespace, name), body, "application/json")
        except ApiError as error:
            if error.status != 404:
                raise

    def namespace_exists(self, name: str) -> bool:
        """Tell whether the namespace is there. Needs the right to get namespaces; prefer `ApiError.is_missing_namespace` after a try."""
        try:
            self._transport.request("GET", f"/api/v1/namespaces/{quote(name, safe='')}")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True


def _path(kind: str, namespace: str, name: str = "") -> str:
    path = f"{_API[kind]}/namespaces/{quote(namespace, safe='')}/{kind}"
    return f"{path}/{quote(name, safe='')}" if name else path


def _query(dry_run: bool) -> str:
    # Strict: a misspelt field is an error instead of a silent nothing.
    query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
    return "?" + urlencode({**query, "dryRun": "All"} if dry_run else query)
