# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Open-WebUI without the role, as somebody else's chart would have made it, in front of a backend that fails on command."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drilled_site import ADMIN_PORT, SIMULATOR, create, deployment, service, wait_until_ready
from kubernetes import client

from sandbox.images import named
from secret_under_test import Secret, key

MODELS = ("vllm-qwen", "ollama-qwen", "openai-gpt4o")
EMAIL = "first@example.org"


class OpenWebUI:
    """Seen and changed by another way than the module's: its Service, through the API server, which hands cookies on and no other login."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        self.core, self.namespace = core, namespace
        self.keys = [key(), key()]
        self.secret = Secret(core, namespace, "open-webui-secrets")
        self._token = ""
        self.url = f"http://backend.{namespace}.svc.cluster.local:4000/v1"

    def start(self) -> None:
        """Start both. The backend takes two keys, so that one can be exchanged for the other at once."""
        self.secret.create({"LITELLM_KEY": self.keys[0], "ADMIN_PASSWORD": key(), "WEBUI_SECRET_KEY": key()})
        served = ",".join(MODELS)
        backend = {
            "image": SIMULATOR,
            "args": ["--host=backend=openai:4000", f"--models=backend={served}", "--keys-dir=/keys", f"--admin-port={ADMIN_PORT}"],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1},
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
        }
        plain = {
            "WEBUI_ADMIN_EMAIL": EMAIL,
            "ENABLE_OLLAMA_API": "false",
            "OPENAI_API_BASE_URL": "http://nowhere.invalid/v1",
            "OPENAI_API_KEY": "at-the-first-start-only",
            "HOME": "/tmp",  # noqa: S108
        }
        from_secret = {"WEBUI_ADMIN_PASSWORD": "ADMIN_PASSWORD", "WEBUI_SECRET_KEY": "WEBUI_SECRET_KEY"}
        references = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": self.secret.name, "key": each}}} for name, each in from_secret.items()
        ]
        webui = {
            "image": named("open-webui").reference,
            "env": [*({"name": name, "value": value} for name, value in plain.items()), *references],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
            "volumeMounts": [{"name": "data", "mountPath": "/app/backend/data"}],
        }
        objects: list[dict[str, Any]] = [
            {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"backend": "\n".join(self.keys)}},
            deployment("backend", backend, volumes=[{"name": "keys", "secret": {"secretName": "keys"}}]),
            service("backend", (4000, ADMIN_PORT)),
            deployment("open-webui", webui, volumes=[{"name": "data", "emptyDir": {}}]),
            service("open-webui", (80,), target=8080),
        ]
        create(self.core.api_client, self.namespace, objects)
        # Idle it takes 15 s to start, and its migrations are the first to suffer on a busy machine.
        wait_until_ready(self.core.api_client, self.namespace, seconds=300)
        login = {"email": EMAIL, "password": (self.secret.values or {})["ADMIN_PASSWORD"]}
        self._token = self.ask("POST", "/api/v1/auths/signin", login)["token"]

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """Send a request as the first administrator, or whose token this is; return the JSON. Raises ApiException for an error."""
        return self._through("open-webui:p80", method, path, body, {"Cookie": f"token={token or self._token}"})

    def backend(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the backend's admin API."""
        return self._through(f"backend:p{ADMIN_PORT}", method, path, body, {})

    def _through(self, port: str, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        api = self.core.api_client
        way = f"{api.configuration.host}/api/v1/namespaces/{self.namespace}/services/{port}/proxy{path}"
        answer = api.call_api(method, way, {"Content-Type": "application/json", "Accept": "application/json", **headers}, body)
        text = answer.read()
        if answer.status >= 400:
            raise client.ApiException(answer.status, answer.reason)
        return json.loads(text or b"null")

    def administrator(self) -> dict[str, Any]:
        """Make an administrator of one's own, for each may sign in 15 times in three minutes. Returns the module's login."""
        name = f"admin-{uuid.uuid4().hex[:8]}"
        person = {"name": name, "email": f"{name}@example.org", "password": key(), "role": "admin"}
        self.ask("POST", "/api/v1/auths/add", person)
        Secret(self.core, self.namespace, name).create({"PASSWORD": person["password"]})
        return {"admin_email": person["email"], "admin_password_from": {"name": name, "key": "PASSWORD"}}

    def settings(self) -> dict[str, Any]:
        """All that Open-WebUI keeps of what the module may change."""
        pages = ("/openai/config", "/api/v1/configs/models", "/api/v1/tasks/config", "/api/v1/auths/admin/config")
        grants = {
            each["id"]: {(it["principal_type"], it["principal_id"], it["permission"]) for it in each["access_grants"]}
            for each in self.ask("GET", "/api/v1/models/all")
        }
        return {**{page: self.ask("GET", page) for page in pages}, "grants": grants}

    def change(self, page: str, **fields: Any) -> None:
        """Change settings as somebody does in the web interface: the page is sent as a whole."""
        write = {"/openai/config": "/openai/config/update", "/api/v1/tasks/config": "/api/v1/tasks/config/update"}.get(page, page)
        self.ask("POST", write, {**self.ask("GET", page), **fields})

    def writes(self) -> list[str]:
        """The requests so far that can have changed something, as its own log has them."""
        (pod,) = self.core.list_namespaced_pod(self.namespace, label_selector="app=open-webui").items
        log = self.core.read_namespaced_pod_log(pod.metadata.name, self.namespace)
        asked = [line for line in log.splitlines() if "POST /" in line]
        return [line for line in asked if "/auths/signin" not in line and "/openai/verify" not in line]


@contextmanager
def open_webui(core: client.CoreV1Api) -> Iterator[OpenWebUI]:
    """In a namespace that takes nothing but restricted pods, removed afterwards."""
    name = f"webui-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        it = OpenWebUI(core, name)
        it.start()
        yield it
    finally:
        core.delete_namespace(name)
