# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role open_webui on a namespace of its own, with backends that list models and answer, and a way to ask what it has."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from drilled_site import ADMIN_PORT, SIMULATOR, create, deployment, service, wait_until_ready
from forwarded import forwarded
from kubernetes import client
from site_under_test import Played, Site

SERVED = ("vllm-qwen", "ollama-qwen", "openai-gpt4o")
#: Two that could be LiteLLM, so that the address can be another one. Both take the same key.
BACKENDS = {"litellm": 4000, "elsewhere": 4001}


class OpenWebUISite(Site):
    """The part of the site playbook that is Open-WebUI."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        super().__init__(namespace)
        self.core = core
        self.litellm_key = f"sk-{secrets.token_hex(24)}"
        self.variables: dict[str, Any] = {}

    def put_upstreams(self) -> None:
        """One simulator for both backends, and LiteLLM's Secret."""
        args = [word for name, port in BACKENDS.items() for word in ("--host", f"{name}=openai:{port}")]
        args += [word for name in BACKENDS for word in ("--models", f"{name}={','.join(SERVED)}")]
        container = {
            "image": SIMULATOR,
            "args": [*args, "--admin-port", str(ADMIN_PORT), "--keys-dir", "/keys"],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1},
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
        }
        objects: list[dict[str, Any]] = [
            {"kind": "Secret", "metadata": {"name": "upstream-keys"}, "stringData": dict.fromkeys(BACKENDS, self.litellm_key)},
            {"kind": "Secret", "metadata": {"name": "litellm-secrets"}, "stringData": {"LITELLM_MASTER_KEY": self.litellm_key}},
            deployment("upstream", container, volumes=[{"name": "keys", "secret": {"secretName": "upstream-keys"}}]),
            *(service(name, (4000,), target=port, app="upstream") for name, port in BACKENDS.items()),
        ]
        create(self.core.api_client, self.namespace, objects)
        self.variables = {
            "open_webui_namespace": self.namespace,
            "open_webui_litellm_url": self.backend("litellm"),
            "open_webui_litellm_key": {"namespace": self.namespace, "name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"},
            "open_webui_exposure": "none",
            "open_webui_default_models": ["vllm-qwen"],
            "open_webui_verify_models": ["vllm-qwen", "ollama-qwen"],
        }
        wait_until_ready(self.core.api_client, self.namespace)

    def backend(self, name: str) -> str:
        return f"http://{name}.{self.namespace}.svc.cluster.local:4000/v1"

    def play(self, name: str = "site", *options: str, environ: dict[str, str | None] | None = None, **variables: Any) -> Played:
        """Run a playbook's part that is Open-WebUI."""
        own = {"open_webui_enabled": True, "open_webui_admin_password": "", **self.variables}
        return super().play(name, "--tags", "open_webui", *options, environ=environ, **{**own, **variables})

    def pod(self) -> Any:
        """Its pod, None when there is none."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector="app=open-webui").items
        return next((pod for pod in found if not pod.metadata.deletion_timestamp), None)

    def secret(self) -> dict[str, str]:
        """What its Secret holds; nothing when there is none."""
        named = self.core.list_namespaced_secret(self.namespace, field_selector="metadata.name=open-webui-secrets").items
        return {key: base64.b64decode(value).decode() for each in named for key, value in each.data.items()}

    def asked(self) -> Asked:
        return Asked(self)


class Asked:
    """Open-WebUI's API, as its administrator. Signed in once, for it counts."""

    def __init__(self, site: OpenWebUISite) -> None:
        self._namespace = site.namespace
        login = {"email": "admin@open-webui.internal", "password": site.secret()["WEBUI_ADMIN_PASSWORD"]}
        self._token = ""
        self._token = str(self.json("POST", "/api/v1/auths/signin", login)["token"])

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self._token}"} if self._token else {})}
        with forwarded(self._namespace, "open-webui", 80) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")

    def json(self, method: str, path: str, body: Any = None) -> Any:
        status, found = self.request(method, path, body)
        assert status == 200, (status, found)
        return found


def open_webui_site(core: client.CoreV1Api) -> Iterator[OpenWebUISite]:
    """A namespace that takes nothing but restricted pods, removed afterwards."""
    name = f"ow-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        site = OpenWebUISite(core, name)
        site.put_upstreams()
        yield site
    finally:
        with suppress(client.ApiException):
            core.delete_namespace(name)
