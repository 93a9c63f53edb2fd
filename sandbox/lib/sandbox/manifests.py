"""What runs on every sandbox: CoreDNS, storage, Traefik, and the upstream simulator in the places of vLLM, Ollama and the cloud."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from sandbox.cache import hash_of
from sandbox.cloud import ADMIN_PORT, CLOUD_HOSTS
from sandbox.images import Image, images
from sandbox.node import DNS_ADDRESS
from sandbox.paths import SOURCE
from sandbox.programs import PROGRAMS

FOLDER = SOURCE / "manifests"
TRAEFIK_ADDRESS = "10.96.0.20"
#: Marks pods of the simulator; their admin API is at ADMIN_PORT.
UPSTREAM_LABEL = "sandbox/upstream"
#: Deployments that must be available before `up` is done: namespace, name.
DEPLOYMENTS = (("kube-system", "coredns"), ("traefik", "traefik"), ("upstream", "cloud"), ("ml", "vllm-server"), ("ml", "ollama"))

CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}}


def _namespace(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }


def _secret(name: str, namespace: str, data: dict[str, str], kind: str = "Opaque") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name, "namespace": namespace}, "stringData": data}


def _service(name: str, namespace: str, app: str, port: int, target: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": app}, "ports": [{"name": "api", "port": port, "targetPort": target}]},
    }


def _simulator(name: str, namespace: str, image: Image, hosts: list[str], ports: list[int], tls_secrets: bool) -> dict[str, Any]:
    arguments = [word for host in hosts for word in ("--host", host)] + ["--admin-port", str(ADMIN_PORT)]
    mounts, volumes = [], []
    if tls_secrets:
        arguments += [
            "--tls-cert",
            "/etc/upstream/tls/tls.crt",
            "--tls-key",
            "/etc/upstream/tls/tls.key",
            "--keys-dir",
            "/etc/upstream/keys",
        ]
        for volume, secret in (("tls", "certificate"), ("keys", "keys")):
            mounts.append({"name": volume, "mountPath": f"/etc/upstream/{volume}", "readOnly": True})
            volumes.append({"name": volume, "secret": {"secretName": secret}})
    container = {
        "name": "upstream",
        "image": image.reference,
        "imagePullPolicy": "Never",
        "args": arguments,
        "ports": [{"containerPort": port} for port in (*ports, ADMIN_PORT)],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": mounts,
    }
    # The content of a mutable tag: a new build of the image has to reach the pods.
    template = {
        "metadata": {"labels": {"app": name, UPSTREAM_LABEL: "true"}, "annotations": {"sandbox/image": image.hash}},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            "terminationGracePeriodSeconds": 2,
            "containers": [container],
            "volumes": volumes,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }


def _upstreams(keys: dict[str, str], certificate: dict[str, str]) -> list[dict[str, Any]]:
    image = images()["upstream"]
    cloud = [f"{host.name}={host.protocol}:{host.port}:tls" for host in CLOUD_HOSTS]
    accepted = {host.name: "\n".join(keys[variable] for variable, _prefix in host.keys) for host in CLOUD_HOSTS}
    return [
        _namespace("ml"),
        _namespace("upstream"),
        _simulator("vllm-server", "ml", image, ["vllm-api=vllm:8000"], [8000], tls_secrets=False),
        _service("vllm-api", "ml", "vllm-server", 8000, 8000),
        # A real Ollama may take this place: see real_ollama.py.
        _simulator("ollama", "ml", image, ["ollama=ollama:11434"], [11434], tls_secrets=False),
        _service("ollama", "ml", "ollama", 11434, 11434),
        _secret("keys", "upstream", accepted),
        _secret("certificate", "upstream", certificate, "kubernetes.io/tls"),
        _simulator("cloud", "upstream", image, cloud, [host.port for host in CLOUD_HOSTS], tls_secrets=True),
        *(_service(host.service, "upstream", "cloud", 443, host.port) for host in CLOUD_HOSTS),
        # What each of these hosts counted, for a drill inside the cluster.
        _service("counters", "upstream", "cloud", ADMIN_PORT, ADMIN_PORT),
    ]


def source_hash() -> str:
    """Return the hash of what this module renders from, without what is random per sandbox."""
    return hash_of([*FOLDER.iterdir(), Path(__file__)], *(image.hash for image in images().values()))


def crds() -> str:
    """Return Traefik's custom resource definitions."""
    return (PROGRAMS["traefik"].result / "crds.yaml").read_text()


def render(pki: Path, keys: dict[str, str]) -> str:
    """Return all manifests but the CRDs as one YAML text. It holds the sandbox's throwaway keys: pass it by a pipe only."""

    def pair(name: str) -> dict[str, str]:
        return {"tls.crt": (pki / f"{name}.crt").read_text(), "tls.key": (pki / f"{name}.key").read_text()}

    values = {
        "cloud_zones": " ".join(f"{host.name}:1053" for host in CLOUD_HOSTS),
        "cloud_rewrites": "\n      ".join(
            f"rewrite name exact {host.name} {host.service}.upstream.svc.cluster.local" for host in CLOUD_HOSTS
        ),
        "coredns_image": images()["coredns"].reference,
        "traefik_image": images()["traefik"].reference,
        "dns_address": DNS_ADDRESS,
        "traefik_address": TRAEFIK_ADDRESS,
        "config_hash": hash_of([FOLDER / "coredns.yaml"]),
    }
    documents = [string.Template((FOLDER / f"{name}.yaml").read_text()).substitute(values) for name in ("coredns", "storage", "traefik")]
    objects = [*_upstreams(keys, pair("cloud")), _secret("web-certificate", "traefik", pair("web"), "kubernetes.io/tls")]
    return "\n---\n".join([*documents, *(json.dumps(body) for body in objects)])
