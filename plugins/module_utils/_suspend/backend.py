# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The backend on its cluster: the Deployment, its pods, the Service before it. Where the cluster is touched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils import _signals
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import rollout
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.access import Right
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import behind, change
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault
from ansible_collections.homelab.llm.plugins.module_utils._probe.finding import some
from ansible_collections.homelab.llm.plugins.module_utils._probe.sighting import running_pods
from ansible_collections.homelab.llm.plugins.module_utils._suspend.decision import Decision, Refused, replicas_of

Object = dict[str, Any]
#: Seconds for which the patch is tried again: somebody else wrote the object, or the API server is away.
PERSISTENCE, PAUSE = 30.0, 0.5


@dataclass(frozen=True)
class Pods:
    """`there`: the pods are as they shall be. `hopeless`: they never will be, by themselves. `text` is for people."""

    there: bool
    hopeless: bool
    text: str


class Backend:
    """One Deployment and its Service."""

    def __init__(self, client: Client, resources: Resources, namespace: str, deployment: str, service: str) -> None:
        self._client, self._resources = client, resources
        self._ref, self._service = change.deployment(namespace, deployment), service

    def get(self) -> Object:
        """Return the Deployment. Raises Refused when there is none, ApiError."""
        found = self._client.get("deployments", self._ref.namespace, self._ref.name)
        if found is None:
            raise Refused(f"There is no {self._ref}: name the Deployment and its namespace")
        return found

    def converge(self, decide: Callable[[Object], Decision], *, dry_run: bool) -> tuple[Decision, Object]:
        """Do what is decided; return that, and the object that it was decided on. Raises Refused, ApiError.

        Whoever wrote meanwhile is heard: it is read and decided anew. An answer that was lost is found on the object.
        """
        until, unsure = time.monotonic() + PERSISTENCE, None
        while True:
            attempt = None
            try:
                found = self.get()
                made = decide(found)
                if made.patch is None:
                    return unsure if unsure and unsure[0].note == made.note else (made, found)
                attempt = made, found
                # An interruption in the middle would leave nobody to know whether it was done.
                with _signals.delayed():
                    self._client.merge_patch("deployments", self._ref.namespace, self._ref.name, made.patch, dry_run=dry_run)
                return attempt
            except ApiError as error:
                is_away = error.status == 429 or error.status >= 500 or (error.status == 0 and error.reason != "Unconfigured")
                if not (error.is_conflict or is_away) or time.monotonic() > until:
                    raise
                if is_away:  # whether it was done, the next look tells
                    unsure = attempt or unsure
                    time.sleep(PAUSE)

    def refuse_without_service(self, found: Object) -> None:
        """Raise Refused unless the Service leads to the Deployment's pods, and to nobody else.

        Where no pod is ready it cannot lead anywhere, and there is nothing to see.
        """
        if not self._service or not replicas_of(found):
            return
        front = change.service(self._ref.namespace, self._service)
        service = self._resources.get(front.manifest)
        if service is None:
            raise Refused(f"There is no {front}: name the Service that leads to {self._ref}")
        if not (found.get("status") or {}).get("readyReplicas") or not (service.get("spec") or {}).get("clusterIP"):
            return
        slices = self._resources.list_of(
            "discovery.k8s.io/v1", "endpointslices", self._ref.namespace, f"kubernetes.io/service-name={front.name}"
        )
        try:
            behind.targets(front, self._ref, service, slices, running_pods(self._resources, self._ref, found))
        except BadFault as error:
            raise Refused(str(error)) from None

    def pods(self, found: Object) -> Pods:
        """Tell how far the pods are on the way to what the Deployment asks for. Raises ApiError."""
        pods = running_pods(self._resources, self._ref, found)
        if not replicas_of(found):
            return Pods(not pods, False, f"{some(len(pods), 'pod')} still to end" if pods else "no pod is left")
        progress = rollout.progress(found, [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")])
        return Pods(progress.done, progress.failed, progress.text)


def rights(namespace: str, deployment: str, service: str, *, writes: bool) -> list[Right]:
    """Return what it needs."""
    verbs = ("get", "patch") if writes else ("get",)
    needed = [Right(namespace, "apps", "deployments", verb, deployment) for verb in verbs]
    needed.append(Right(namespace, "", "pods", "list"))
    if service:
        needed += [Right(namespace, "", "services", "get", service), Right(namespace, "discovery.k8s.io", "endpointslices", "list")]
    return needed
