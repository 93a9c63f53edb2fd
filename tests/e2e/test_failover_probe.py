# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failover probe on a real cluster: real faults, the real LiteLLM, simulators as backends, in a namespace of its own."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import drilled_site
import pytest
import yaml
from kubernetes import client

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[2]
#: Backends, each with a model group of its own: drills on different ones run at the same time.
BACKENDS = {"one": "vllm", "two": "vllm", "three": "ollama", "guarded": "vllm", "spare": "ollama"}
THRESHOLDS = [
    {"id": "NFR65", "metric": "worst_wait", "limit": 5, "unit": "s"},
    {"id": "NFR67", "metric": "lost", "limit": 0, "unit": "requests", "inclusive": True},
]
#: Verdicts of a machine that had no time for the probe say nothing about the probe.
BUSY = {"worker_late", "clock_jumped"}
KEY = f"sk-{secrets.token_hex(16)}"
ANNOTATIONS = ("homelab.llm/failover-probe", "homelab.llm/failover-probe-alive")


class Site:
    """What is drilled, and how to look at it."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        self.core, self.apps, self.namespace = core, client.AppsV1Api(core.api_client), namespace

    def params(self, model: str, fault: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        backends = [] if fault["kind"] in ("none", "secret") else [{"deployment": model, "service": model}]
        return {
            "name": f"{model}-{uuid.uuid4().hex[:4]}",
            "namespace": self.namespace,
            "image": drilled_site.SIMULATOR,
            "url": f"http://litellm.{self.namespace}.svc.cluster.local:4000/v1",
            "key_secret": {"name": "litellm", "key": "LITELLM_MASTER_KEY"},
            "models": [{"model": model, "chain": [model, "spare"], "rate": 4}],
            "fault": {**fault, **({"backends": backends} if backends else {})},
            "durations": {"steady": 4, "fault": 5, "recovery": 5},
            "minimum": {"steady": 3, "fault": 5, "recovery": 2},
            "thresholds": THRESHOLDS,
            **changes,
        }

    def state(self, name: str) -> dict[str, Any]:
        """What a fault on a backend can change."""
        deployment = self.apps.read_namespaced_deployment(name, self.namespace)
        service = self.core.read_namespaced_service(name, self.namespace)
        marks = {**(deployment.metadata.annotations or {}), **(service.metadata.annotations or {})}
        labels = {**(deployment.metadata.labels or {}), **(service.metadata.labels or {})}
        return {
            "replicas": deployment.spec.replicas,
            "selector": service.spec.selector,
            "marks": sorted(set(marks) & set(ANNOTATIONS)),
            "labels": sorted(label for label in labels if "failover-probe" in label),
        }

    def pods_of_the_probe(self) -> list[str]:
        found = self.core.list_namespaced_pod(self.namespace, label_selector="homelab.llm/run=failover-probe").items
        return [pod.metadata.name for pod in found if not pod.metadata.deletion_timestamp]


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api, namespace: str) -> Site:
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    core.patch_namespace(namespace, restricted)
    drilled_site.create(core.api_client, namespace, drilled_site.manifests(BACKENDS, KEY))
    drilled_site.wait_until_ready(core.api_client, namespace)
    return Site(core, namespace)


@pytest.fixture
def drill(site: Site, run_module: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a drill; once more when the machine was too busy for it."""

    def run(model: str, fault: Mapping[str, Any], **changes: Any) -> Any:
        for _ in range(3):
            done = run_module("failover_probe", site.params(model, fault, **changes))
            codes = {reason["code"] for reason in done.result.get("drill", {}).get("reasons", ())}
            was_starved = os.getloadavg()[0] > 2 * (os.cpu_count() or 1) and codes & {"over_limit", "not_steady"}
            if not codes & BUSY and not was_starved:
                break
        return done

    return run


def reasons(run: Any) -> list[str]:
    return [reason["code"] for reason in run.result["drill"]["reasons"]]


AS_BEFORE = {"replicas": 1, "marks": [], "labels": []}

#: Who of the clients gets no answer though the next tier stands: a stream that had begun cannot be failed over.
FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("one", {"kind": "scale"}, "pass"),
    ("two", {"kind": "hang"}, "pass"),
    ("three", {"kind": "status", "status": 500}, "pass"),
    ("one", {"kind": "blackhole"}, "pass"),
    ("two", {"kind": "hang", "where": "after_headers"}, "pass"),
    ("three", {"kind": "reset"}, "pass"),
    ("one", {"kind": "hang", "where": "mid_stream"}, "fail"),
    ("two", {"kind": "refuse"}, "pass"),
    ("three", {"kind": "scale"}, "pass"),
]


@cache
def _ran() -> dict[str, Any]:
    return {}


def name_of(model: str, fault: Mapping[str, Any]) -> str:
    return " ".join([model, *map(str, fault.values())])


@pytest.fixture
def faults(drill: Callable[..., Any]) -> dict[str, Any]:
    """All faults, three at a time and one on each backend."""
    ran = _ran()
    for at in range(0, len(FAULTS), 3):
        batch = [(model, fault) for model, fault, _verdict in FAULTS[at : at + 3] if name_of(model, fault) not in ran]
        with ThreadPoolExecutor(3) as pool:
            for (model, fault), done in zip(batch, pool.map(lambda each: drill(*each), batch), strict=True):
                ran[name_of(model, fault)] = done
    return ran


@pytest.mark.parametrize(("model", "fault", "verdict"), FAULTS, ids=[name_of(model, fault) for model, fault, _ in FAULTS])
def test_a_fault_takes_is_judged_and_leaves_nothing_behind(
    faults: dict[str, Any], site: Site, model: str, fault: dict[str, Any], verdict: str
) -> None:
    run = faults[name_of(model, fault)]
    assert not run.failed, run.output
    drilled = run.result["drill"]
    assert run.result["verdict"] == verdict, run.output
    assert "fault_did_not_take" not in reasons(run)
    assert drilled["requests"]["by_phase"]["fault"].get("spare", 0) >= 5
    assert drilled["metrics"]["worst_wait"] < 5
    assert drilled["clock"]["error_s"] < 0.1
    assert drilled["restore"]["state"] == "restored"
    assert site.state(model) == {**AS_BEFORE, "selector": {"app": model}}


def test_nothing_of_the_probe_is_left_when_all_drills_are_over(faults: dict[str, Any], site: Site) -> None:
    assert len(faults) == len(FAULTS)
    assert site.pods_of_the_probe() == []


def test_the_key_is_in_nothing_that_is_shown(faults: dict[str, Any]) -> None:
    for run in faults.values():
        assert KEY not in run.output
        assert base64.b64encode(KEY.encode()).decode()[:16] not in run.output


def test_a_spoilt_secret_is_answered_by_the_next_tier_and_its_value_comes_back(site: Site, drill: Callable[..., Any]) -> None:
    before = site.core.read_namespaced_secret("litellm", site.namespace).data
    fault = {"kind": "secret", "secret": "litellm", "key": "PROVIDER_KEY", "restart": ["litellm"]}
    # A LiteLLM that has just started is slow: this is about who answers, not how fast.
    run = drill("guarded", fault, thresholds=THRESHOLDS[1:])
    assert run.result.get("verdict") == "pass", run.output
    assert run.result["drill"]["requests"]["by_phase"]["fault"]["spare"] >= 5
    after = site.core.read_namespaced_secret("litellm", site.namespace)
    assert after.data == before
    assert not set(ANNOTATIONS) & set(after.metadata.annotations or {})
    names = [each.metadata.name for each in site.core.list_namespaced_secret(site.namespace).items]
    assert sorted(names) == ["accepted", "litellm"]
    template = site.apps.read_namespaced_deployment("litellm", site.namespace).spec.template
    assert not template.metadata.annotations
    right = base64.b64decode(before["PROVIDER_KEY"]).decode()
    assert right not in run.output


def test_an_admin_api_makes_and_undoes_a_fault(site: Site, drill: Callable[..., Any]) -> None:
    run = drill("one", admin_fault(site, "one", {"kind": "status", "status": 503}))
    assert run.result.get("verdict") == "pass", run.output
    assert run.result["drill"]["requests"]["by_phase"]["fault"]["spare"] >= 5
    assert site.state("one") == {**AS_BEFORE, "selector": {"app": "one"}}


def test_a_fault_that_does_not_take_is_inconclusive(site: Site, drill: Callable[..., Any]) -> None:
    run = drill("two", admin_fault(site, "two", {"kind": "none"}))
    assert run.result["verdict"] == "inconclusive", run.output
    assert "fault_did_not_take" in reasons(run)


def admin_fault(site: Site, host: str, fault: dict[str, Any]) -> dict[str, Any]:
    url = f"http://{host}.{site.namespace}.svc.cluster.local:{drilled_site.ADMIN_PORT}/hosts/{host}/fault"
    return {"kind": "http", "url": url, "body_on": json.dumps(fault), "method_off": "PUT", "body_off": '{"kind": "none"}'}


def test_check_mode_observes_only(site: Site, run_module: Callable[..., Any]) -> None:
    before = site.apps.read_namespaced_deployment("one", site.namespace).metadata.generation
    run = run_module("failover_probe", site.params("one", {"kind": "scale"}), check=True)
    assert not run.failed, run.output
    assert run.result["drill"]["fault"]["kind"] == "none"
    assert site.apps.read_namespaced_deployment("one", site.namespace).metadata.generation == before


@contextmanager
def started(kubeconfig: Path, folder: Path, params: Mapping[str, Any]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A drill in its fault phase, in a process group of its own, and what it printed so far."""
    playbook = folder / "started.yml"
    task = {"name": "Drill", "homelab.llm.failover_probe": {"kubeconfig": str(kubeconfig), **params}, "register": "outcome"}
    told = {"ansible.builtin.debug": {"msg": "VERDICT {{ outcome.verdict }}"}}
    variables = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": [task, told]}]))
    with subprocess.Popen(
        [sys.executable, "-m", "ansible.cli.playbook", str(playbook)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1", "ANSIBLE_LOCALHOST_WARNING": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        printed: list[str] = []
        for line in process.stdout:
            printed.append(line)
            if re.match(r" +[+-]\d+ s  fault ", line):
                break
        else:
            pytest.fail("".join(printed))
        yield process, printed
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """Ansible's workers have sessions of their own, so a signal for the group does not reach them."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_playbook_that_is_ended_in_the_fault_leaves_a_restored_cluster(site: Site, kubeconfig: Path, tmp_path: Path, number: int) -> None:
    restored = {**AS_BEFORE, "selector": {"app": "two"}}
    with started(kubeconfig, tmp_path, site.params("two", {"kind": "hang"})) as (process, printed):
        assert site.state("two")["replicas"] == 0, "".join(printed)
        assert site.state("two")["marks"]
        os.killpg(process.pid, number)
        assert wait_for(lambda: site.state("two") == restored, 15), site.state("two")
    assert wait_for(lambda: not site.pods_of_the_probe(), 10)
    drilled_site.wait_until_ready(site.core.api_client, site.namespace)


def test_a_run_after_one_that_was_killed_restores_first_and_a_second_probe_is_refused(
    site: Site, kubeconfig: Path, tmp_path: Path, run_module: Callable[..., Any]
) -> None:
    params = site.params("three", {"kind": "hang"}, durations={"steady": 3, "fault": 40, "recovery": 3})
    with started(kubeconfig, tmp_path, params) as (process, _printed):
        second = run_module("failover_probe", site.params("three", {"kind": "scale"}))
        assert second.failed
        assert "broken right now by another probe" in second.message
        assert process.poll() is None
        assert site.state("three")["replicas"] == 0, "the first goes on"
        for pid in [process.pid, *children_of(process.pid)]:
            os.kill(pid, signal.SIGKILL)
    assert site.state("three")["replicas"] == 0
    assert site.state("three")["marks"]

    looked = run_module("failover_probe", {"state": "restored", "namespace": site.namespace}, check=True)
    assert looked.changed
    assert site.state("three")["replicas"] == 0, "check mode changes nothing"
    restored = run_module("failover_probe", {"state": "restored", "namespace": site.namespace})
    assert restored.changed, restored.output
    assert sorted(restored.result["restored"]) == [f"Deployment {site.namespace}/three", f"Service {site.namespace}/three"]
    assert site.state("three") == {**AS_BEFORE, "selector": {"app": "three"}}
    assert not run_module("failover_probe", {"state": "restored", "namespace": site.namespace}).changed
    drilled_site.wait_until_ready(site.core.api_client, site.namespace)


BAD = [
    ({"fault": {"kind": "melt"}}, "'melt' is no fault; there are none, scale,"),
    ({"models": [{"model": "gone", "chain": ["gone", "spare"]}]}, "gone is not served at"),
    ({"url": "http://nobody.default.svc.cluster.local:4000/v1"}, "cannot be reached"),
    ({"thresholds": [{"id": "NFR65", "metric": "worst_wait", "limit": 5}]}, "NFR65: has no unit"),
    ({"thresholds": [{"metric": "worst_wait", "limit": 5, "unit": "s"}]}, "has no id"),
    ({"fault": {"kind": "scale", "backends": [{"deployment": "nothing", "service": "one"}]}}, "There is no Deployment"),
    ({"fault": {"kind": "scale", "backends": [{"deployment": "one", "service": "two"}]}}, "which is no pod of Deployment"),
    ({"fault": {"kind": "scale", "backends": [{"deployment": "asleep", "service": "asleep"}]}}, "has 0 replicas already"),
    ({"fault": {"kind": "scale", "backends": [{"deployment": "one", "service": "blind"}]}}, "has no ready endpoint"),
    ({"impersonate_user": "nobody"}, "may not"),
]


@pytest.fixture(scope="module")
def useless(site: Site) -> None:
    asleep = drilled_site.deployment("asleep", {"image": drilled_site.SIMULATOR})
    asleep["spec"]["replicas"] = 0
    objects = [asleep, drilled_site.service("asleep", 8000), drilled_site.service("blind", 8000)]
    drilled_site.create(site.core.api_client, site.namespace, objects)


@pytest.mark.usefixtures("useless")
@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _change, message in BAD])
def test_bad_input_is_one_clear_error_and_nothing_is_broken(
    site: Site, run_module: Callable[..., Any], change: dict[str, Any], message: str
) -> None:
    before = site.apps.read_namespaced_deployment("one", site.namespace).metadata.generation
    run = run_module("failover_probe", {**site.params("one", {"kind": "scale"}), **change})
    assert run.failed
    assert message in run.message
    assert "Traceback" not in run.output
    assert site.apps.read_namespaced_deployment("one", site.namespace).metadata.generation == before
