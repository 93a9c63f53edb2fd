# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""litellm_model on a real API server, and on a file."""

from __future__ import annotations

import secrets
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from edges import both_edges
from kubernetes import client

pytestmark = pytest.mark.cluster

LOCAL = {"model_name": "vllm-qwen", "litellm_params": {"model": "openai/qwen", "api_base": "http://vllm/v1", "api_key": "sk-none"}}
CLOUD = {"model_name": "cloud-kimi", "litellm_params": {"model": "ollama_chat/kimi-k2.5", "api_key": "os.environ/OLLAMA_API_KEY"}}
HAND_WRITTEN = """\
# mine
model_list:
- model_name: mine   # by hand
  litellm_params: {model: 'openai/mine'}

litellm_settings: {drop_params: true}
"""


class ConfigMap:
    """One ConfigMap, looked at independently of the module."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        self._core = core
        self.namespace = namespace
        self.name = f"c-{uuid.uuid4().hex[:8]}"

    def write(self, text: str) -> None:
        self._core.create_namespaced_config_map(
            self.namespace, {"metadata": {"name": self.name}, "data": {"config.yaml": text, "other": "stays"}}
        )

    @property
    def all(self) -> Any:
        found = self._core.list_namespaced_config_map(self.namespace, field_selector=f"metadata.name={self.name}").items
        return found[0] if found else None

    @property
    def text(self) -> str | None:
        return self.all.data.get("config.yaml") if self.all else None

    @property
    def data(self) -> Any:
        return yaml.safe_load(self.text)


@pytest.fixture
def config_map(core: client.CoreV1Api, namespace: str) -> ConfigMap:
    return ConfigMap(core, namespace)


@pytest.fixture
def edit(run_module: Any, config_map: ConfigMap) -> Any:
    """Runs the module on the test's ConfigMap."""

    def run(*, check: bool = False, diff: bool = False, verbosity: int = 0, **params: Any) -> Any:
        given = {"namespace": config_map.namespace, "name": config_map.name, **params}
        return run_module("litellm_model", given, check=check, diff=diff, verbosity=verbosity)

    return run


@both_edges
def test_create_again_modify_again_remove_again_each_with_and_without_check_mode(edit: Any, config_map: ConfigMap) -> None:
    slower = {**LOCAL, "litellm_params": {**LOCAL["litellm_params"], "timeout": 60}}
    for params, key, models in (
        ({"models": [LOCAL]}, "added", ["vllm-qwen"]),
        ({"models": [slower]}, "changed_entries", ["vllm-qwen"]),
        ({"models": [{"model_name": "vllm-qwen"}], "state": "absent"}, "removed", []),
    ):
        before = config_map.text
        foretold = edit(check=True, **params)
        assert (foretold.changed, foretold.result[key], foretold.result["models"]) == (True, ["vllm-qwen"], models)
        assert config_map.text == before
        done = edit(**params)
        assert (done.changed, done.result["checksum"]) == (True, foretold.result["checksum"])
        version = config_map.all.metadata.resource_version
        for check in (True, False):
            again = edit(check=check, **params)
            assert (again.changed, again.result["checksum"]) == (False, done.result["checksum"])
        assert config_map.all.metadata.resource_version == version
        assert not done.warnings


def test_what_it_was_not_told_of_keeps_every_byte(edit: Any, config_map: ConfigMap) -> None:
    config_map.write(HAND_WRITTEN)
    edit(models=[LOCAL])
    assert config_map.text.startswith("# mine\nmodel_list:\n- model_name: mine   # by hand\n  litellm_params: {model: 'openai/mine'}\n")
    assert config_map.all.data["other"] == "stays"
    edit(models=[LOCAL], state="absent")
    assert config_map.text == HAND_WRITTEN


@both_edges
def test_everything_that_is_wrong_is_told_in_one_error_and_nothing_is_written(edit: Any, config_map: ConfigMap) -> None:
    key = "sk-" + secrets.token_urlsafe(24)
    config_map.write(HAND_WRITTEN)
    bad = [
        {"model_name": "inline", "litellm_params": {"model": "openai/x", "api_key": key}},
        {"model_name": "slash", "litellm_params": {"model": "ollama_chat/x", "api_base": "https://ollama.com/api"}},
        CLOUD,
    ]
    run = edit(models=bad, fallbacks={"inline": ["nowhere"]}, secret={"name": "not-there"}, verbosity=4, diff=True)
    assert run.failed
    assert len(run.result["problems"]) == 4
    for part in (
        "os.environ/NAME",
        "write 'https://ollama.com'",
        "OLLAMA_API_KEY",
        "'nowhere'",
        f"ConfigMap {config_map.namespace}/{config_map.name}",
    ):
        assert part in run.message
    assert key not in run.output
    assert config_map.text == HAND_WRITTEN


@both_edges
def test_a_key_in_plain_text_that_was_there_is_not_shown_in_the_diff(edit: Any, config_map: ConfigMap) -> None:
    key = "sk-" + secrets.token_urlsafe(24)
    config_map.write(HAND_WRITTEN.replace("{model: 'openai/mine'}", f"{{model: 'openai/mine', api_key: {key}}}"))
    run = edit(models=[LOCAL], diff=True, verbosity=4)
    assert run.changed
    assert "vllm-qwen" in run.output
    assert key not in run.output


def test_a_model_reads_only_what_the_secret_has(edit: Any, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_secret(namespace, {"metadata": {"name": "provider"}, "stringData": {"OLLAMA_API_KEY": secrets.token_hex(16)}})
    assert edit(models=[CLOUD], secret={"name": "provider"}).changed
    other = {"model_name": "groq", "litellm_params": {"model": "groq/x", "api_key": "os.environ/GROQ_API_KEY"}}
    refused = edit(models=[CLOUD, other], secret={"name": "provider"})
    assert f"GROQ_API_KEY, which Secret {namespace}/provider does not have" in refused.message
    left = edit(models=[CLOUD, other], fallbacks={"cloud-kimi": ["groq"]}, secret={"name": "provider"}, missing_keys="leave_out")
    assert left.result["left_out"] == [{"model_name": "groq", "missing": ["GROQ_API_KEY"]}]
    assert left.result["chains"] == {"cloud-kimi": ["cloud-kimi"]}
    assert "no GROQ_API_KEY: groq" in left.warnings[0]


def test_check_mode_needs_no_namespace(run_module: Any) -> None:
    params = {"namespace": "not-made-yet", "models": [CLOUD], "secret": {"name": "not-made-yet"}, "env_names": ["OLLAMA_API_KEY"]}
    foretold = run_module("litellm_model", params, check=True)
    assert (foretold.changed, foretold.result["models"]) == (True, ["cloud-kimi"])
    assert "make the namespace first" in run_module("litellm_model", params).message


def test_two_at_once_lose_nothing(edit: Any, config_map: ConfigMap) -> None:
    config_map.write(HAND_WRITTEN)
    models = [{"model_name": f"m{number}", "litellm_params": {"model": f"openai/m{number}"}} for number in range(4)]
    threads = [threading.Thread(target=edit, kwargs={"models": [model]}) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each["model_name"] for each in config_map.data["model_list"]) == ["m0", "m1", "m2", "m3", "mine"]


def test_a_file_is_edited_alike_and_keeps_its_mode(run_module: Any, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(HAND_WRITTEN)
    file.chmod(0o640)
    params = {"path": str(file), "models": [LOCAL], "fallbacks": {"vllm-qwen": ["mine"]}}
    assert run_module("litellm_model", params, check=True).changed
    assert file.read_text() == HAND_WRITTEN
    done = run_module("litellm_model", params)
    assert done.result["chains"]["vllm-qwen"] == ["vllm-qwen", "mine"]
    assert not run_module("litellm_model", params).changed
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


SLOW = {**LOCAL, "litellm_params": {**LOCAL["litellm_params"], "timeout": 60, "num_retries": 0}}
SPARE = {"model_name": "ollama-qwen", "litellm_params": {"model": "ollama_chat/qwen"}}
CHAIN = {"models": [SLOW, SPARE], "fallbacks": {"vllm-qwen": ["ollama-qwen"]}}


@both_edges
def test_a_chain_over_its_budget_is_refused_with_the_setting_to_change(edit: Any, config_map: ConfigMap) -> None:
    refused = edit(**CHAIN, failover_budget=5)
    assert refused.failed
    (said,) = refused.result["problems"]
    for part in ("'vllm-qwen'", "61.4 s", "budget is 5 s", "vllm-qwen → ollama-qwen", "litellm_params.timeout of vllm-qwen (60) bounds it"):
        assert part in said
    assert config_map.all is None
    assert edit(**CHAIN, failover_budget=5, failover_budgets={"ollama-qwen": 62}).failed, "the exception is for another one"
    assert edit(**CHAIN, failover_budget=5, failover_budgets={"vllm-qwen": 62}).changed


@both_edges
def test_over_budget_may_be_a_warning_and_without_a_budget_is_nothing(edit: Any) -> None:
    warned = edit(**CHAIN, failover_budget=5, over_budget="warn", check=True)
    assert warned.changed
    assert "61.4 s" in warned.warnings[0]
    assert not edit(**CHAIN, check=True).warnings


@both_edges
def test_what_a_failover_takes_comes_as_data_as_a_table_and_as_a_picture(edit: Any) -> None:
    result = edit(**CHAIN, check=True).result
    assert result["failover"]["tiers"]["vllm-qwen"]["hang before headers"]["first"] == 60.4
    assert result["failover"]["chains"]["vllm-qwen"]["total"] == 61.4
    assert "vllm-qwen: seconds until the next is asked when it fails" in result["failover_text"]
    assert result["chains_mermaid"].splitlines()[-1] == '  m0 -->|"1, 61.4 s"| m1'


def test_a_budget_that_is_no_number_is_refused(edit: Any) -> None:
    assert "write a number of seconds" in edit(**CHAIN, failover_budgets={"vllm-qwen": "a while"}).message
