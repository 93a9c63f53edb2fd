# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NFR95 on the whole site: every provider repeats the key it was sent, and no key is in any log, event, object or output of a play."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from site_under_test import SANDBOX, Played, Site, fresh_site

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

#: Each has a key of its own, of a form that LiteLLM knows to be one or does not.
PROVIDERS = {
    "api.openai.com": "openai-gpt4o",
    "ollama.com": "cloud-kimi",
    "api.groq.com": "groq/llama-3.3-70b-versatile",
    "generativelanguage.googleapis.com": "gemini/gemini-2.0-flash",
    "api.mistral.ai": "mistral/mistral-small-latest",
}
ANTHROPIC = "api.anthropic.com"
LENIENT = {"openclaw_verify_strict": False, "litellm_verify_strict": False}
#: Every provider is asked once, by LiteLLM's part of the site; what follows is left out.
ALL_MODELS = {**LENIENT, "litellm_verify_models": list(PROVIDERS.values())}
ASKED = ("--tags", "litellm,verify", "--skip-tags")
OPENCLAW_LOG = "/tmp/openclaw"  # noqa: S108 - in its pod


def upstream(*words: str) -> None:
    subprocess.run([*SANDBOX, "upstream", *words], check=True, capture_output=True)


@contextmanager
def repeating_keys(*hosts: str) -> Iterator[None]:
    """All that these hosts answer is an error with the received key in it."""
    try:
        for host in hosts:
            upstream("fault", host, "echo_credential", "operations=all")
        yield
    finally:
        upstream("clear")


class Told:
    """The site, and a folder with all that its plays print."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.namespace = site.namespace

    def play(self, name: str, *options: str, **variables: Any) -> Played:
        own = {"openclaw_enabled": True, "openclaw_namespace": self.namespace, "openclaw_exposure": "none"}
        # A log that says more than the role's has more to hide.
        own |= {"litellm_env": {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "INFO"}}
        played = self.site.play(name, "-vvvv", "--diff", *options, **{**own, **variables})
        (self.folder / f"{len(list(self.folder.iterdir()))}-{name}.log").write_text(played.output)
        return played

    def drill(self, **variables: Any) -> Played:
        """Only the look for keys, also in what the plays have printed."""
        return self.play("drill", "--tags", "NFR95", drill_report=str(self.folder), leaks_files=[str(self.folder)], **variables)


@pytest.fixture(scope="module")
def told(core: client.CoreV1Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A site that was made, changed, refused and asked while every provider repeated its key."""
    for site in fresh_site(core):
        told = Told(site, tmp_path_factory.mktemp("told"))
        made = told.play("site")
        assert made.code == 0, made.output[-4000:]
        with repeating_keys(ANTHROPIC, *PROVIDERS):
            # A config that is new, so that Anthropic is asked what it thinks of the token: and repeats it.
            refused = told.play("site", "--tags", "openclaw", openclaw_first_byte_timeout=4)
            assert "Anthropic refuses the token ANTHROPIC_OAUTH_TOKEN" in re.sub(r"\s+", " ", refused.output)
            told.play("site", *ASKED, "openclaw", **ALL_MODELS)
            instead = told.play("site", "--tags", "openclaw", "--skip-tags", "secrets,config,deploy", **LENIENT)
            assert re.search(r"did not answer, litellm/vllm-qwen answered", re.sub(r"\s+", " ", instead.output)), instead.output[-4000:]
        yield told


def log_of_litellm(core: client.CoreV1Api, namespace: str) -> str:
    (pod,) = core.list_namespaced_pod(namespace, label_selector="app=litellm").items
    return str(core.read_namespaced_pod_log(pod.metadata.name, namespace, container="litellm"))


def test_the_providers_did_repeat_their_keys(told: Told, core: client.CoreV1Api) -> None:
    """Else nothing that follows shows anything."""
    assert log_of_litellm(core, told.namespace).count("Received API Key = ********") >= len(PROVIDERS)


def test_the_drills_look_finds_no_key_anywhere(told: Told) -> None:
    drilled = told.drill()
    assert drilled.code == 0, drilled.output[-4000:]
    row = re.search(r"NFR95 +0 hits +0 hits +pass +secret_leak_scan: No leak: looked for (\d+) values in (\d+) places", drilled.output)
    assert row, drilled.output[-4000:]
    assert int(row[1]) >= 8
    assert int(row[2]) > 30
    (check,) = json.loads((told.folder / "leaks.json").read_text())["checks"]
    assert (check["id"], check["verdict"], check["details"]) == ("NFR95", "pass", [])


def test_all_kinds_of_places_were_looked_through(told: Told, run_module: Any) -> None:
    openclaw = {"name": told.namespace, "look_in": [], "selector": "app=openclaw", "container": "openclaw", "files": [OPENCLAW_LOG]}
    secrets = [{"namespace": told.namespace, "name": name} for name in ("litellm-secrets", "openclaw-secrets")]
    run = run_module(
        "secret_leak_scan", {"secrets": secrets, "namespaces": [{"name": told.namespace}, openclaw], "files": [str(told.folder)]}
    )
    assert run.result["verdict"] == "clean", run.output
    kinds = run.result["scanned"]["kinds"]
    assert {kind for kind, found in kinds.items() if found["bytes"]} == {"log", "event", "configmap", "object", "pod file", "file"}
    assert run.result["unscannable"] == []


@pytest.mark.parametrize("spelt", ["plain", "base64"])
def test_a_planted_key_fails_the_look_and_is_told_without_being_shown(told: Told, core: client.CoreV1Api, spelt: str) -> None:
    encoded = core.read_namespaced_secret("litellm-secrets", told.namespace).data["MISTRAL_API_KEY"]
    key = base64.b64decode(encoded).decode()
    core.create_namespaced_config_map(
        told.namespace, {"metadata": {"name": "planted"}, "data": {"notes": f"one\nuse {key if spelt == 'plain' else encoded}\n"}}
    )
    try:
        drilled = told.drill()
    finally:
        core.delete_namespaced_config_map("planted", told.namespace)
    assert drilled.code != 0
    said = re.sub(r"\s+", " ", drilled.output)
    assert re.search(r"NFR95 0 hits 1 hits fail", said), said[-4000:]
    assert f"ConfigMap {told.namespace}/planted, data.notes, line 2: key MISTRAL_API_KEY" in said
    assert key not in drilled.output
    assert encoded not in drilled.output


def test_without_the_mask_litellm_logs_keys_and_the_look_finds_them(told: Told) -> None:
    """That there was nothing to be found is the role's doing, and would have been seen."""
    bare = told.play("site", "--tags", "litellm", litellm_mask_keys=False, litellm_verify=False)
    assert bare.code == 0, bare.output[-4000:]
    with repeating_keys(*PROVIDERS):
        told.play("site", *ASKED, "openclaw,deploy,config", **ALL_MODELS)
    drilled = told.drill()
    assert drilled.code != 0
    said = re.sub(r"\s+", " ", drilled.output)
    assert re.search(rf"log Pod {told.namespace}/litellm-\S+, container litellm, line \d+: key MISTRAL_API_KEY", said), said[-4000:]
