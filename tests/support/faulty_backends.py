# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backends that fail one by one, as ports of one simulator in a pod, and clients in a pod that ask for them through LiteLLM."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from site_under_test import client_pod

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR, ADMIN_PORT = "docker.io/sandbox/upstream:1", 9900
KEY = "LITELLM_MASTER_KEY"
ADMIN = f"http://upstream:{ADMIN_PORT}"
CLIENTS = ROOT / "tests" / "e2e" / "failover_clients.py"
#: LiteLLM's word for a protocol, and the simulator's.
PROTOCOLS = {"openai": "vllm", "ollama_chat": "ollama"}
#: Without a price LiteLLM looks for one in its whole list at each answer.
FREE = {"input_cost_per_token": 0, "output_cost_per_token": 0}


@dataclass(frozen=True)
class Backend:
    """One backend of the simulator. It says its name in each answer."""

    name: str
    port: int
    protocol: str = "openai"

    @property
    def base(self) -> str:
        return f"http://upstream:{self.port}{'/v1' if self.protocol == 'openai' else ''}"

    def entry(self, model_group: str, model_info: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """An entry of LiteLLM's `model_list` for it."""
        params = {"model": f"{self.protocol}/m", "api_base": self.base, "api_key": "sk-none", **params}
        return {"model_name": model_group, "litellm_params": params, "model_info": dict(model_info or {})}


def pod(name: str, container: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod that a namespace with Pod Security `restricted` takes; a share of the CPU of its own, or it starves while somebody compiles."""
    container = {
        "name": name,
        "resources": {"requests": {"cpu": "200m"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **container,
    }
    security = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    body = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": security,
        "containers": [container],
        **spec,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": body}


def service(name: str, ports: Sequence[int]) -> dict[str, Any]:
    listed = [{"name": f"p{port}", "port": port, "targetPort": port} for port in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": listed}}


def start_simulator(core: client.CoreV1Api, namespace: str, backends: Sequence[Backend]) -> None:
    """Make the pod `upstream` with all backends; it need not be ready yet."""
    hosts = [
        word
        for each in backends
        for word in ("--host", f"{each.name}={PROTOCOLS[each.protocol]}:{each.port}", "--models", f"{each.name}=*")
    ]
    probe = {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1}
    container = {"image": SIMULATOR, "args": [*hosts, "--admin-port", str(ADMIN_PORT)], "readinessProbe": probe}
    core.create_namespaced_service(namespace, service("upstream", [*(each.port for each in backends), ADMIN_PORT]))
    core.create_namespaced_pod(namespace, pod("upstream", container))


def start_litellm(core: client.CoreV1Api, namespace: str, name: str, config: Mapping[str, Any]) -> None:
    """Make a pod and a Service of LiteLLM with just this config, and nothing of the role's but its image. It need not be ready yet."""
    text = yaml.safe_dump({**config, "general_settings": {"master_key": f"os.environ/{KEY}"}})
    core.create_namespaced_config_map(namespace, {"metadata": {"name": f"{name}-config"}, "data": {"config.yaml": text}})
    core.create_namespaced_service(namespace, service(name, [4000]))
    key = {"name": KEY, "valueFrom": {"secretKeyRef": {"name": "litellm-secrets", "key": KEY}}}
    container = {
        "image": yaml.safe_load((ROOT / "roles/litellm/defaults/main.yml").read_text())["litellm_image"],
        "args": ["--config", "/etc/litellm/config.yaml", "--port", "4000"],
        "env": [key, {"name": "LITELLM_LOCAL_MODEL_COST_MAP", "value": "True"}],
        "readinessProbe": {"httpGet": {"path": "/health/readiness", "port": 4000}, "periodSeconds": 1, "timeoutSeconds": 5},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/litellm"}],
    }
    volumes = [{"name": "config", "configMap": {"name": f"{name}-config"}}]
    core.create_namespaced_pod(namespace, pod(name, container, volumes=volumes))


def make_key(core: client.CoreV1Api, namespace: str) -> None:
    """Make the Secret that LiteLLM and its clients have the key from; the role keeps a key that is there."""
    data = {KEY: f"sk-{secrets.token_hex(16)}"}
    core.create_namespaced_secret(namespace, {"metadata": {"name": "litellm-secrets"}, "stringData": data})


def wait_for(core: client.CoreV1Api, namespace: str, name: str, state: str, seconds: int) -> None:
    """Wait until a pod is `Ready`, or has `Succeeded`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = core.read_namespaced_pod(name, namespace).status
        conditions = {each.type: each.status for each in status.conditions or ()}
        if status.phase == state or (state == "Ready" and conditions.get("Ready") == "True"):
            return
        if status.phase == "Failed":
            break
        time.sleep(0.5)
    log = core.read_namespaced_pod_log(name, namespace, tail_lines=20)
    raise AssertionError(f"{name} is {status.phase}, not {state}:\n{log}")


def output_of(core: client.CoreV1Api, namespace: str, name: str) -> str:
    # The client would otherwise guess that JSON in a log is to be parsed, and hand back its Python form.
    return str(core.read_namespaced_pod_log(name, namespace, _preload_content=False).data.decode())


def seen_by_clients(core: client.CoreV1Api, namespace: str, name: str, work: Mapping[str, Any], seconds: int = 600) -> dict[str, Any]:
    """Let clients in a pod do what failover_clients.py describes, and return what they saw."""
    made = client_pod(CLIENTS.read_text(), [json.dumps({"admin": ADMIN, **work})], name=name)
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    core.create_namespaced_pod(namespace, made)
    wait_for(core, namespace, name, "Succeeded", seconds)
    return dict(json.loads(output_of(core, namespace, name)))
