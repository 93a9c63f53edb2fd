# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_run on a real cluster, in a namespace that enforces the strictest Pod Security level."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from playing import Playing

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "docker.io/sandbox/upstream:1"
KEY = "sk-Tr0ub4dor-and-three-more"


@pytest.fixture(scope="module", autouse=True)
def strict(core: client.CoreV1Api, namespace: str) -> None:
    """The namespace refuses any pod that is not `restricted`, and has a Secret."""
    core.patch_namespace(namespace, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    core.create_namespaced_secret(namespace, {"metadata": {"name": "keys"}, "stringData": {"API_KEY": KEY}})


def python(namespace: str, source: str, **more: Any) -> dict[str, Any]:
    return {"namespace": namespace, "image": IMAGE, "argv": ["python3", "-c", source], "timeout": 30, **more}


def pods(core: client.CoreV1Api, namespace: str) -> list[str]:
    """Names of the pods that are not on their way out."""
    return [pod.metadata.name for pod in core.list_namespaced_pod(namespace).items if not pod.metadata.deletion_timestamp]


def test_returns_what_the_program_wrote_and_leaves_nothing(run_module: Any, core: client.CoreV1Api, namespace: str) -> None:
    done = run_module("k8s_run", python(namespace, "import os; print('hello', os.environ['COLOUR'])", env={"COLOUR": "green"}))
    assert (done.result["stdout"], done.result["rc"], done.failed) == ("hello green\n", 0, False), done.output
    assert pods(core, namespace) == []


def test_a_failed_program_is_told_with_its_last_words(run_module: Any, core: client.CoreV1Api, namespace: str) -> None:
    done = run_module("k8s_run", python(namespace, "import sys; print('first'); sys.exit('this went wrong')"))
    assert (done.failed, done.result["rc"]) == (True, 1)
    assert done.message == f"python3 in a pod of namespace {namespace} ended with 1: this went wrong"
    assert pods(core, namespace) == []


@pytest.mark.parametrize("way", [{"env_keys": [{"name": "API_KEY", "secret": "keys"}]}, {"env_secrets": ["keys"]}])
def test_a_secret_reaches_the_program_and_nobody_else(run_module: Any, namespace: str, way: dict[str, Any]) -> None:
    source = "import os, hashlib; print(hashlib.sha256(os.environ['API_KEY'].encode()).hexdigest())"
    done = run_module("k8s_run", python(namespace, source, **way), verbosity=4)
    assert len(done.result["stdout"].strip()) == 64, done.output
    assert KEY not in done.output


def test_a_value_that_is_in_no_secret_yet_is_in_one_that_goes_with_the_pod(run_module: Any, core: client.CoreV1Api, namespace: str) -> None:
    given = "sk-given-and-not-kept-anywhere"
    source = "import os; print(os.environ['GIVEN'], os.environ['COPIED'], len(os.environ['COPIED']))"
    copied = [{"name": "COPIED", "from_namespace": namespace, "from_name": "keys", "from_key": "API_KEY"}]
    done = run_module("k8s_run", python(namespace, source, env_given={"GIVEN": given}, env_copied=copied), verbosity=4)
    assert done.result["stdout"] == f"******** ******** {len(KEY)}\n", done.output
    assert given not in done.output
    assert KEY not in done.output
    assert [each.metadata.name for each in core.list_namespaced_secret(namespace).items] == ["keys"]


def test_such_a_secret_goes_when_a_pod_goes_that_nobody_could_remove(core: client.CoreV1Api, namespace: str, tmp_path: Path) -> None:
    task = {"namespace": namespace, "image": IMAGE, "argv": ["sleep", "60"], "name": "killed", "env_given": {"GIVEN": "sk-of-a-killed-run"}}
    playbook = tmp_path / "playbook.json"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [{"homelab.llm.k8s_run": task}]}]))
    command = [Path(sys.executable).with_name("ansible-playbook"), playbook]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, **quiet) as process:
        for _each in range(600):
            left = [each.metadata.name for each in core.list_namespaced_secret(namespace).items if each.metadata.name != "keys"]
            if left:
                break
            time.sleep(0.1)
        assert left
        Playing(process).end(signal.SIGKILL)
    core.delete_namespaced_pod(left[0], namespace, grace_period_seconds=0)
    for _each in range(600):
        if [each.metadata.name for each in core.list_namespaced_secret(namespace).items] == ["keys"]:
            return
        time.sleep(0.1)
    raise AssertionError(f"{left} is still there")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": "docker.io/sandbox/nowhere:9", "image_pull_policy": "Never"}, "its image cannot be had (ErrImageNeverPull"),
        ({"env_keys": [{"name": "OTHER", "secret": "keys"}]}, "couldn't find key OTHER in Secret"),
        (
            {"env_copied": [{"name": "K", "from_namespace": "nowhere", "from_name": "keys"}]},
            "K cannot be copied: there is no key K of Secret nowhere/keys",
        ),
        ({"env_secrets": ["none-such"]}, 'secret "none-such" not found'),
        ({"argv": ["/no/such/program"]}, "cannot be started"),
        ({"namespace": "not-there-at-all"}, "There is no namespace not-there-at-all"),
        ({"user": 0}, "was refused"),
        ({"argv": ["python3", "-c", "import time; time.sleep(60)"], "timeout": 15}, "did not end in 15 s: the program runs"),
    ],
)
def test_what_cannot_be_run_is_one_clear_error(
    run_module: Any, core: client.CoreV1Api, namespace: str, change: dict[str, Any], said: str
) -> None:
    done = run_module("k8s_run", {**python(namespace, "pass"), **change})
    assert done.failed
    assert said in done.message
    assert done.result["missing_namespace"] is ("namespace" in change)
    assert pods(core, namespace) == []


def test_a_quota_is_told(run_module: Any, core: client.CoreV1Api) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    try:
        core.create_namespaced_resource_quota(name, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
        time.sleep(1)
        done = run_module("k8s_run", python(name, "pass"))
        assert "exceeded quota: none" in done.message
    finally:
        core.delete_namespace(name)


def test_runs_in_a_namespace_that_was_made_a_moment_ago(run_module: Any, core: client.CoreV1Api) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    try:
        assert run_module("k8s_run", python(name, "print('at once')")).result["stdout"] == "at once\n"
    finally:
        core.delete_namespace(name)


def test_is_skipped_in_check_mode(run_module: Any, namespace: str) -> None:
    assert run_module("k8s_run", python(namespace, "pass"), check=True).result["skipped"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(core: client.CoreV1Api, namespace: str, tmp_path: Path, ending: int) -> None:
    playbook = tmp_path / "playbook.json"
    task = {"homelab.llm.k8s_run": python(namespace, "import time; time.sleep(60)", name="interrupted")}
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    command = [Path(sys.executable).with_name("ansible-playbook"), playbook]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while not pods(core, namespace) and time.monotonic() < until:
            time.sleep(0.2)
        assert pods(core, namespace)
        process.send_signal(ending)
        process.wait(timeout=120)
    for _each in range(300):
        if not pods(core, namespace):
            break
        time.sleep(0.1)
    assert pods(core, namespace) == []


def test_the_next_run_removes_what_a_killed_one_left(run_module: Any, core: client.CoreV1Api, namespace: str) -> None:
    left = {
        "apiVersion": "v1",
        "kind": "Pod",
        # As if its node had gone: it never starts, so its own time limit never begins.
        "metadata": {"name": "left", "labels": {"homelab.llm/run": "run"}},
        "spec": {
            "activeDeadlineSeconds": 1,
            "nodeSelector": {"not": "there"},
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    core.create_namespaced_pod(namespace, left)
    assert not run_module("k8s_run", python(namespace, "pass")).failed
    assert pods(core, namespace) == ["left"], "a pod that somebody may still wait for is not touched"
    time.sleep(61)
    assert not run_module("k8s_run", python(namespace, "pass")).failed
    assert pods(core, namespace) == []
