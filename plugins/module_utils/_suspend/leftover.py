# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The pods that runs leave behind that were killed in a way that nothing can be done about: found by who made them, and taken away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import LABEL
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import Holder, myself

PROGRAM = "backend-suspend"
#: A label of the pod that asks: "MACHINE.PID.STARTED".
HOLDER = "homelab.llm/holder"


def label(holder: Holder) -> str:
    """Return a process as the value of a label."""
    return f"{hashlib.sha256(holder.machine.encode()).hexdigest()[:12]}.{holder.pid}.{holder.started or 0}"


def forgotten(pods: Iterable[Mapping[str, Any]], me: Holder) -> list[str]:
    """Return names of pods that nobody waits for: they have ended, or a process of this machine made them that is no more."""
    found = []
    for pod in pods:
        machine, pid, started = ((pod["metadata"].get("labels") or {}).get(HOLDER, "") + "..").split(".")[:3]
        ours = machine == label(me).split(".", maxsplit=1)[0] and pid.isdigit()
        is_dead = ours and Holder("", me.machine, int(pid), started).is_known_dead
        if is_dead or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            found.append(str(pod["metadata"]["name"]))
    return found


def clear(resources: Resources, namespace: str) -> None:
    """Take them away. Whoever may not, need not: they end by themselves."""
    try:
        for name in forgotten(resources.list_of("v1", "pods", namespace, f"{LABEL}={PROGRAM}"), myself()):
            resources.delete({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}}, grace=0)
    except ApiError:
        return
