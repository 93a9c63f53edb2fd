# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role open_webui on a namespace of its own, with a LiteLLM that takes a key and the one after it, and a stranger at its door."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from all_along import all_along
from drilled_site import ADMIN_PORT, SIMULATOR, create, deployment, service, wait_until_ready
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from site_under_test import Played, Site, is_ready

from secret_under_test import Secret, key

SERVED = ("vllm-qwen", "ollama-qwen", "openai-gpt4o")
EMAIL = "admin@open-webui.internal"
SIGN_UP = "/api/v1/auths/signup"


@dataclass
class Stranger:
    """What became of the attempts to sign up: the status of each that Open-WebUI answered, 0 for one that it could not yet."""

    answers: list[int] = field(default_factory=list)

    @property
    def heard(self) -> list[int]:
        return [status for status in self.answers if status]


class OpenWebuiSite(Site):
    """The part of the site playbook that is Open-WebUI."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        super().__init__(namespace)
        self.core = core
        self.keys = [key(), key()]
        self.litellm = Secret(core, namespace, "litellm-secrets")
        self.own = Secret(core, namespace, "open-webui-secrets")
        self.urls = [f"http://{name}.{namespace}.svc.cluster.local:4000/v1" for name in ("litellm", "litellm-b")]
        self.variables: dict[str, Any] = {
            "open_webui_enabled": True,
            "open_webui_namespace": namespace,
            "open_webui_litellm_url": self.urls[0],
            "open_webui_litellm_key": {"namespace": namespace, "name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"},
            "open_webui_exposure": "none",
            "open_webui_termination_grace_seconds": 5,
        }

    def put_litellm(self) -> None:
        """A simulator under two addresses."""
        self.litellm.create({"LITELLM_MASTER_KEY": self.keys[0]})
        container = {
            "image": SIMULATOR,
            "args": [
                *("--host", "litellm=openai:4000", "--models", f"litellm={','.join(SERVED)}"),
                *("--admin-port", str(ADMIN_PORT), "--keys-dir", "/keys"),
            ],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1},
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
        }
        objects: list[dict[str, Any]] = [
            {"kind": "Secret", "metadata": {"name": "accepted"}, "stringData": {"litellm": "\n".join(self.keys)}},
            deployment("upstream", container, volumes=[{"name": "keys", "secret": {"secretName": "accepted"}}]),
            service("upstream", (ADMIN_PORT,)),
            *(service(name, (4000,), app="upstream") for name in ("litellm", "litellm-b")),
        ]
        create(self.core.api_client, self.namespace, objects)
        wait_until_ready(self.core.api_client, self.namespace)

    def play(self, name: str = "site", *options: str, environ: dict[str, str | None] | None = None, **variables: Any) -> Played:
        """Run a playbook's part that is Open-WebUI."""
        return super().play(name, "--tags", "open_webui", *options, environ=environ, **{**self.variables, **variables})

    @contextmanager
    def litellm_down(self) -> Iterator[None]:
        """Nobody is behind LiteLLM's addresses for a while."""
        apps = client.AppsV1Api(self.core.api_client)
        apps.patch_namespaced_deployment("upstream", self.namespace, {"spec": {"replicas": 0}})
        try:
            for _each in range(120):
                if not self.core.list_namespaced_pod(self.namespace, label_selector="app=upstream").items:
                    break
                time.sleep(0.5)
            yield
        finally:
            apps.patch_namespaced_deployment("upstream", self.namespace, {"spec": {"replicas": 1}})
            wait_until_ready(self.core.api_client, self.namespace)

    def set_litellm_key(self, value: str) -> None:
        self.core.patch_namespaced_secret("litellm-secrets", self.namespace, {"stringData": {"LITELLM_MASTER_KEY": value}})

    def pod(self) -> Any:
        """Its pod, None when there is none."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector="app=open-webui").items
        return next((pod for pod in found if not pod.metadata.deletion_timestamp), None)

    def wait(self, not_this: str = "") -> Any:
        """Wait until a pod serves, another one than that with this uid."""
        for _each in range(600):
            pod = self.pod()
            if pod and pod.metadata.uid != not_this and is_ready(pod):
                return pod
            time.sleep(0.5)
        raise AssertionError("Open-WebUI did not become ready in 5 minutes")

    def restart_with(self, **env: str) -> None:
        """Give the pod other variables than the role does, as `kubectl set env`."""
        before = self.wait().metadata.uid
        container = {"name": "open-webui", "env": [{"name": name, "value": value, "valueFrom": None} for name, value in env.items()]}
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        client.AppsV1Api(self.core.api_client).patch_namespaced_deployment("open-webui", self.namespace, body)
        self.wait(not_this=before)

    def ask(self, method: str, path: str, body: Any = None, token: str = "", *, target: str = "services/open-webui:http") -> Any:
        """Send a request through the API server, which hands cookies on and no other login. Returns the JSON; ApiException for an error."""
        api = self.core.api_client
        way = f"{api.configuration.host}/api/v1/namespaces/{self.namespace}/{target}/proxy{path}"
        headers = {"Content-Type": "application/json", "Accept": "application/json", **({"Cookie": f"token={token}"} if token else {})}
        answer = api.call_api(method, way, headers, body)
        said = answer.read()
        if answer.status >= 400:  # the client raises only for what it deserializes itself
            raise ApiException(answer.status, said.decode(errors="replace"))
        return json.loads(said or b"null")

    def sign_in(self) -> str:
        """Return a session of the administrator."""
        login = {"email": EMAIL, "password": (self.own.values or {})["WEBUI_ADMIN_PASSWORD"]}
        return str(self.ask("POST", "/api/v1/auths/signin", login)["token"])

    def an_ordinary_user(self, admin: str) -> str:
        """Return a session of one, made by the administrator whose session is given."""
        person = {"name": "Somebody", "email": f"{uuid.uuid4().hex[:8]}@example.org", "password": key(), "role": "user"}
        return str(self.ask("POST", "/api/v1/auths/add", person, admin)["token"])

    def upstream(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the simulator's admin API."""
        return self.ask(method, path, body, target=f"services/upstream:p{ADMIN_PORT}")

    @contextmanager
    def stranger(self) -> Iterator[Stranger]:
        """Somebody who tries to sign up all the while, at each pod itself: from before it listens, whether it is ready or not."""
        seen = Stranger()

        def knock() -> None:
            pod = self.pod()
            if pod is None:
                return
            person = {"name": "Stranger", "email": f"{uuid.uuid4().hex[:8]}@example.org", "password": secrets.token_urlsafe(16)}
            try:
                self.ask("POST", SIGN_UP, person, target=f"pods/{pod.metadata.name}:8080")
                seen.answers.append(200)
            except ApiException as error:
                # The API server says itself, in a Status, that a pod does not listen yet.
                seen.answers.append(0 if '"kind":"Status"' in str(error.reason) or "proxy" in str(error.reason) else int(error.status))

        with all_along(knock, 0.1):
            yield seen


def open_webui_site(core: client.CoreV1Api) -> Iterator[OpenWebuiSite]:
    """A namespace that takes nothing but restricted pods, removed afterwards."""
    name = f"ow-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        site = OpenWebuiSite(core, name)
        site.put_litellm()
        yield site
    finally:
        core.delete_namespace(name)
