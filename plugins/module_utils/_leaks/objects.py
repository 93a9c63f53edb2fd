# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Looks through what is written in objects of a namespace: events, ConfigMaps, annotations, and everything else in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._leaks.survey import CONFIGMAP, EVENT, OBJECT, Place, Survey
from ansible_collections.homelab.llm.plugins.module_utils._leaks.task import CONFIGMAPS, EVENTS, OBJECTS, Area

Object = dict[str, Any]

#: Root, plural, kind.
_EVENTS = ("/api/v1", "events", "Event")
_CONFIGMAPS = ("/api/v1", "configmaps", "ConfigMap")
_OBJECTS = (
    ("/api/v1", "pods", "Pod"),
    ("/api/v1", "services", "Service"),
    ("/api/v1", "serviceaccounts", "ServiceAccount"),
    ("/api/v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("/apis/apps/v1", "deployments", "Deployment"),
    ("/apis/apps/v1", "replicasets", "ReplicaSet"),
    ("/apis/apps/v1", "statefulsets", "StatefulSet"),
    ("/apis/apps/v1", "daemonsets", "DaemonSet"),
    ("/apis/batch/v1", "jobs", "Job"),
    ("/apis/batch/v1", "cronjobs", "CronJob"),
    ("/apis/networking.k8s.io/v1", "ingresses", "Ingress"),
)

#: The server's list of who wrote which field, longer than the rest of the object, and with nothing but names in it.
_FIELD_NAMES = "managedFields"

#: Objects in one answer of the server, so that no namespace is too large for the memory.
_PAGE = 250


def look(survey: Survey, transport: Transport, area: Area) -> None:
    kinds = [(EVENT, _EVENTS)] * (EVENTS in area.look_in) + [(CONFIGMAP, _CONFIGMAPS)] * (CONFIGMAPS in area.look_in)
    kinds += [(OBJECT, each) for each in _OBJECTS if OBJECTS in area.look_in]
    for kind, (root, plural, name) in kinds:
        try:
            for each in listed(transport, root, plural, area.namespace):
                look_at(survey, kind, f"{name} {area.namespace}/{each['metadata']['name']}", each)
        except ApiError as error:
            survey.miss(f"{plural} of namespace {area.namespace}", error.message)


def listed(transport: Transport, root: str, plural: str, namespace: str, selector: str = "") -> Iterator[Object]:
    """Yield the objects page by page. Raises ApiError."""
    query: dict[str, Any] = {"limit": _PAGE, **({"labelSelector": selector} if selector else {})}
    while True:
        answer = transport.request("GET", f"{root}/namespaces/{quote(namespace, safe='')}/{plural}?{urlencode(query)}")
        yield from answer.get("items") or ()
        query["continue"] = (answer.get("metadata") or {}).get("continue")
        if not query["continue"]:
            return


def look_at_annotations(survey: Survey, secret: str, body: Object) -> None:
    """Look at what is written on a Secret itself, where `kubectl apply` leaves all of its values for everybody who may list it."""
    metadata = {"metadata": {name: body["metadata"].get(name) for name in ("annotations", "labels")}}
    look_at(survey, OBJECT, secret, metadata)


def look_at(survey: Survey, kind: str, what: str, body: Object) -> None:
    """Look at the object as a whole, and at each of its texts when there is something in it, to say which and at which line."""
    whole = json.dumps({name: part for name, part in body.items() if name != "metadata"} | {"metadata": _own(body)}, ensure_ascii=False)
    if not survey.has_value(whole):
        survey.pass_over(kind, len(whole))
        return
    before = len(survey.findings)
    for path, text in _texts(body, ""):
        survey.look_at_part(Place(kind, what, path=path), text)
    if len(survey.findings) == before:
        survey.look_at_part(Place(kind, what), whole)
    survey.pass_over(kind, len(whole))


def _own(body: Object) -> Object:
    return {name: part for name, part in body["metadata"].items() if name != _FIELD_NAMES}


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield the texts in an object with their paths, in which the keys are."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key != _FIELD_NAMES:
                yield from _texts(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for nth, part in enumerate(value):
            yield from _texts(part, f"{path}[{nth}]")
    elif isinstance(value, str) and value:
        yield path, value
