# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small site to break: simulators as Deployments behind Services, and the real LiteLLM before them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = "docker.io/sandbox/upstream:1"
ADMIN_PORT = 9900
#: LiteLLM leaves a failed deployment alone for so long, in seconds.
COOLDOWN = 2


def manifests(names: dict[str, str], key: str) -> list[dict[str, Any]]:
    """Backends by name and protocol, each a Deployment and a Service on port 8000; the Secret and LiteLLM."""
    objects = [each for name, protocol in names.items() for each in backend(name, protocol)]
    secret = {"LITELLM_MASTER_KEY": key, "PROVIDER_KEY": "sk-right-provider-key"}
    accepted = {"guarded": "sk-right-provider-key"}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "litellm"}, "stringData": secret},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "accepted"}, "stringData": accepted},
        *objects,
        *litellm(names),
    ]


def deployment(name: str, container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    container = {
        "name": name,
        "resources": {"requests": {"cpu": "20m"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **container,
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        **spec,
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    body = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


def service(name: str, *ports: int) -> dict[str, Any]:
    listed = [{"name": f"p{port}", "port": port, "targetPort": port} for port in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": listed}}


def backend(name: str, protocol: str) -> list[dict[str, Any]]:
    args = ["--host", f"{name}={protocol}:8000", "--models", f"{name}=*", "--admin-port", str(ADMIN_PORT), "--keys-dir", "/keys"]
    probe = {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1}
    keys = {"name": "keys", "secret": {"secretName": "accepted", "items": [{"key": "guarded", "path": "guarded"}]}}
    container = {"image": SIMULATOR, "args": args, "readinessProbe": probe, "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}
    return [deployment(name, container, volumes=[keys]), service(name, 8000, ADMIN_PORT)]


def litellm(names: dict[str, str]) -> list[dict[str, Any]]:
    defaults = yaml.safe_load((ROOT / "roles/litellm/defaults/main.yml").read_text())
    config = yaml.safe_dump(config_of(names, defaults))
    env = [{"name": key, "valueFrom": {"secretKeyRef": {"name": "litellm", "key": key}}} for key in ("LITELLM_MASTER_KEY", "PROVIDER_KEY")]
    container = {
        "image": defaults["litellm_image"],
        # Without a share of its own it starves while somebody else compiles, and that would be measured.
        "resources": {"requests": {"cpu": "300m"}},
        "args": ["--config", "/etc/litellm/config.yaml", "--port", "4000"],
        "env": [*env, {"name": "LITELLM_LOCAL_MODEL_COST_MAP", "value": "True"}],
        "readinessProbe": {"httpGet": {"path": "/health/readiness", "port": 4000}, "periodSeconds": 1, "timeoutSeconds": 5},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/litellm"}],
        # So long as clients may still be led to a pod that ends.
        "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
    }
    rolling = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    made = deployment("litellm", container, volumes=[{"name": "config", "configMap": {"name": "litellm"}}])
    made["spec"]["strategy"] = {"type": "RollingUpdate", **rolling}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "litellm"}, "data": {"config.yaml": config}},
        made,
        service("litellm", 4000),
    ]


def config_of(names: dict[str, str], defaults: dict[str, Any]) -> dict[str, Any]:
    """Every backend is a model group that falls back to `spare`, with the role's own settings but a short cooldown and timeout."""
    beneath = defaults["litellm_failover_defaults"]
    entries = []
    for name, protocol in names.items():
        guarded = name == "guarded"
        params = {"api_base": f"http://{name}:8000/v1", "model": f"openai/{name}-model", "timeout": 2, "stream_timeout": 2}
        if protocol == "ollama":
            params |= {"api_base": f"http://{name}:8000", "model": f"ollama_chat/{name}-model"}
        key = "os.environ/PROVIDER_KEY" if guarded else "sk-none"
        entries.append(
            {
                "model_name": name,
                "litellm_params": {**beneath.get("litellm_params", {}), **params, "api_key": key, "cooldown_time": COOLDOWN},
                "model_info": dict(beneath.get("model_info", {})),
            }
        )
    fallbacks = [{name: ["spare"]} for name in names if name != "spare"]
    settings = {"general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"}, **defaults["litellm_settings"]}
    settings["router_settings"] = {**settings.get("router_settings", {}), "fallbacks": fallbacks}
    return {"model_list": entries, **settings}


def create(api: client.ApiClient, namespace: str, objects: list[dict[str, Any]]) -> None:
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    makers = {
        "Secret": core.create_namespaced_secret,
        "ConfigMap": core.create_namespaced_config_map,
        "Service": core.create_namespaced_service,
        "Deployment": apps.create_namespaced_deployment,
    }
    for each in objects:
        makers[each["kind"]](namespace, each)


def wait_until_ready(api: client.ApiClient, namespace: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    apps = client.AppsV1Api(api)
    while time.monotonic() < end:
        found = apps.list_namespaced_deployment(namespace).items
        if all((each.status.available_replicas or 0) >= (each.spec.replicas or 0) for each in found):
            return
        time.sleep(0.5)
    raise AssertionError([(each.metadata.name, each.status.to_dict()) for each in found])
