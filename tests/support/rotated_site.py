# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real LiteLLM and the real OpenClaw in a namespace of their own, with providers that take a key and the one after it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from all_along import all_along
from drilled_site import ADMIN_PORT, SIMULATOR, create, deployment, service, wait_until_ready
from kubernetes import client
from openclaw_site import ANTHROPIC, OpenclawSite
from site_under_test import ROOT, SANDBOX, Site

HOSTS = {ANTHROPIC: "anthropic:8446:tls", "vllm": "vllm:8001", "provider": "openai:8002"}
FOLLOWING = ROOT / "tests" / "e2e" / "following.py"


class RotatedSite(OpenclawSite):
    """`tokens` and `provider_keys` are the ones their providers take."""

    def __init__(self, core: client.CoreV1Api, namespace: str, folder: Path) -> None:
        super().__init__(core, namespace, folder)
        self.tokens = [f"sk-ant-oat01-{secrets.token_hex(24)}" for _each in range(2)]
        self.provider_keys = [f"sk-{secrets.token_hex(24)}" for _each in range(2)]

    def put_upstreams(self) -> None:
        """One simulator for all of them."""
        accepted = {ANTHROPIC: "\n".join(self.tokens), "provider": "\n".join(self.provider_keys)}
        args = [word for name, how in HOSTS.items() for word in ("--host", f"{name}={how}")]
        args += ["--models", "vllm=*", "--models", "provider=*", "--admin-port", str(ADMIN_PORT), "--keys-dir", "/keys"]
        args += ["--tls-cert", "/tls/tls.crt", "--tls-key", "/tls/tls.key"]
        container = {
            "image": SIMULATOR,
            "args": args,
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": ADMIN_PORT}, "periodSeconds": 1},
            "volumeMounts": [{"name": "keys", "mountPath": "/keys"}, {"name": "tls", "mountPath": "/tls"}],
        }
        volumes = [{"name": name, "secret": {"secretName": f"upstream-{name}"}} for name in ("keys", "tls")]
        anthropic = service("anthropic", (443,), target=8446, app="upstream")
        objects: list[dict[str, Any]] = [
            {"kind": "Secret", "metadata": {"name": "upstream-keys"}, "stringData": accepted},
            {"kind": "Secret", "metadata": {"name": "upstream-tls"}, "stringData": self._pair},
            deployment("upstream", container, volumes=volumes),
            service("upstream", (ADMIN_PORT, 8001, 8002)),
            anthropic,
        ]
        create(self.core.api_client, self.namespace, objects)
        address = self.core.read_namespaced_service("anthropic", self.namespace).spec.cluster_ip
        self.variables = {
            "litellm_models": [
                model("vllm-qwen", "openai/vllm-model", "http://upstream:8001/v1", "sk-none"),
                model("provider-model", "openai/provider-model", "http://upstream:8002/v1", "os.environ/OPENAI_API_KEY"),
            ],
            "litellm_fallbacks": {},
            "litellm_explicit_only": [],
            "litellm_verify_models": ["vllm-qwen"],
            "litellm_verify_from": [],
            "litellm_termination_grace_seconds": 30,
            "openclaw_namespace": self.namespace,
            "openclaw_exposure": "none",
            "openclaw_fallbacks": ["litellm/vllm-qwen"],
            "openclaw_host_aliases": [{"ip": address, "hostnames": [ANTHROPIC]}],
            "openclaw_extra_ca": self._pair["tls.crt"],
        }
        wait_until_ready(self.core.api_client, self.namespace)

    def played(self, name: str, *options: str, environ: dict[str, str | None] | None = None, **variables: Any) -> Any:
        """Run a playbook. Keys are in the environment, as a person gives them, and only those that are told."""
        own = {"openclaw_enabled": True, "litellm_verify_tags": False, **self.variables}
        given = {**NOTHING_GIVEN, **(environ or {})}
        return Site.play(self, name, *options, environ=given, **{**own, **variables})

    def rotate(self, *names: str, options: tuple[str, ...] = (), environ: dict[str, str | None] | None = None, **variables: Any) -> Any:
        return self.played("rotate", *options, environ=environ, rotate=",".join(names), **variables)

    @contextmanager
    def rotating(self, *names: str) -> Iterator[subprocess.Popen[str]]:
        """A rotation as a process that can be interrupted."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as given:
            own = {"litellm_namespace": self.namespace, "litellm_exposure": "none", "litellm_verify_overhead_ms": 1000}
            services = {"openclaw_enabled": True, "open_webui_enabled": False}
            json.dump({**own, **services, "litellm_verify_tags": False, **self.variables, "rotate": ",".join(names)}, given)
            given.flush()
            environ = {key: value for key, value in {**os.environ, **NOTHING_GIVEN, "ANSIBLE_NOCOLOR": "1"}.items() if value is not None}
            command = [
                sys.executable,
                "-m",
                "ansible.cli.playbook",
                "playbooks/rotate.yml",
                "-i",
                "inventories/sandbox",
                "-e",
                f"@{given.name}",
            ]
            quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
            with subprocess.Popen(command, cwd=ROOT, env={**environ, "PYTHONUNBUFFERED": "1"}, **quiet) as process:  # type: ignore[call-overload]
                yield process

    def keys(self, secret: str) -> dict[str, str]:
        data = self.core.read_namespaced_secret(secret, self.namespace).data or {}
        return {name: base64.b64decode(value).decode() for name, value in data.items()}

    def in_gateway(self, program: str) -> str:
        """Run what follows the role's client of the gateway, in the gateway's container. Return what it prints."""
        text = (ROOT / "roles/openclaw/files/gateway.mjs").read_text() + program
        command = [*SANDBOX, "kubectl", "exec", "-n", self.namespace, self.gateway().metadata.name, "-c", "openclaw", "--"]
        done = subprocess.run([*command, "node", "--input-type=module", "-e", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def clients(self) -> Iterator[Clients]:
        """Clients on the node, who ask the Service as a pod does. Not in a pod: what they are told goes through a pipe."""
        address = self.core.read_namespaced_service("litellm", self.namespace).spec.cluster_ip
        command = [*SANDBOX, "exec", "--", "python3", str(FOLLOWING), f"http://{address}:4000", "vllm-qwen", "5"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield Clients(process)
            finally:
                # They end when their input does.
                process.communicate(timeout=180)


class Clients:
    """What tests/e2e/following.py does, from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._keys: dict[str, str] = {}

    def tell(self, name: str, key: str) -> None:
        """From now on this client has this key. Waits for the first answer of a new one."""
        if self._keys.get(name) == key:
            return
        new = name not in self._keys
        self._keys[name] = key
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{name} {key}\n")
        self._process.stdin.flush()
        if new:
            assert self._process.stdout.readline() == f"ready {name}\n"

    @contextmanager
    def follow(self, name: str, site: RotatedSite) -> Iterator[None]:
        """Let this client have the key that OpenClaw's gateway has: what is in its Secret from the moment a new gateway is there."""
        known = ""

        def watch() -> None:
            nonlocal known
            pod = site.gateway()
            if pod and pod.metadata.uid != known and pod.status.phase == "Running":
                known = pod.metadata.uid
                self.tell(name, site.keys("openclaw-secrets")["LITELLM_API_KEY"])

        self.tell(name, site.keys("openclaw-secrets")["LITELLM_API_KEY"])
        with all_along(watch, 0.2):
            yield

    def finish(self) -> dict[str, list[tuple[float, str]]]:
        said, _none = self._process.communicate(timeout=300)
        return dict(json.loads(said))


def model(name: str, kind: str, base: str, key: str) -> dict[str, Any]:
    params = {"model": kind, "api_base": base, "api_key": key, "input_cost_per_token": 0, "output_cost_per_token": 0}
    return {"model_name": name, "litellm_params": params, "model_info": {"mode": "chat"}}


#: Whatever the shell of the tests knows.
NOTHING_GIVEN: dict[str, str | None] = {
    **{f"{name}_API_KEY": None for name in ("ANTHROPIC", "GEMINI", "GROQ", "MISTRAL", "OLLAMA", "OPENAI")},
    "ANTHROPIC_OAUTH_TOKEN": None,
    "DATABASE_URL": None,
}


def rotated_site(core: client.CoreV1Api, folder: Path) -> Iterator[RotatedSite]:
    """Deployed, and removed afterwards."""
    name = f"rot-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        site = RotatedSite(core, name, folder)
        site.put_upstreams()
        given: dict[str, str | None] = {"ANTHROPIC_OAUTH_TOKEN": site.tokens[0], "OPENAI_API_KEY": site.provider_keys[0]}
        played = site.played("site", environ=given)
        assert played.code == 0, played.output
        yield site
    finally:
        core.delete_namespace(name)
