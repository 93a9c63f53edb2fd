# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A provider's tags and key are checked before a config is written: at the sandbox's ollama.com, which has TLS and keys of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from edges import both_edges
from kubernetes import client

from secret_under_test import Secret

pytestmark = pytest.mark.cluster

IMAGE = "docker.io/sandbox/upstream:1"
KEY = "OLLAMA_API_KEY"


@pytest.fixture(scope="module")
def ca() -> str:
    if "SANDBOX_CA_FILE" not in os.environ:
        pytest.skip('not on the sandbox: eval "$(sandbox/sandbox env)"')
    return Path(os.environ["SANDBOX_CA_FILE"]).read_text()


@pytest.fixture
def told(core: client.CoreV1Api, secret: Secret, ca: str) -> dict[str, Any]:
    """Parameters that work, with a Secret of their own."""
    core.create_namespaced_secret(secret.namespace, {"metadata": {"name": secret.name}, "stringData": {KEY: os.environ[KEY]}})
    return {
        "namespace": secret.namespace,
        "name": f"config-{secret.name}",
        "models": [entry()],
        "secret": {"name": secret.name},
        "verify_tags": {"vantage": "pod", "image": IMAGE, "ca": ca},
    }


def entry(tag: str = "kimi-k2.5", **more: Any) -> dict[str, Any]:
    params = {"model": f"ollama_chat/{tag}", "api_base": "https://ollama.com", "api_key": f"os.environ/{KEY}", **more}
    return {"model_name": "cloud-kimi", "litellm_params": params}


def written(core: client.CoreV1Api, told: dict[str, Any]) -> bool:
    names = [each.metadata.name for each in core.list_namespaced_config_map(told["namespace"]).items]
    return told["name"] in names


@both_edges
def test_a_model_that_is_there_is_written_and_its_pod_is_gone(run_module: Any, core: client.CoreV1Api, told: dict[str, Any]) -> None:
    done = run_module("litellm_model", told, verbosity=4)
    assert (done.changed, done.failed, done.warnings) == (True, False, []), done.output
    assert written(core, told)
    assert [pod for pod in core.list_namespaced_pod(told["namespace"]).items if not pod.metadata.deletion_timestamp] == []
    assert os.environ[KEY] not in done.output


def test_a_wrong_tag_is_refused_with_the_nearest(run_module: Any, core: client.CoreV1Api, told: dict[str, Any]) -> None:
    done = run_module("litellm_model", {**told, "models": [entry("kimi-k2.5-cloud")]})
    assert done.failed
    assert "asks https://ollama.com for kimi-k2.5-cloud" in done.message
    assert "The nearest it has: kimi-k2.5" in done.message
    assert not written(core, told)


def test_a_wrong_key_is_refused_by_name(run_module: Any, core: client.CoreV1Api, told: dict[str, Any]) -> None:
    wrong = "0123456789abcdef-wrong"
    core.patch_namespaced_secret(told["secret"]["name"], told["namespace"], {"stringData": {KEY: wrong}})
    done = run_module("litellm_model", told, verbosity=4)
    assert done.failed
    assert f"https://ollama.com refuses the key {KEY} (401)" in done.message
    assert f"Secret {told['namespace']}/{told['secret']['name']}" in done.message
    assert wrong not in done.output
    assert not written(core, told)


def test_a_key_that_has_just_been_changed_is_asked_for_though_the_models_are_what_they_were(
    run_module: Any, core: client.CoreV1Api, told: dict[str, Any]
) -> None:
    assert run_module("litellm_model", told).changed
    told["verify_tags"]["changed_keys"] = [KEY]
    assert not run_module("litellm_model", told).failed
    core.patch_namespaced_secret(told["secret"]["name"], told["namespace"], {"stringData": {KEY: "0123456789abcdef-wrong"}})
    assert f"refuses the key {KEY} (401)" in run_module("litellm_model", told).message


def test_without_the_key_it_is_written_with_a_warning(run_module: Any, core: client.CoreV1Api, told: dict[str, Any]) -> None:
    core.patch_namespaced_secret(told["secret"]["name"], told["namespace"], {"data": {KEY: None}})
    done = run_module("litellm_model", {**told, "env_names": [KEY]})
    assert (done.changed, done.failed) == (True, False), done.output
    (warning,) = done.warnings
    assert "The tags of cloud-kimi were not checked at https://ollama.com" in warning
    assert f"has no {KEY} to ask with" in warning


def test_nobody_is_asked_when_nothing_changes(run_module: Any, told: dict[str, Any]) -> None:
    assert run_module("litellm_model", told).changed
    # With an image that is nowhere every question would fail.
    nowhere = {**told["verify_tags"], "image": "docker.io/sandbox/nowhere:9"}
    again = run_module("litellm_model", {**told, "verify_tags": nowhere})
    assert (again.changed, again.failed) == (False, False), again.output
    other = {"model_name": "vllm-qwen", "litellm_params": {"model": "openai/q", "api_base": "http://v/v1", "api_key": "none"}}
    more = run_module("litellm_model", {**told, "verify_tags": nowhere, "models": [entry(), other]})
    assert (more.changed, more.failed) == (True, False), more.output
    changed = run_module("litellm_model", {**told, "verify_tags": nowhere, "models": [entry(timeout=60)]})
    assert "the tags of cloud-kimi could not be checked from a pod" in changed.message
    assert "leave verify_tags out" in changed.message


def test_check_mode_runs_no_pod(run_module: Any, told: dict[str, Any]) -> None:
    foretold = run_module("litellm_model", {**told, "models": [entry("none-such")]}, check=True)
    assert (foretold.changed, foretold.failed) == (True, False), foretold.output


def test_an_untrusted_certificate_is_told_with_the_way_out(run_module: Any, core: client.CoreV1Api, told: dict[str, Any]) -> None:
    done = run_module("litellm_model", {**told, "verify_tags": {**told["verify_tags"], "ca": ""}})
    assert "its certificate is not trusted" in done.message
    assert "litellm_verify_tags: false" in done.message
    assert not written(core, told)


def test_from_here_the_environment_has_the_keys_of_a_file(run_module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "0123456789abcdef")
    config = tmp_path / "config.yaml"
    nowhere = entry(api_base="http://127.0.0.1:1")
    done = run_module("litellm_model", {"path": str(config), "models": [nowhere], "verify_tags": {"vantage": "here"}})
    assert "http://127.0.0.1:1 could not be asked whether it has the models of cloud-kimi: Connection refused" in done.message
    assert not config.exists()
    assert run_module("litellm_model", {"path": str(config), "models": [nowhere]}).changed


@pytest.fixture
def provider() -> Iterator[str]:
    """A provider on the loopback device that takes the sandbox's key for Ollama and no other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            allowed = self.headers["Authorization"] == f"Bearer {os.environ[KEY]}"
            body = b'{"models": [{"name": "kimi-k2.5"}]}'
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_from_here_the_key_is_read_from_the_secret(run_module: Any, core: client.CoreV1Api, told: dict[str, Any], provider: str) -> None:
    here = {**told, "models": [entry(api_base=provider)], "verify_tags": {"vantage": "here"}}
    core.patch_namespaced_secret(told["secret"]["name"], told["namespace"], {"stringData": {KEY: "0123456789abcdef-wrong"}})
    assert f"{provider} refuses the key {KEY} (401)" in run_module("litellm_model", here).message
    core.patch_namespaced_secret(told["secret"]["name"], told["namespace"], {"stringData": {KEY: os.environ[KEY]}})
    done = run_module("litellm_model", here, verbosity=4)
    assert (done.changed, done.failed) == (True, False), done.output
    assert os.environ[KEY] not in done.output


def test_a_pod_needs_to_know_the_secret_and_the_image(run_module: Any, told: dict[str, Any]) -> None:
    without_secret = {key: value for key, value in told.items() if key != "secret"}
    assert "needs secret" in run_module("litellm_model", without_secret).message
    assert "image" in run_module("litellm_model", {**told, "verify_tags": {"vantage": "pod"}}).message
