# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Where the API server keeps an object of any kind, and server-side apply of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

FIELD_MANAGER = "homelab.llm"

Object = dict[str, Any]

#: Plural and whether namespaced, of kinds that every cluster serves: one request saved for each. Any other kind is looked up.
_KNOWN = {
    ("v1", "Namespace"): ("namespaces", False),
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "Secret"): ("secrets", True),
    ("v1", "Service"): ("services", True),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("v1", "PersistentVolumeClaim"): ("persistentvolumeclaims", True),
    ("v1", "Pod"): ("pods", True),
    ("apps/v1", "Deployment"): ("deployments", True),
    ("apps/v1", "StatefulSet"): ("statefulsets", True),
    ("networking.k8s.io/v1", "NetworkPolicy"): ("networkpolicies", True),
    ("networking.k8s.io/v1", "Ingress"): ("ingresses", True),
    ("policy/v1", "PodDisruptionBudget"): ("poddisruptionbudgets", True),
}

#: What brings a kind that a cluster may lack, by API group.
_COMES_WITH = {
    "route.openshift.io": "OpenShift",
    "traefik.io": "Traefik's custom resource definitions",
    "monitoring.coreos.com": "the Prometheus Operator",
}


class Resources:
    """Reads and applies objects of any kind. Every method raises ApiError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._served: dict[str, dict[str, tuple[str, bool]]] = {}

    def get(self, manifest: Mapping[str, Any]) -> Object | None:
        """Return the object that a manifest is about, or None when it, its namespace or its whole kind is not there."""
        path = self._path(manifest)
        return None if path is None else self._get(path)

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Apply on the server: the fields of the manifest become ours, those we had and dropped are removed, all others stay."""
        path = self._path(manifest)
        if path is None:
            raise unserved(manifest)
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        return self._transport.request(
            "PATCH", f"{path}?{urlencode({**query, 'dryRun': 'All'} if dry_run else query)}", manifest, "application/apply-patch+yaml"
        )

    def create(self, manifest: Mapping[str, Any]) -> Object:
        """Create the object, which must be of a kind that every cluster serves."""
        path = str(self._path(manifest)).rpartition("/")[0]
        query = urlencode({"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"})
        return self._transport.request("POST", f"{path}?{query}", manifest, "application/json")

    def merge_patch(self, manifest: Mapping[str, Any], body: Mapping[str, Any]) -> Object:
        """Change the fields in `body`, remove those that are None there (RFC 7386).

        With `metadata.resourceVersion` in `body` the server answers 409 when somebody else wrote since: `ApiError.is_conflict`.
        """
        query = urlencode({"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"})
        return self._transport.request("PATCH", f"{self._path(manifest)}?{query}", body, "application/merge-patch+json")

    def serves(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the cluster has that kind at all."""
        return self._path(manifest) is not None

    def delete(self, manifest: Mapping[str, Any], *, dry_run: bool = False, grace: int | None = None) -> bool:
        """Delete the object, and what it owns first. Return whether it was there.

        `grace`: seconds that a pod gets to end, instead of those it asks for.
        """
        path = self._path(manifest)
        if path is None:
            return False
        # With a body the server ignores the options in the address: a dry run asked for there would delete.
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        if dry_run:
            body["dryRun"] = ["All"]
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            self._transport.request("DELETE", path, body, "application/json")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def list_of(self, version: str, plural: str, namespace: str, selector: str = "") -> list[Object]:
        """Return the objects of one kind in a namespace that carry the labels."""
        path = f"{_root(version)}/namespaces/{quote(namespace, safe='')}/{plural}?{urlencode({'labelSelector': selector})}"
        return list(self._transport.request("GET", path).get("items") or [])

    def log(self, namespace: str, pod: str, container: str, lines: int, *, previous: bool = False) -> str:
        """Return the last lines of a container's log; an empty text when there is none (yet)."""
        query = urlencode({"container": container, "tailLines": lines, **({"previous": "true"} if previous else {})})
        try:
            return self._transport.text(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/log?{query}")
        except ApiError:
            return ""

    def output(self, namespace: str, pod: str, container: str, most: int) -> str:
        """Return what a container has written since its start, at most so many bytes of it."""
        query = urlencode({"container": container, "limitBytes": most})
        return self._transport.text(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/log?{query}")

    def _get(self, path: str) -> Object | None:
        try:
            return self._transport.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _path(self, manifest: Mapping[str, Any]) -> str | None:
        version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        found = _KNOWN.get((version, kind)) or self._kinds(version).get(kind)
        if found is None:
            return None
        plural, namespaced = found
        place = f"/namespaces/{quote(metadata['namespace'], safe='')}" if namespaced else ""
        return f"{_root(version)}{place}/{plural}/{quote(metadata['name'], safe='')}"

    def _kinds(self, version: str) -> dict[str, tuple[str, bool]]:
        if version not in self._served:
            listed = (self._get(_root(version)) or {}).get("resources") or []
            self._served[version] = {each["kind"]: (each["name"], each["namespaced"]) for each in listed if "/" not in each["name"]}
        return self._served[version]


def unserved(manifest: Mapping[str, Any]) -> ApiError:
    """The error for a kind that is not there; `missing_kind` tells it from an object that is not there."""
    version = manifest["apiVersion"]
    known = _COMES_WITH.get(version.partition("/")[0])
    hint = f"it comes with {known}" if known else "install what brings it"
    return ApiError(404, "NotFound", f"this cluster serves no {manifest['kind']} of {version}: {hint}", "kinds")


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
