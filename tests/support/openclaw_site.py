# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role openclaw on a namespace of its own, with an api.anthropic.com and a LiteLLM that fail on command."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drilled_site import ADMIN_PORT, SIMULATOR, create, deployment, service, wait_until_ready
from kubernetes import client
from site_under_test import Played, Site, is_ready

ANTHROPIC = "api.anthropic.com"
SERVED = ("vllm-qwen", "ollama-qwen", "openai-gpt4o")
HOSTS = {ANTHROPIC: "anthropic:8446:tls", "litellm": "openai:4000"}


class OpenclawSite(Site):
    """The part of the site playbook that is OpenClaw. Anthropic's name leads to the simulator by an alias of the pod, TLS and all."""

    def __init__(self, core: client.CoreV1Api, namespace: str, folder: Path) -> None:
        super().__init__(namespace)
        self.core = core
        self.token = f"sk-ant-oat01-{secrets.token_hex(24)}"
        self.litellm_key = f"sk-{secrets.token_hex(24)}"
        self._pair = certificate(folder)
        self.variables: dict[str, Any] = {}

    def put_upstreams(self) -> None:
        """One simulator for both, and where each of them is looked for."""
        accepted = {ANTHROPIC: self.token, "litellm": self.litellm_key}
        args = [word for name, how in HOSTS.items() for word in ("--host", f"{name}={how}")]
        args += ["--models", f"litellm={','.join(SERVED)}", "--admin-port", str(ADMIN_PORT)]
        args += ["--keys-dir", "/keys", "--tls-cert", "/tls/tls.crt", "--tls-key", "/tls/tls.key"]
        container = {
            "image": SIMULATOR,
            "args": args,
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1},
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}, {"name": "tls", "mountPath": "/tls"}],
        }
        volumes = [{"name": name, "secret": {"secretName": f"upstream-{name}"}} for name in ("keys", "tls")]
        objects: list[dict[str, Any]] = [
            {"kind": "Secret", "metadata": {"name": "upstream-keys"}, "stringData": accepted},
            {"kind": "Secret", "metadata": {"name": "upstream-tls"}, "stringData": self._pair},
            {"kind": "Secret", "metadata": {"name": "litellm-secrets"}, "stringData": {"LITELLM_MASTER_KEY": self.litellm_key}},
            deployment("upstream", container, volumes=volumes),
            service("upstream", (ADMIN_PORT,)),
            service("anthropic", (443,), target=8446, app="upstream"),
            service("litellm", (4000,), app="upstream"),
        ]
        create(self.core.api_client, self.namespace, objects)
        address = self.core.read_namespaced_service("anthropic", self.namespace).spec.cluster_ip
        self.variables = {
            "openclaw_namespace": self.namespace,
            "openclaw_litellm_url": f"http://litellm.{self.namespace}.svc.cluster.local:4000/v1",
            "openclaw_exposure": "none",
            "openclaw_host_aliases": [{"ip": address, "hostnames": [ANTHROPIC]}],
            "openclaw_extra_ca": self._pair["tls.crt"],
        }
        wait_until_ready(self.core.api_client, self.namespace)

    def play(self, name: str = "site", *options: str, environ: dict[str, str | None] | None = None, **variables: Any) -> Played:
        """Run a playbook's part that is OpenClaw."""
        own = {"openclaw_enabled": True, "openclaw_anthropic_token": self.token, **self.variables}
        return super().play(name, "--tags", "openclaw", *options, environ=environ, **{**own, **variables})

    def gateway(self) -> Any:
        """Its pod, None when there is none."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector="app=openclaw").items
        return next((pod for pod in found if not pod.metadata.deletion_timestamp), None)

    def wait_for_gateway(self) -> Any:
        for _each in range(600):
            pod = self.gateway()
            if pod and is_ready(pod):
                return pod
            time.sleep(0.5)
        raise AssertionError("the gateway did not become ready in 5 minutes")

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the simulator's admin API, through the API server."""
        api = self.core.api_client
        way = f"/api/v1/namespaces/{self.namespace}/services/upstream:{ADMIN_PORT}/proxy{path}"
        answer = api.call_api(
            method, api.configuration.host + way, {"Content-Type": "application/json", "Accept": "application/json"}, body
        )
        return json.loads(answer.read() or b"null")

    @contextmanager
    def fault(self, host: str, **fault: Any) -> Iterator[None]:
        self.admin("PUT", f"/hosts/{host}/fault", fault)
        try:
            yield
        finally:
            self.admin("PUT", f"/hosts/{host}/fault", {"kind": "none"})


def certificate(folder: Path) -> dict[str, str]:
    """Certificate and key for Anthropic's name, its own authority."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=upstream simulator", "-addext", f"subjectAltName=DNS:{ANTHROPIC}"]
    files = {name: folder / name for name in ("tls.crt", "tls.key")}
    subprocess.run([*command, *names, "-out", files["tls.crt"], "-keyout", files["tls.key"]], check=True, capture_output=True)
    return {name: path.read_text() for name, path in files.items()}


def openclaw_site(core: client.CoreV1Api, folder: Path) -> Generator[OpenclawSite, None, None]:
    """A namespace that takes nothing but restricted pods, removed afterwards."""
    name = f"oc-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        site = OpenclawSite(core, name, folder)
        site.put_upstreams()
        yield site
    finally:
        core.delete_namespace(name)
