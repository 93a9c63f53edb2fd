# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site of a bench's own, to load and to break: two simulators as backends, and LiteLLM before them as the role deploys it."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import drilled_site
from kubernetes import client, config
from measure import ANSIBLE, run, sandbox_environment
from site_under_test import result_of

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, pod
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._probe import load, record
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Vantage
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage_pod import InPod

PRIMARY, SPARE = "vllm-server", "ollama"
MODELS = {PRIMARY: "vllm-qwen", SPARE: "ollama-qwen"}
SECRET, KEY = "litellm-secrets", "LITELLM_MASTER_KEY"


@dataclass(frozen=True)
class Site:
    """Its namespace, and ways to look at it."""

    namespace: str
    core: client.CoreV1Api

    @property
    def apps(self) -> client.AppsV1Api:
        return client.AppsV1Api(self.core.api_client)

    @property
    def litellm(self) -> str:
        return f"http://litellm.{self.namespace}.svc.cluster.local:4000/v1"

    @property
    def backend(self) -> str:
        """The primary itself."""
        return f"http://{PRIMARY}.{self.namespace}.svc.cluster.local:8000/v1"

    def ready(self, name: str) -> tuple[int, int]:
        """A Deployment's replicas, wanted and ready."""
        found = self.apps.read_namespaced_deployment(name, self.namespace)
        return found.spec.replicas, found.status.ready_replicas or 0

    def start(self, name: str, source: str, *arguments: str, seconds: int = 300) -> str:
        """Run a Python program in a pod, with LiteLLM's key in its environment; return the pod's name."""
        unique = f"{name}-{uuid.uuid4().hex[:6]}"
        keys = {KEY: pod.SecretKey(SECRET, KEY)}
        argv = ("python3", "-c", source, *arguments)
        program = pod.Program(self.namespace, drilled_site.SIMULATOR, argv, seconds, name, env_keys=keys)
        self.core.create_namespaced_pod(self.namespace, pod.manifest(program, unique))
        return unique

    def result(self, name: str) -> dict[str, Any]:
        """Wait for a program's end and return the JSON it printed."""
        return result_of(self.core, self.namespace, name)

    @property
    def key(self) -> str:
        found = self.core.read_namespaced_secret(SECRET, self.namespace).data[KEY]
        return base64.b64decode(found).decode()

    def vantage(self) -> Vantage:
        """Where the probe's clients are in a drill: a pod."""
        connection = discovery.from_params({"kubeconfig": sandbox_environment()["KUBECONFIG"]})
        program = pod.Program(self.namespace, drilled_site.SIMULATOR, (), 180, "failover-probe", env_keys={KEY: pod.SecretKey(SECRET, KEY)})
        return InPod(connection, Resources(Transport(connection)), program, f"failover-probe-{uuid.uuid4().hex[:8]}")


def probed(vantage: Vantage, plan: load.Plan, look: dict[str, Any]) -> record.Recording:
    """Run the probe as in a drill: its lines are followed while its watcher looks at what `look` names."""
    lines: list[str] = []
    try:
        vantage.start(plan, look)
        until = time.monotonic() + plan.seconds + 60
        while not any('"kind":"end"' in line for line in lines[-5:]) and time.monotonic() < until:
            time.sleep(0.05)
            lines += vantage.worker_lines()
    finally:
        vantage.close()
    return record.parse(lines)


def _backend(name: str, protocol: str) -> list[dict[str, Any]]:
    args = ["--host", f"{name}={protocol}:8000", "--models", f"{name}=*", "--admin-port", str(drilled_site.ADMIN_PORT)]
    probe = {"httpGet": {"path": "/healthz", "port": drilled_site.ADMIN_PORT}, "periodSeconds": 1}
    container = {"image": drilled_site.SIMULATOR, "args": [*args, "--keys-dir", "/nowhere"], "readinessProbe": probe}
    # Without a share of its own it starves while somebody else compiles, and that would be measured.
    container["resources"] = {"requests": {"cpu": "50m"}}
    return [drilled_site.deployment(name, container), _service(name, name, 8000), _service(f"{name}-admin", name, drilled_site.ADMIN_PORT)]


def _service(name: str, app: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"port": port}]},
    }


def variables(namespace: str) -> Mapping[str, Any]:
    """What the role is told."""

    def entry(name: str, model: str, base: str, **params: Any) -> dict[str, Any]:
        place = f"http://{name}.{namespace}.svc.cluster.local:8000{base}"
        return {"model_name": MODELS[name], "litellm_params": {"model": model, "api_base": place, **params}}

    return {
        "litellm_namespace": namespace,
        "litellm_exposure": "none",
        "litellm_verify": False,
        "openclaw_enabled": False,
        "open_webui_enabled": False,
        "litellm_models": [
            entry(PRIMARY, "openai/Qwen/Qwen2.5-7B-Instruct-AWQ", "/v1", api_key="sk-none", timeout=600),
            entry(SPARE, "ollama_chat/qwen2.5:3b", "", timeout=600),
        ],
        "litellm_fallbacks": {MODELS[PRIMARY]: [MODELS[SPARE]]},
        "litellm_explicit_only": [],
    }


@contextmanager
def own_site() -> Iterator[Site]:
    """Make one, and remove it afterwards."""
    core = client.CoreV1Api(config.new_client_from_config(sandbox_environment()["KUBECONFIG"]))
    namespace = f"pb-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": namespace}})
    try:
        objects = [*_backend(PRIMARY, "vllm"), *_backend(SPARE, "ollama")]
        drilled_site.create(core.api_client, namespace, objects)
        run(ANSIBLE, "-i", "inventories/sandbox", "playbooks/site.yml", "-e", json.dumps(variables(namespace)))
        drilled_site.wait_until_ready(core.api_client, namespace)
        yield Site(namespace, core)
    finally:
        core.delete_namespace(namespace)
