# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A pod that runs one program once: its manifest, and what its status means. Plain data, without a cluster."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import rollout

#: Every such pod carries it, so that the next run finds what a killed one left.
LABEL = "homelab.llm/run"

CONTAINER = "main"

#: Seconds a pod may outlive the time limit of its program before Kubernetes ends it by itself, whoever made it.
GRACE = 10

#: `restricted` is what Pod Security calls it: the strictest level there is.
_CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True)
class SecretKey:
    """Where an environment variable's value is: only Kubernetes ever reads it."""

    secret: str
    key: str


@dataclass(frozen=True)
class Program:
    """What to run, and with what. `timeout` is in seconds, from the pod's creation to the program's end.

    `hidden` are environment variables whose values no Secret holds yet: the pod gets a Secret of its own for them.
    """

    namespace: str
    image: str
    argv: Sequence[str]
    timeout: int = 60
    name: str = "run"
    env: Mapping[str, str] = field(default_factory=dict)
    env_keys: Mapping[str, SecretKey] = field(default_factory=dict)
    env_secrets: Sequence[str] = ()
    hidden: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: int = 10001
    memory: str = "256Mi"
    pull_policy: str = "IfNotPresent"


@dataclass(frozen=True)
class State:
    """How far the program is. `code` when it has ended, `failure` when it never will properly, else `waits_for`."""

    code: int | None = None
    failure: str = ""
    waits_for: str = ""


def manifest(program: Program, name: str) -> dict[str, Any]:
    """The pod. It needs no right, keeps nothing, and ends by itself when nobody waits for it any more."""
    values = [{"name": each, "value": value} for each, value in {"HOME": "/tmp", **program.env}.items()]  # noqa: S108
    references = [
        {"name": each, "valueFrom": {"secretKeyRef": {"name": where.secret, "key": where.key}}} for each, where in program.env_keys.items()
    ]
    container = {
        "name": CONTAINER,
        "image": program.image,
        "imagePullPolicy": program.pull_policy,
        "command": list(program.argv),
        "env": [*values, *references],
        "envFrom": [{"secretRef": {"name": each}} for each in [*program.env_secrets, *([name] if program.hidden else [])]],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": program.memory}},
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    own = {LABEL: program.name, "app.kubernetes.io/managed-by": "homelab.llm"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": program.namespace, "labels": {**program.labels, **own}},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": program.timeout + GRACE,
            # A program that is stopped is not asked twice.
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": program.user,
                "runAsGroup": program.user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}],
        },
    }


def own_secret(program: Program, pod: Mapping[str, Any]) -> dict[str, Any]:
    """The Secret that holds what is hidden. It belongs to the pod and goes with it, whoever removes that."""
    meta = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {**{key: meta[key] for key in ("name", "namespace", "labels")}, "ownerReferences": [owner]},
        "data": {name: base64.b64encode(value).decode() for name, value in program.hidden.items()},
    }


def state(pod: Mapping[str, Any]) -> State:
    """Judge a pod's status."""
    status = pod.get("status") or {}
    container: Mapping[str, Any] = next(iter(status.get("containerStatuses") or ()), {})
    ended = (container.get("state") or {}).get("terminated")
    if status.get("reason") == "DeadlineExceeded":
        return State(failure="it ran longer than it may")
    if ended:
        return _ended(ended)
    if status.get("phase") == "Failed":
        return State(failure=": ".join(filter(None, (status.get("reason") or "it failed", status.get("message")))))
    if troubles := rollout.troubles(pod):
        return State(failure="; ".join(map(_told, troubles)))
    if status.get("phase") == "Running":
        return State(waits_for="the program runs")
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return State(waits_for=f"no node takes it: {condition.get('message') or condition.get('reason')}")
    waiting = (container.get("state") or {}).get("waiting") or {}
    return State(waits_for=": ".join(filter(None, (waiting.get("reason") or "it is not started yet", waiting.get("message")))))


def _ended(ended: Mapping[str, Any]) -> State:
    reason, code = ended.get("reason"), int(ended.get("exitCode", -1))
    if reason in ("StartError", "ContainerCannotRun"):
        return State(failure=f"the program cannot be started: {ended.get('message') or reason}")
    if reason == "OOMKilled":
        return State(failure="the program took more memory than it may")
    return State(code=code)


def _told(trouble: str) -> str:
    """What keeps a container from starting, with the way out."""
    if trouble.startswith(("ErrImage", "ImagePull", "InvalidImageName")):
        return f"its image cannot be had ({trouble}): name one that is on the node or that the node can pull"
    if trouble.startswith("CreateContainerConfigError"):
        return f"what it needs is not there ({trouble.partition(': ')[2] or trouble})"
    return trouble


def leftovers(pods: Sequence[Mapping[str, Any]], now: str) -> list[str]:
    """Names of the pods that outlived every time limit by a minute, so that nobody waits for them. `now` is the API server's time."""

    def age(pod: Mapping[str, Any]) -> float:
        return (_time(now) - _time(pod["metadata"]["creationTimestamp"])).total_seconds()

    return [pod["metadata"]["name"] for pod in pods if age(pod) > pod["spec"].get("activeDeadlineSeconds", 0) + 60]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
