# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys by every way the role takes them, and what becomes of a model without one. Nothing is deployed: secrets and config only."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from site_under_test import Played, Site, fresh_site

pytestmark = pytest.mark.cluster

#: What the environment of this machine may have, taken out of the play's.
NO_KEYS: dict[str, str | None] = {f"{name}_API_KEY": None for name in ("ANTHROPIC", "GEMINI", "GROQ", "MISTRAL", "OLLAMA", "OPENAI")}
WAYS = ("homelab.llm.k8s_secret_patch", "litellm_provider_keys", "the environment of whoever runs the play")


@pytest.fixture
def site(core: client.CoreV1Api) -> Iterator[Site]:
    yield from fresh_site(core)


@pytest.fixture
def configure(site: Site) -> Any:
    """Plays secrets and config, with these keys in the environment and no others."""

    def play(*options: str, environ: dict[str, str] | None = None, **variables: Any) -> Played:
        given = {"litellm_verify_tags": False, **variables}
        return site.play(
            "site", "--tags", "secrets,config", *options, environ={**NO_KEYS, "DATABASE_URL": None, **(environ or {})}, **given
        )

    return play


@pytest.fixture
def served(core: client.CoreV1Api, site: Site) -> Any:
    def read() -> list[str]:
        config = core.read_namespaced_config_map("litellm-config", site.namespace).data["config.yaml"]
        return [each["model_name"] for each in yaml.safe_load(config)["model_list"]]

    return read


def keys(core: client.CoreV1Api, site: Site) -> dict[str, str]:
    data = core.read_namespaced_secret("litellm-secrets", site.namespace).data
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def words(text: str) -> str:
    """Without the line breaks that Ansible puts into long messages."""
    return " ".join(text.split())


def test_models_without_a_key_are_left_out_and_said_so(configure: Any, served: Any) -> None:
    played = configure(environ={"OLLAMA_API_KEY": secrets.token_hex(16)})
    assert played.code == 0, played.output
    assert "has no GROQ_API_KEY: groq/llama-3.3-70b-versatile, groq/mixtral-8x7b-32768." in words(played.output)
    for way in WAYS:
        assert way in words(played.output)
    assert {"vllm-qwen", "ollama-qwen", "cloud-kimi"} < set(served())
    assert not [name for name in served() if name.startswith(("groq/", "gemini/", "mistral/", "openai-"))]


def test_strict_makes_one_error_of_all_that_is_missing_and_writes_no_config(configure: Any, site: Site, core: client.CoreV1Api) -> None:
    played = configure(environ={"OLLAMA_API_KEY": secrets.token_hex(16)}, litellm_strict_keys=True)
    assert played.code != 0
    for model, name in (
        ("groq/llama-3.3-70b-versatile", "GROQ_API_KEY"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
        ("openai-gpt4o", "OPENAI_API_KEY"),
    ):
        assert f"'{model}' reads {name}, which Secret {site.namespace}/litellm-secrets does not have" in words(played.output)
    for way in WAYS:
        assert way in words(played.output)
    assert "litellm-config" not in [each.metadata.name for each in core.list_namespaced_config_map(site.namespace).items]


def test_a_key_is_given_once_and_then_one_at_a_time(configure: Any, served: Any, site: Site, core: client.CoreV1Api) -> None:
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    assert configure(environ={"OLLAMA_API_KEY": first}).code == 0
    assert configure(litellm_provider_keys_extra={"GROQ_API_KEY": second}).code == 0
    found = keys(core, site)
    assert {name: value for name, value in found.items() if name != "LITELLM_MASTER_KEY"} == {
        "OLLAMA_API_KEY": first,
        "GROQ_API_KEY": second,
    }
    assert {"cloud-kimi", "groq/llama-3.3-70b-versatile"} < set(served())
    again = configure()
    assert (again.code, again.recap["changed"]) == (0, 0), "a key that is not given again stays"


def test_a_key_out_of_a_vault_is_in_the_secret_and_nowhere_in_the_output(
    configure: Any, site: Site, core: client.CoreV1Api, tmp_path: Path
) -> None:
    value = secrets.token_urlsafe(24)
    password = tmp_path / "vault-password"
    password.write_text(secrets.token_hex(16))
    encrypt = [Path(sys.executable).with_name("ansible-vault"), "encrypt_string", "--vault-password-file", password]
    encrypted = subprocess.run([*encrypt, "--stdin-name", "GROQ_API_KEY"], input=value, capture_output=True, text=True, check=True).stdout
    variables = tmp_path / "keys.yml"
    variables.write_text("litellm_provider_keys_extra:\n" + "".join(f"  {line}\n" for line in encrypted.splitlines()))
    assert value not in variables.read_text()
    played = configure("-e", f"@{variables}", "--vault-password-file", str(password), "-vvvv", "--diff")
    assert played.code == 0, played.output
    assert keys(core, site)["GROQ_API_KEY"] == value
    for form in (value, base64.b64encode(value.encode()).decode()):
        assert form not in played.output


def test_a_database_s_address_goes_into_the_secret_and_its_name_into_the_config(configure: Any, site: Site, core: client.CoreV1Api) -> None:
    url = f"postgresql://litellm:{secrets.token_hex(12)}@db.example.com:5432/litellm"
    played = configure("-vvvv", "--diff", litellm_database=True, litellm_provider_keys_extra={"LITELLM_DATABASE_URL": url})
    assert played.code == 0, played.output
    assert keys(core, site)["LITELLM_DATABASE_URL"] == url
    config = core.read_namespaced_config_map("litellm-config", site.namespace).data["config.yaml"]
    settings = yaml.safe_load(config)["general_settings"]
    keys_in_it = {name: value for name, value in settings.items() if str(value).startswith("os.environ/")}
    assert keys_in_it == {"master_key": "os.environ/LITELLM_MASTER_KEY", "database_url": "os.environ/LITELLM_DATABASE_URL"}
    assert url.split(":")[2].split("@")[0] not in played.output


def test_a_database_without_an_address_is_an_error(configure: Any) -> None:
    played = configure(litellm_database=True)  # nor DATABASE_URL in the environment
    assert played.code != 0
    assert "reads LITELLM_DATABASE_URL, which Secret" in words(played.output)
