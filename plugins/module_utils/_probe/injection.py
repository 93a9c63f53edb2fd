# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A fault on a cluster as a drill breaks it: the plan, the stand-in, the journal, and what sees the effect."""

from __future__ import annotations

import contextlib
import inspect
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import pod
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.access import Right
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import CONTAINER, Program
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Offset
from ansible_collections.homelab.llm.plugins.module_utils._probe.drill import Breaker
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import behind, egress, journal, plan, stand_in
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Object, Ref, deployment, service
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault, Fault
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.injector import Injector
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.undo import Undone
from ansible_collections.homelab.llm.plugins.module_utils._probe.sighting import (
    AtOnce,
    ByPods,
    ByRollout,
    ByWatcher,
    Sighting,
    running_pods,
)

#: Seconds that a stand-in may take to listen.
START = 60.0
#: Seconds that a backend gets to end when something stands in for it: who hangs does not say goodbye.
GRACE = 1


class Injection(Breaker):
    """`call` sends a request to an admin API; `image` runs the stand-in."""

    def __init__(
        self,
        resources: Resources,
        fault: Fault,
        namespace: str,
        run: str,
        image: str,
        longest: float,
        call: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.kind = fault.kind
        self._resources, self._fault, self._namespace, self._run = resources, fault, namespace, run
        self._image, self._longest, self._call = image, longest, call
        self._injector = Injector(resources, fault, namespace, run, longest, call)
        self._deployments = [ref for ref in plan.refs(fault, namespace) if ref.kind == "Deployment"]
        self._objects: dict[Ref, Object] = {}
        self._stand_ins: list[Object] = []
        self._policies: list[Object] = []

    def examine(self, watches: bool) -> list[dict[str, str]]:
        """Look at what is to be broken and return what to watch. Raises BadFault where it cannot be, or would show nothing."""
        self._objects = self._injector.objects()
        targets = []
        for backend in self._fault.backends if self._fault.scales or self.kind == "egress" else ():
            targets += self._targets(service(self._namespace, backend.service), deployment(self._namespace, backend.deployment))
        if self._fault.stands_in and not self._image:
            raise BadFault(f"fault {self.kind}: image must name one with python3 for the pod that stands in")
        if self.kind == "internet":
            targets = [{"name": f"service {host}", "url": f"https://{host}"} for host in self._fault.hosts]
        if self.kind == "egress":
            self._forbid({str(urlsplit(each["url"]).hostname) for each in targets})
        return targets if watches else []

    def _forbid(self, addresses: set[str]) -> None:
        """Make ready the policies: for the clients' pods, and for the pod that watches, which else would see no difference."""
        present = self._resources.list_of(egress.VERSION, "networkpolicies", self._namespace)
        selectors = [self._objects[service(self._namespace, each.service)]["spec"]["selector"] for each in self._fault.backends]
        pods: list[Mapping[str, Any]] = [{"matchLabels": {egress.RUN: self._run}}]
        for name in self._fault.clients:
            spec = self._objects[deployment(self._namespace, name)]["spec"]
            if theirs := egress.find_in_the_way(present, spec["template"]["metadata"].get("labels") or {}):
                raise BadFault(
                    f"NetworkPolicy {', '.join(theirs)} says already where pods of Deployment {name} may go, and what one policy allows no "
                    "other can forbid: use another fault, blackhole or refuse"
                )
            pods.append(spec["selector"])
        for number, each in enumerate(pods):
            made = egress.policy(f"failover-probe-{self._run}-{number}", self._namespace, each, selectors, sorted(addresses))
            self._policies.append(made)
            self._injector.made(egress.VERSION, egress.KIND, made["metadata"]["name"])

    def _targets(self, front: Ref, back: Ref) -> list[dict[str, str]]:
        about = f"kubernetes.io/service-name={front.name}"
        slices = self._resources.list_of("discovery.k8s.io/v1", "endpointslices", self._namespace, about)
        pods = running_pods(self._resources, back, self._objects[back])
        return behind.targets(front, back, self._objects[front], slices, pods)

    def prepare(self) -> None:
        if self._fault.stands_in:
            for number, backend in enumerate(self._fault.backends):
                self._stand_in(f"failover-probe-{self._run}-{number}", backend.service)

    def _stand_in(self, name: str, front: str) -> None:
        wanted = plan.ports(self._objects[service(self._namespace, front)])
        spec = {
            each: getattr(self._fault, each)
            for each in ("kind", "where", "after_tokens", "status", "body", "first_token", "tokens_per_second")
        }
        argv = ["python3", "-u", "-c", inspect.getsource(stand_in), json.dumps({**spec, "ports": [number for _name, number in wanted]})]
        labels = {plan.STAND_IN: self._run}
        program = Program(self._namespace, self._image, argv, timeout=int(self._longest), name="failover-probe", labels=labels)
        manifest = pod.manifest(program, name)
        manifest["metadata"]["annotations"] = journal.note()
        container = manifest["spec"]["containers"][0]
        container["ports"] = [{"containerPort": number, **({"name": each} if each else {})} for each, number in wanted]

        manifest["spec"]["securityContext"]["sysctls"] = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
        self._stand_ins.append(manifest)
        self._resources.create(manifest)
        self._injector.made("v1", "Pod", name)
        self._wait_for(manifest)

    def _wait_for(self, manifest: Object) -> None:
        until = time.monotonic() + START
        name = manifest["metadata"]["name"]
        while "listening" not in self._resources.log(self._namespace, name, CONTAINER, 5):
            state = pod.state(self._resources.get(manifest) or {})
            if state.failure or state.code is not None:
                raise BadFault(f"the pod {name} that was to stand in failed: {state.failure or f'it ended with {state.code}'}")
            if time.monotonic() > until:
                raise BadFault(f"the pod {name} that was to stand in did not start in {START:.0f} s: {state.waits_for}")
            time.sleep(0.2)

    def begin(self) -> None:
        fault = self._fault
        leaving = {ref: running_pods(self._resources, ref, self._objects[ref]) for ref in self._deployments if fault.scales}
        off = {"method": fault.method_off, "url": fault.url, "body": fault.body_off, "image": self._image} if fault.url else None
        self._injector.break_all(off)
        for manifest, backend in zip(self._stand_ins, fault.backends, strict=False):
            # Network policies shall treat it as whom it stands for. Not before: the Service still looked for these labels then.
            template = self._objects[deployment(self._namespace, backend.deployment)]["spec"]["template"]["metadata"]
            self._resources.merge_patch(manifest, {"metadata": {"labels": template.get("labels") or {}}})
        for each in self._policies:
            self._resources.create(each)
        if fault.url:
            self._call({"method": fault.method_on, "url": fault.url, "body": fault.body_on, "image": self._image})
        grace = fault.grace or (GRACE if fault.stands_in else None)
        if grace is not None:
            for each in (each for pods in leaving.values() for each in pods):
                with contextlib.suppress(ApiError):  # the scaling down ends it too, only later
                    self._resources.delete({"apiVersion": "v1", "kind": "Pod", "metadata": each["metadata"]}, grace=grace)

    def wait_until_back(self, longest: float) -> None:
        """Wait for what an earlier run had broken and that was undone just now."""
        until, sighting = time.monotonic() + longest, ByPods(self._resources, self._deployments)
        while sighting.back(0.0, Offset(0.0, 0.0)) is None:
            if time.monotonic() > until:
                raise BadFault(f"what an earlier run had broken is restored and not ready after {longest:.0f} s")
            time.sleep(0.5)

    def renew(self) -> None:
        self._injector.renew()

    def restore(self, patience: float) -> Undone:
        try:
            return self._injector.restore(patience) if self._injector.has_begun else Undone()
        finally:
            for manifest in self._stand_ins:
                with contextlib.suppress(ApiError):  # it ends by itself
                    self._resources.delete(manifest)
            self._stand_ins = []

    def sighting(self, watcher: ByWatcher) -> tuple[Sighting | None, list[str]]:
        if self.kind == "http":
            return AtOnce(), []
        if self.kind == "secret":
            return ByRollout(self._resources, self._deployments), []
        why = watcher.keep_the_reachable()
        if watcher.is_of_use and not why:
            return watcher, []
        if self.kind in ("egress", "internet"):  # no pod ends, so the API server sees nothing
            return None, [f"The probe could not reach what is to be cut off before anything was broken ({'; '.join(why)})."]
        notes = (
            [f"Backends were watched through the API server only, for the probe's pod cannot reach them ({'; '.join(why)})."] if why else []
        )
        return ByPods(self._resources, self._deployments), notes


_RESOURCES = {
    "Deployment": ("apps", "deployments"),
    "NetworkPolicy": ("networking.k8s.io", "networkpolicies"),
    "Secret": ("", "secrets"),
    "Service": ("", "services"),
}


def rights(fault: Fault, namespace: str) -> list[Right]:
    """Return what breaking and restoring needs."""
    needed = [Right(namespace, "", "pods", "list")] if fault.scales or fault.kind == "secret" else []
    for ref in plan.refs(fault, namespace):
        group, resource = _RESOURCES[ref.kind]
        needed += [Right(namespace, group, resource, verb, ref.name) for verb in ("get", "patch")]
    if fault.scales:
        needed.append(Right(namespace, "discovery.k8s.io", "endpointslices", "list"))
    if fault.stands_in:
        needed += [Right(namespace, "", "pods", verb) for verb in ("create", "delete", "get")] + [Right(namespace, "", "pods/log", "get")]
    if fault.kind == "egress":
        needed += [Right(namespace, "networking.k8s.io", "networkpolicies", verb) for verb in ("create", "delete", "list")]
        needed += [Right(namespace, "discovery.k8s.io", "endpointslices", "list"), Right(namespace, "", "pods", "list")]
    if fault.kind == "secret":
        needed += [Right(namespace, "", "secrets", verb) for verb in ("create", "delete", "get")]
    return needed
