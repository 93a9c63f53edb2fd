# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on a drilled site, several at a time, and what to look at before and after them."""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drilled_site
from kubernetes import client
from playing import Ran, playing

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

#: Drills at a time. More of them, and the machine itself is what is measured.
LIVELY = 3
#: How often a drill is done at most, where the machine itself may be what was measured.
ATTEMPTS = 3
#: What a module says of a pod for which the node had no time.
NOT_STARTED = "ContainerCreating"
#: What a probe says when its own machine had no processor for it.
STARVED = {"worker_late", "clock_jumped", "clock_unknown"}
ANSWERED_IN_TIME = {"id": "NFR65", "metric": "worst_wait", "limit": 5, "unit": "s"}
NONE_LOST = {"id": "NFR67", "metric": "lost", "limit": 0, "unit": "requests", "inclusive": True}
MARK = "failover-probe"


class Site:
    """What is drilled, and how to look at it."""

    def __init__(self, core: client.CoreV1Api, namespace: str, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig, self.folder = kubeconfig, folder
        self.core, self.apps, self.networking = core, client.AppsV1Api(core.api_client), client.NetworkingV1Api(core.api_client)
        self.namespace = namespace
        #: Drills that were done again, and why.
        self.late: list[str] = []
        self.lanes: queue.SimpleQueue[str] = queue.SimpleQueue()
        for lane in drilled_site.LANES:
            self.lanes.put(lane)

    @contextmanager
    def lane(self) -> Iterator[str]:
        """A backend that nobody else breaks meanwhile, with all in its place; it is used again only when it is so again."""
        lane = self.lanes.get()
        try:
            yield lane
            self.wait_until_answering(lane)
        finally:
            self.lanes.put(lane)

    def params(self, model: str, fault: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """A short drill of one model, which is by default its own backend, with its own next tier."""
        backends = [] if fault["kind"] in ("none", "secret") else [{"deployment": model, "service": model}]
        about = {name: changes.pop(name) for name in ("chain", "stream", "rate", "prompt_tokens", "prompt_suffix") if name in changes}
        return {
            "name": f"{model}-{uuid.uuid4().hex[:4]}",
            "namespace": self.namespace,
            "image": drilled_site.SIMULATOR,
            "url": self.url("litellm"),
            "key_secret": {"name": "litellm", "key": "LITELLM_MASTER_KEY"},
            "models": [{"model": model, "chain": [model, f"{model}-next"], "rate": 4, **about}],
            "fault": {**({"backends": backends} if backends else {}), **fault},
            "durations": {"steady": 2.5, "fault": 4, "recovery": 4},
            "minimum": {"steady": 2, "fault": 4, "recovery": 2},
            "thresholds": [ANSWERED_IN_TIME, NONE_LOST],
            **changes,
        }

    def drill(self, model: str, fault: Mapping[str, Any], *, wanted: str = "pass", **changes: Any) -> Ran:
        """A drill to its end, settled."""
        return self.settled(lambda: self.run(self.params(model, fault, **changes)), wanted)

    def settled(self, run: Callable[[], Ran], wanted: str = "pass") -> Ran:
        """What came of a drill. It is done again while the machine may be what was measured, and that is noted."""
        for attempt in range(1, ATTEMPTS + 1):
            ran = run()
            if attempt == ATTEMPTS or not may_be_the_machine(ran, wanted):
                break
            self.late.append(told_of(ran))
            time.sleep(drilled_site.COOLDOWN)
        return ran

    def again(self) -> list[str]:
        """For a table: which drills were measured more than once, and what they had said before."""
        return [f"measured again: {text}" for text in self.late] or ["each was measured once"]

    def run(self, params: Mapping[str, Any], *, check: bool = False) -> Ran:
        with playing(self.kubeconfig, self.folder, params, check=check) as played:
            return played.finish()

    def restored(self, **changes: Any) -> Ran:
        return self.run({"state": "restored", "namespace": self.namespace, **changes})

    def url(self, litellm: str) -> str:
        return f"http://{litellm}.{self.namespace}.svc.cluster.local:4000/v1"

    def admin_fault(self, host: str, fault: Mapping[str, Any]) -> dict[str, Any]:
        """The fault `http`: a simulator's own admin API makes it."""
        deployment = "standing" if host in drilled_site.STANDING else host
        url = f"http://{deployment}.{self.namespace}.svc.cluster.local:{drilled_site.ADMIN_PORT}/hosts/{host}/fault"
        backends = [{"deployment": deployment, "service": host}]
        return {
            "kind": "http",
            "backends": backends,
            "url": url,
            "body_on": json.dumps(fault),
            "method_off": "PUT",
            "body_off": '{"kind": "none"}',
        }

    def admin(self, deployment: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask a simulator's admin API through the API server."""
        at = f"/api/v1/namespaces/{self.namespace}/services/{deployment}:{drilled_site.ADMIN_PORT}/proxy{path}"
        transport = Transport(discovery.from_params({"kubeconfig": str(self.kubeconfig)}))
        try:
            return transport.request(method, at, body, "application/json")
        finally:
            transport.close()

    def state(self) -> dict[str, Any]:
        """Everything of the namespace that its owner wrote, by kind and name: what a probe must leave as it was."""
        listed: dict[str, Callable[..., Any]] = {
            "Deployment": self.apps.list_namespaced_deployment,
            "Service": self.core.list_namespaced_service,
            "Secret": self.core.list_namespaced_secret,
            "ConfigMap": self.core.list_namespaced_config_map,
            "NetworkPolicy": self.networking.list_namespaced_network_policy,
        }
        return {
            f"{kind} {each.metadata.name}": self._written(each) for kind, found in listed.items() for each in found(self.namespace).items
        }

    def _written(self, found: Any) -> dict[str, Any]:
        whole = self.core.api_client.sanitize_for_serialization(found)
        whole.pop("status", None)
        metadata = whole.pop("metadata")
        notes = {name: value for name, value in (metadata.get("annotations") or {}).items() if not name.startswith("deployment.kubernetes")}
        return {**whole, "labels": metadata.get("labels") or {}, "annotations": notes}

    def about(self, lane: str) -> dict[str, Any]:
        """The part of the state that a fault on one lane can change."""
        return {name: value for name, value in self.state().items() if name.split()[1] == lane or "probe" in name or "backup" in name}

    def pods_of_the_probe(self, mark: str = "") -> list[str]:
        found = self.core.list_namespaced_pod(self.namespace, label_selector=f"homelab.llm/run={MARK}").items
        return [pod.metadata.name for pod in found if not pod.metadata.deletion_timestamp and mark in json.dumps(pod.metadata.labels)]

    def wait_until_gone(self, deployment: str, seconds: float = 180) -> None:
        """Until nobody serves in the place of a Deployment that was scaled to zero."""
        pods = self.core.list_namespaced_pod
        assert wait_for(lambda: not pods(self.namespace, label_selector=f"app={deployment}").items, seconds), f"{deployment} did not go"

    def wait_until_answering(self, deployment: str, seconds: float = 180) -> None:
        """Until a Deployment has what it asks for and LiteLLM has forgotten that it failed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.apps.read_namespaced_deployment(deployment, self.namespace)
            if (found.status.available_replicas or 0) >= (found.spec.replicas or 0) > 0:
                return time.sleep(drilled_site.COOLDOWN)
            time.sleep(0.2)
        raise AssertionError(f"{deployment} did not come back")


@dataclass(eq=False)
class Job:
    """Something to do on any lane, or, with all others of the same `place` one after another, there."""

    run: Callable[[Site, str], Any]
    place: str = ""


class Jobs:
    """Does jobs, a few at a time, all that are given before the first result is asked for."""

    def __init__(self, site: Site, jobs: Sequence[Job]) -> None:
        jobs = list(dict.fromkeys(jobs))
        self._results: dict[int, Future[Any]] = {id(job): Future() for job in jobs}
        places = sorted({job.place for job in jobs if job.place})
        rows = [[job for job in jobs if job.place == place] for place in places] + [[job] for job in jobs if not job.place]
        with ThreadPoolExecutor(LIVELY) as pool:
            list(pool.map(lambda row: self._do(site, row), rows))

    def _do(self, site: Site, row: Sequence[Job]) -> None:
        for job in row:
            future = self._results[id(job)]
            try:
                if job.place:
                    future.set_result(job.run(site, job.place))
                else:
                    with site.lane() as lane:
                        future.set_result(job.run(site, lane))
            except BaseException as error:  # the test that asks for it shall have it
                future.set_exception(error)

    def result(self, job: Job) -> Any:
        return self._results[id(job)].result(0)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def may_be_the_machine(ran: Ran, wanted: str) -> bool:
    """Whether a busy machine alone may have led to this.

    The probe had no processor; or a time was over its limit; or nothing was shown where something was to be. What got no answer, or a wrong
    one, is none of these.
    """
    late = [each for each in ran.result.get("drill", {}).get("thresholds", ()) if each["unit"] != "requests" and each["verdict"] == "fail"]
    nothing_shown = ran.result.get("verdict") == "inconclusive" != wanted
    return bool(late or nothing_shown or NOT_STARTED in ran.message or STARVED & set(reasons(ran)))


def told_of(ran: Ran) -> str:
    drill = ran.result.get("drill")
    if drill is None:
        return ran.message
    return f"{drill['name']}, {drill['fault']['kind']}: {', '.join(dict.fromkeys(reasons(ran)))}. {drill['headline']}"


def reasons(run: Ran) -> list[str]:
    return [reason["code"] for reason in run.result.get("drill", {}).get("reasons", ())]
