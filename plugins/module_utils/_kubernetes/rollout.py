# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""How far the rollout of a Deployment is, and what its pods say about it: judged from objects, without a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: What waits for itself and what does not: these reasons of a waiting container do not pass by waiting.
HOPELESS = frozenset(
    {
        "ErrImagePull",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "CrashLoopBackOff",
        "RunContainerError",
    }
)

_KEY = re.compile(r"\b(?:sk|gsk|rk|pk|AIza|xox[a-z])[-_]?[A-Za-z0-9_-]{12,}|(?<=[Bb]earer )\S+|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+")
_LOGIN = re.compile(r"(\w://[^\s/:@]*:)[^\s/]+(?=@)")
_FIELD = re.compile(r"""(?i)((?:api_?key|master_?key|token|password|secret|authorization)["']?\s*[:=]\s*["']?)([^\s"',}]{6,})""")


@dataclass(frozen=True)
class Progress:
    """`done`: every pod is of the newest revision and ready. `failed`: it will not get there by itself. `text` is for people."""

    done: bool
    failed: bool
    text: str


def progress(deployment: Mapping[str, Any], pods: Iterable[Mapping[str, Any]] = ()) -> Progress:
    """Judge as `kubectl rollout status` does, and sooner where a pod says that it cannot start."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return Progress(False, False, "waits to be noticed")
    updated, available, total = (status.get(field, 0) for field in ("updatedReplicas", "availableReplicas", "replicas"))
    pods = list(pods)
    ready = sum(is_ready(pod) for pod in pods)
    text = f"{updated} of {wanted} pods are new, {ready} of them ready" + (f", {total - updated} old" if total > updated else "")
    stuck = [f"{pod['metadata']['name']}: {why}" for pod in pods for why in troubles(pod)]
    if updated == wanted == available == total:
        return Progress(True, False, text)
    # A rollout that goes back to pods which still run keeps the condition of the one that failed, until the last of its pods is gone.
    going_back = updated == wanted == available
    exceeded = not going_back and any(each.get("reason") == "ProgressDeadlineExceeded" for each in status.get("conditions") or ())
    return Progress(False, exceeded or bool(stuck), "; ".join([text, *stuck]))


def is_ready(pod: Mapping[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in (pod.get("status") or {}).get("conditions") or ())


def troubles(pod: Mapping[str, Any]) -> list[str]:
    """What keeps the pod's containers from running and does not pass by waiting."""
    status = pod.get("status") or {}
    found = []
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (each.get("state") or {}).get("waiting") or {}
        # One crash may be a neighbour that was not there yet; two are a pattern. After the first the kubelet starts a container again at
        # once, so one that waits has crashed once more often than it was started again.
        if waiting.get("reason") in HOPELESS and (waiting["reason"] != "CrashLoopBackOff" or each.get("restartCount", 0) >= 1):
            found.append(f"{waiting['reason']}{': ' + waiting['message'] if waiting.get('message') else ''}")
    return found


def speaker(pod: Mapping[str, Any]) -> str:
    """The container whose log tells how far the pod came: the init container that did not finish, else the first that is not ready."""
    status = pod.get("status") or {}
    for each in status.get("initContainerStatuses") or ():
        if ((each.get("state") or {}).get("terminated") or {}).get("exitCode") != 0:
            return str(each["name"])
    names = [str(each["name"]) for each in pod["spec"]["containers"]]
    waited_for = [str(each["name"]) for each in status.get("containerStatuses") or () if not each.get("ready")]
    return next(iter([*waited_for, *names]))


def of_newest_revision(
    deployment: Mapping[str, Any], replica_sets: Sequence[Mapping[str, Any]], pods: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The pods of the Deployment's newest ReplicaSet, those that are going away excepted, the oldest first."""
    uid = deployment["metadata"]["uid"]
    own = [each for each in replica_sets if any(owner.get("uid") == uid for owner in each["metadata"].get("ownerReferences") or ())]
    if not own:
        return []
    newest = max(own, key=lambda each: int((each["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", 0)))
    hash_label = (newest["metadata"].get("labels") or {}).get("pod-template-hash")
    found = [
        pod
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get("pod-template-hash") == hash_label and not pod["metadata"].get("deletionTimestamp")
    ]
    return sorted(found, key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]))


def masked(log: str) -> str:
    """A program's log without what looks like a key, or stands behind the name of one."""
    return _FIELD.sub(r"\1********", _LOGIN.sub(r"\1********", _KEY.sub("********", log)))
