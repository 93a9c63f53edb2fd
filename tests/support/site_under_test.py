# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on a namespace of their own, and clients that ask the LiteLLM in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

ROOT = Path(__file__).resolve().parents[2]
LOAD = ROOT / "tests" / "e2e" / "load.py"
#: The beginning of each command to the sandbox whose KUBECONFIG this is; a machine may run several.
SANDBOX = [ROOT / "sandbox" / "sandbox", *(["--name", os.environ["SANDBOX_NAME"]] if "SANDBOX_NAME" in os.environ else [])]


@dataclass(frozen=True)
class Played:
    """What a playbook run said."""

    code: int
    output: str

    @property
    def recap(self) -> dict[str, int]:
        (line,) = re.findall(r"^localhost +: (.*)$", self.output, re.MULTILINE)
        return {key: int(value) for key, value in (pair.split("=") for pair in line.split())}


class Site:
    """The playbooks on a namespace of their own."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def play(self, name: str, *options: str, environ: dict[str, str | None] | None = None, **variables: Any) -> Played:
        """Run a playbook with these variables; `environ` changes its environment, None takes a variable out of it."""
        # What LiteLLM adds to a request is no matter of chance on a machine that runs two tests at once: the bench measures it.
        own = {
            "litellm_namespace": self.namespace,
            "litellm_exposure": "none",
            "litellm_verify_overhead_ms": 1000,
            "openclaw_enabled": False,
            "open_webui_enabled": False,
        }
        given = {**own, **variables}
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", **(environ or {})}
        # In a file, for a value may be a key: ansible-playbook shows its command line at -vvvv, and so does the process list.
        with tempfile.NamedTemporaryFile("w", suffix=".json") as variables:
            json.dump(given, variables)
            variables.flush()
            command = [Path(sys.executable).with_name("ansible-playbook"), f"playbooks/{name}.yml", "-i", "inventories/sandbox"]
            done = subprocess.run(
                [*command, "-e", f"@{variables.name}", *options],
                cwd=ROOT,
                env={name: value for name, value in env.items() if value is not None},
                capture_output=True,
                text=True,
                check=False,
            )
        return Played(done.returncode, done.stdout + done.stderr)

    def pods(self, core: client.CoreV1Api) -> list[Any]:
        """LiteLLM's pods, without those that are on their way out."""
        found = core.list_namespaced_pod(self.namespace, label_selector="app=litellm").items
        return [pod for pod in found if not pod.metadata.deletion_timestamp]


def fresh_site(core: client.CoreV1Api, labels: dict[str, str] | None = None) -> Iterator[Site]:
    """A site for the tests of one file, removed afterwards. Its namespace is there only if it shall have labels."""
    if "SANDBOX_CA_FILE" not in os.environ:
        pytest.skip('not on the sandbox: eval "$(sandbox/sandbox env)"')
    name = f"site-{uuid.uuid4().hex[:8]}"
    if labels:
        core.create_namespace({"metadata": {"name": name, "labels": labels}})
    yield Site(name)
    if core.list_namespace(field_selector=f"metadata.name={name}").items:
        core.delete_namespace(name)


def is_ready(pod: Any) -> bool:
    statuses = pod.status.container_statuses or []  # none yet while nobody has started it
    return bool(statuses) and all(each.ready for each in statuses)


def load_pod(namespace: str, *, seconds: int, rate: int, name: str = "load", how: str = "plain") -> dict[str, Any]:
    """A pod that asks LiteLLM for a while. `how` is plain, stream or both."""
    url = f"http://litellm.{namespace}.svc.cluster.local:4000"
    return client_pod(LOAD.read_text(), [url, "ollama-qwen", str(seconds), str(rate), how], name=name)


def client_pod(program: str, arguments: list[str], *, name: str) -> dict[str, Any]:
    """A pod that runs a Python program, with the key as a real client has it: from the Secret."""
    key = {"secretKeyRef": {"name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"}}
    container = {
        "name": "client",
        "image": "docker.io/sandbox/upstream:1",
        "command": ["python3", "-c", program, *arguments],
        "env": [{"name": "LITELLM_MASTER_KEY", "valueFrom": key}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "securityContext": security, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def result_of(core: client.CoreV1Api, namespace: str, name: str) -> dict[str, Any]:
    """Wait for a pod's end and return the JSON it printed."""
    for _ in range(120):
        phase = core.read_namespaced_pod(name, namespace).status.phase
        if phase in ("Succeeded", "Failed"):
            break
        time.sleep(0.5)
    assert phase == "Succeeded"
    # The client would otherwise guess that JSON in a log is to be parsed, and hand back its Python form.
    text = core.read_namespaced_pod_log(name, namespace, _preload_content=False).data.decode()
    return dict(json.loads(text))
