# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role asserts of a LiteLLM that runs, and what it finds out before it writes anything."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from site_under_test import Played, Site, fresh_site

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    yield from fresh_site(core)


@pytest.fixture(scope="module")
def clients(core: client.CoreV1Api) -> Iterator[str]:
    """A namespace of clients that refuses any pod that is not `restricted`."""
    name = f"clients-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    yield name
    core.delete_namespace(name)


@pytest.fixture(scope="module")
def running(site: Site, clients: str) -> Played:
    first = site.play("site", litellm_verify_from=[clients, "not-there-yet"])
    assert first.code == 0, first.output
    return first


def flat(output: str) -> str:
    """The output with lines that are wrapped for people made one again."""
    return re.sub(r"\s+", " ", output)


@pytest.fixture
def empty(core: client.CoreV1Api) -> Iterator[Site]:
    """A site with nothing in it yet."""
    yield from fresh_site(core)


def entry(tag: str) -> dict[str, Any]:
    params = {"model": f"ollama_chat/{tag}", "api_base": "https://ollama.com", "api_key": "os.environ/OLLAMA_API_KEY"}
    return {"model_name": "cloud-kimi", "litellm_params": params}


def is_configured(core: client.CoreV1Api, site: Site) -> bool:
    return bool(core.list_namespaced_config_map(site.namespace, field_selector="metadata.name=litellm-config").items)


def test_what_was_measured_is_told(running: Played) -> None:
    said = flat(running.output)
    assert re.search(r"Cloud models answer in [0-9.]+ s \(p50\) and [0-9.]+ s \(p95\)", said), running.output
    assert re.search(r"LiteLLM adds [0-9]+ ms to a request \(vllm-qwen, median of 7 pairs; by its own count [0-9]+ ms\)", said)
    assert "Metrics counted the requests for 5 models" in said
    assert "In no chain: openai-gpt4o" in said


def test_clients_reach_it_from_their_namespace_and_a_missing_one_is_told(running: Played, core: client.CoreV1Api, clients: str) -> None:
    said = flat(running.output)
    assert re.search(rf"Reached from {clients}: its name took [0-9.]+ ms, an answer [0-9.]+ ms", said), running.output
    assert "There is no namespace not-there-yet yet to reach LiteLLM from" in said
    assert [pod for pod in core.list_namespaced_pod(clients).items if not pod.metadata.deletion_timestamp] == []


@pytest.mark.usefixtures("running")
def test_a_run_that_changes_nothing_makes_no_pod_and_the_tag_verify_does(site: Site, clients: str) -> None:
    assert "Reached from" not in site.play("site", litellm_verify_from=[clients]).output
    asked = site.play("site", "--tags", "verify", litellm_verify_from=[clients])
    assert f"Reached from {clients}" in flat(asked.output), asked.output
    assert asked.recap["changed"] == 0


@pytest.mark.usefixtures("running")
def test_a_service_that_is_not_known_to_the_name_server_fails(site: Site, clients: str) -> None:
    played = site.play("site", "--tags", "verify", litellm_verify_from=[clients], litellm_service_url="http://litellm.nowhere.svc:4000")
    assert played.code != 0
    # The models are asked by that address too, and first.
    assert "GET /v1/models answered 0" in flat(played.output)


@pytest.mark.usefixtures("running")
def test_clients_that_the_network_policy_shuts_out_are_told_before_anything_is_changed(site: Site, clients: str) -> None:
    played = site.play("site", litellm_verify_from=[clients], litellm_allowed_namespaces=["traefik"])
    assert played.code != 0
    assert f"litellm_verify_from names {clients}, which litellm_allowed_namespaces does not let in" in flat(played.output)


@pytest.mark.usefixtures("running")
def test_a_model_for_whoever_asks_by_name_must_be_in_no_chain_that_runs(site: Site) -> None:
    played = site.play("site", "--tags", "verify", litellm_explicit_only=["ollama-qwen"])
    assert played.code != 0
    assert "ollama-qwen is to answer only whoever asks for it by name, but is in the chain of" in flat(played.output)


@pytest.mark.usefixtures("running")
def test_more_overhead_than_allowed_fails(site: Site) -> None:
    played = site.play("site", "--tags", "verify", litellm_verify_overhead_ms=1)
    assert played.code != 0
    assert re.search(r"LiteLLM added [0-9]+ ms to a request to vllm-qwen \(median of 7 pairs\), and 1 are too many", flat(played.output))


@pytest.mark.usefixtures("running")
def test_metrics_are_counted_with_two_pods_too(site: Site) -> None:
    played = site.play("site", litellm_replicas=2)
    assert played.code == 0, played.output
    assert "Metrics counted the requests for 1 models" in flat(played.output)
    assert "Metrics counted" in site.play("site").output


@pytest.mark.usefixtures("running")
def test_without_metrics_it_fails(site: Site) -> None:
    played = site.play("site", litellm_settings_extra={"litellm_settings": {"callbacks": None}})
    assert played.code != 0
    assert "GET /metrics shows no litellm_ metric" in flat(played.output)


def test_a_wrong_tag_is_told_before_the_config_is_written(empty: Site, core: client.CoreV1Api) -> None:
    played = empty.play("site", homelab_models_ollama_cloud=[entry("kimi-k2.5-cloud")], litellm_fallbacks={})
    assert played.code != 0
    said = flat(played.output)
    assert "model 'cloud-kimi' asks https://ollama.com for kimi-k2.5-cloud" in said
    assert "The nearest it has: kimi-k2.5" in said
    assert not is_configured(core, empty)


def test_a_wrong_key_is_told_before_the_config_is_written(empty: Site, core: client.CoreV1Api) -> None:
    wrong = uuid.uuid4().hex
    played = empty.play("site", environ={"OLLAMA_API_KEY": wrong})
    assert played.code != 0
    said = flat(played.output)
    assert "https://ollama.com refuses the key OLLAMA_API_KEY (401)" in said
    assert f"Secret {empty.namespace}/litellm-secrets" in said
    assert wrong not in said
    assert not is_configured(core, empty)
