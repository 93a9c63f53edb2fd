# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small site to break: simulators as Deployments behind Services, and before them the real LiteLLM, configured as role litellm does it.

A lane is a backend and the one that answers in its place: drills on different lanes run at the same time. Backends that are never broken
themselves share a pod, each with a port, a Service and faults of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "litellm"
SIMULATOR = "docker.io/sandbox/upstream:1"
ADMIN_PORT = 9900
#: LiteLLM leaves a failed deployment alone for so long, in seconds. The role's ten would make each drill as much longer.
COOLDOWN = 2
RIGHT_KEY = "sk-right-provider-key"
#: A prompt with this in it shares its place in the second LiteLLM's cache with every other: as a cache by meaning would have it.
REPEATED = "[repeated]"

LANES = ("one", "two", "three", "four")
#: Backends that are broken, with their protocol, each a Deployment.
BROKEN = {**dict.fromkeys((*LANES, "guarded", "first"), "vllm"), "five": "ollama", "second": "ollama"}
#: Those that stand: hosts of one pod. `cloud` is broken by its admin API.
STANDING = {**{f"{lane}-next": "ollama" for lane in (*LANES, "five", "guarded")}, "third": "openai", "cloud": "ollama"}


@dataclass(frozen=True)
class Group:
    """A model group of LiteLLM: on which backend, and to whom it falls back."""

    backend: str
    fallbacks: tuple[str, ...] = ()
    model: str = ""
    #: Seconds that a whole answer by Ollama's protocol may take.
    timeout: float = 3


GROUPS = {
    **{name: Group(name, (f"{name}-next",)) for name in (*LANES, "five", "guarded")},
    **{f"{name}-next": Group(f"{name}-next") for name in (*LANES, "five", "guarded")},
    # The chain with a third tier, and the one without, on the same backends.
    "first": Group("first", ("second", "third")),
    "second": Group("second"),
    "third": Group("third"),
    # As a CPU that may read for long: no bound on its answer that would pass for one on connecting.
    "long": Group("first", ("patient", "third")),
    "patient": Group("second", timeout=60),
    "upper": Group("first", ("lower",)),
    "lower": Group("second"),
    # Two models of one cloud, then the machine at home.
    "kimi": Group("cloud", ("minimax", "one-next"), "kimi-k2.5"),
    "minimax": Group("cloud", (), "minimax-m2.5"),
    # A fallback that is none.
    # A next tier that has a next one itself, so that its first token is bounded as well.
    "short": Group("first", ("bounded",)),
    "bounded": Group("third", ("second",)),
    "masked": Group("first", ("mask",)),
    "mask": Group("first"),
}


def manifests(key: str) -> list[dict[str, Any]]:
    """All of it. LiteLLM is there twice: what needs one of its own shall not disturb whom the other serves."""
    secret = {"LITELLM_MASTER_KEY": key, "PROVIDER_KEY": RIGHT_KEY}
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "litellm"}, "stringData": secret},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "accepted"}, "stringData": {"guarded": RIGHT_KEY}},
        *litellm("litellm", config_of(defaults), defaults["litellm_image"]),
        *litellm("litellm-b", with_cache(config_of(defaults)), defaults["litellm_image"]),
        *(each for name, protocol in BROKEN.items() for each in backend(name, protocol)),
        *standing(),
    ]


def deployment(name: str, container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    container = {
        "name": name,
        "resources": {"requests": {"cpu": "5m"}},
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


def service(name: str, ports: tuple[int, ...] = (8000,), target: int = 0, app: str = "") -> dict[str, Any]:
    listed = [{"name": f"p{port}", "port": port, "targetPort": target or port} for port in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": app or name}, "ports": listed}}


def simulator(name: str, hosts: dict[str, tuple[str, int]]) -> dict[str, Any]:
    args = ["--admin-port", str(ADMIN_PORT), "--keys-dir", "/keys"]
    for host, (protocol, port) in hosts.items():
        args += ["--host", f"{host}={protocol}:{port}", "--models", f"{host}=*"]
    probe = {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1}
    keys = {"name": "keys", "secret": {"secretName": "accepted", "items": [{"key": "guarded", "path": "guarded"}]}}
    container = {"image": SIMULATOR, "args": args, "readinessProbe": probe, "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}
    return deployment(name, container, volumes=[keys])


def backend(name: str, protocol: str) -> list[dict[str, Any]]:
    return [simulator(name, {name: (protocol, 8000)}), service(name, (8000, ADMIN_PORT))]


def standing() -> list[dict[str, Any]]:
    ports = {name: 8000 + place for place, name in enumerate(STANDING)}
    made = simulator("standing", {name: (protocol, ports[name]) for name, protocol in STANDING.items()})
    return [made, service("standing", (ADMIN_PORT,)), *(service(name, target=port, app="standing") for name, port in ports.items())]


def litellm(name: str, config: dict[str, Any], image: str) -> list[dict[str, Any]]:
    files = {path.name: path.read_text() for path in sorted((ROLE / "files/first_token").glob("*.py"))}
    data = {**files, "repeated.py": _ONE_PLACE, "config.yaml": yaml.safe_dump(config)}
    items = [{"key": each, "path": each if each in ("config.yaml", "repeated.py") else f"first_token/{each}"} for each in data]
    env = [{"name": key, "valueFrom": {"secretKeyRef": {"name": "litellm", "key": key}}} for key in ("LITELLM_MASTER_KEY", "PROVIDER_KEY")]
    container = {
        "image": image,
        # Without a share of its own it starves while somebody else compiles, and that would be measured.
        "resources": {"requests": {"cpu": "200m" if name == "litellm" else "50m"}},
        "args": ["--config", "/etc/litellm/config.yaml", "--port", "4000"],
        "env": [*env, {"name": "LITELLM_LOCAL_MODEL_COST_MAP", "value": "True"}],
        # A busy machine shall not be an outage.
        "readinessProbe": {
            "httpGet": {"path": "/health/readiness", "port": 4000},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 20,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/litellm"}],
        # So long as clients may still be led to a pod that ends: on a busy machine that is seconds.
        "lifecycle": {"preStop": {"sleep": {"seconds": 8}}},
    }
    volumes = [{"name": "config", "configMap": {"name": name, "items": items}}]
    # And then it answers whom it has accepted, as the role lets it.
    made = deployment(name, container, volumes=volumes, terminationGracePeriodSeconds=60)
    made["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}, made, service(name, (4000,))]


def config_of(defaults: dict[str, Any]) -> dict[str, Any]:
    """What role litellm would write for these models, but for the shorter cooldown."""
    settings = {"general_settings": {}, **defaults["litellm_settings"]}
    inner = settings["litellm_settings"]
    settings["litellm_settings"] = {**inner, "callbacks": [*inner["callbacks"], "first_token.entry.callback"]}
    fallbacks = [{name: list(group.fallbacks)} for name, group in GROUPS.items() if group.fallbacks]
    settings["router_settings"] = {**settings.get("router_settings", {}), "fallbacks": fallbacks}
    return {"model_list": [entry(name, group, defaults) for name, group in GROUPS.items()], **settings}


def entry(name: str, group: Group, defaults: dict[str, Any]) -> dict[str, Any]:
    """A model as the role writes it: with a cooldown where there is a fallback, with a bound on the first token where that is possible."""
    protocol = {**BROKEN, **STANDING}[group.backend]
    # Without a price LiteLLM looks for one in its whole list at each answer: 25 ms of CPU instead of 10.
    params: dict[str, Any] = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    params["api_key"] = "os.environ/PROVIDER_KEY" if name == "guarded" else "sk-none"
    model = group.model or f"{group.backend}-model"
    if protocol == "ollama":
        params |= {"api_base": f"http://{group.backend}:8000", "model": f"ollama_chat/{model}", "timeout": group.timeout}
        params["stream_timeout"] = group.timeout
    else:
        params |= {"api_base": f"http://{group.backend}:8000/v1", "model": f"openai/{model}"}
    info: dict[str, Any] = {}
    if group.fallbacks:
        beneath = defaults["litellm_failover_defaults"]
        params |= {**beneath["litellm_params"], "cooldown_time": COOLDOWN}
        info |= beneath["model_info"]
    info["connect_timeout"] = defaults["litellm_connect_timeout"]
    if group.fallbacks and protocol != "ollama":
        params |= dict.fromkeys(("timeout", "stream_timeout"), defaults["litellm_answer_timeout"])
        bounds = {"first_token_timeout": "", "gap_timeout": "gap_"}
        info |= {each: defaults[f"litellm_first_token_{part}timeout"] for each, part in bounds.items()}
    return {"model_name": name, "litellm_params": params, "model_info": info}


_ONE_PLACE = f"""
from litellm.caching.caching import Cache
from litellm.integrations.custom_logger import CustomLogger

usual = Cache.get_cache_key


def key_of(self, **call):
    return f"one-place-{{bool(call.get('stream'))}}" if {REPEATED!r} in str(call.get("messages")) else usual(self, **call)


Cache.get_cache_key = key_of
callback = CustomLogger()
"""


def with_cache(config: dict[str, Any]) -> dict[str, Any]:
    """Without the bound on the first token, whose self-check at the start is answered by the cache and fails."""
    callbacks = {"callbacks": ["prometheus", "repeated.callback"]}
    cached = {**config["litellm_settings"], **callbacks, "cache": True, "cache_params": {"type": "local"}}
    return {**config, "litellm_settings": cached}


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


def wait_until_ready(api: client.ApiClient, namespace: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    apps = client.AppsV1Api(api)
    while time.monotonic() < end:
        found = apps.list_namespaced_deployment(namespace).items
        if all((each.status.available_replicas or 0) >= (each.spec.replicas or 0) for each in found):
            return
        time.sleep(0.5)
    missing = [each.metadata.name for each in found if (each.status.available_replicas or 0) < (each.spec.replicas or 0)]
    raise AssertionError(f"not ready after {seconds:.0f} s: {', '.join(missing)}")
