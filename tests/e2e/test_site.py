# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site playbook with the homelab's own inventory, from an empty namespace to a proxy that answers, and back."""

from __future__ import annotations

import base64
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client
from site_under_test import SANDBOX, Played, Site, fresh_site, load_pod, result_of, wait_until_asking

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    """A namespace that is not there yet."""
    yield from fresh_site(core)


@pytest.fixture(scope="module")
def running(site: Site, core: client.CoreV1Api) -> Played:
    """The first run, after a check mode run on the empty cluster."""
    foretold = site.play("site", "--check", "--diff")
    assert foretold.code == 0, foretold.output
    assert not core.list_namespace(field_selector=f"metadata.name={site.namespace}").items
    first = site.play("site")
    assert first.code == 0, first.output
    assert first.recap["changed"] == foretold.recap["changed"] == 4
    return first


def test_a_model_of_every_tier_answers_for_itself(running: Played) -> None:
    for model in ("vllm-qwen", "ollama-qwen", "cloud-kimi", "cloud-minimax", "cloud-qwen3-coder"):
        assert re.search(rf"{model} answered in [0-9.]+ s", running.output), running.output


@pytest.mark.usefixtures("running")
def test_the_second_run_changes_nothing_and_writes_nothing(site: Site) -> None:
    again = site.play("site")
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
    audit = subprocess.run([*SANDBOX, "audit", "--since", "10m"], capture_output=True, text=True, check=True).stdout
    own = [line for line in audit.splitlines() if site.namespace in line]
    third = site.play("site")
    assert third.recap["changed"] == 0
    audit = subprocess.run([*SANDBOX, "audit", "--since", "10m"], capture_output=True, text=True, check=True).stdout
    assert [line for line in audit.splitlines() if site.namespace in line] == own


@pytest.mark.usefixtures("running")
def test_every_model_of_the_inventory_answers_for_itself(site: Site) -> None:
    played = site.play(
        "site", "--tags", "verify", litellm_verify_models="{{ litellm_models | map(attribute='model_name') }}", litellm_verify_strict=True
    )
    assert played.code == 0, played.output
    assert len(re.findall(r"answered in", played.output)) == 13


@pytest.mark.usefixtures("running")
def test_no_secret_is_in_the_most_talkative_output(site: Site, core: client.CoreV1Api) -> None:
    talkative = site.play("site", "-vvvv", "--diff").output
    for key, encoded in core.read_namespaced_secret("litellm-secrets", site.namespace).data.items():
        assert encoded not in talkative, key
        assert base64.b64decode(encoded).decode() not in talkative, key


@pytest.mark.alone
@pytest.mark.usefixtures("running")
def test_when_the_gpu_fails_the_cpu_answers(site: Site) -> None:
    subprocess.run([*SANDBOX, "upstream", "fault", "vllm-api", "status=500", "seconds=900"], check=True)
    try:
        played = site.play("site", "--tags", "verify", litellm_verify_models=["vllm-qwen"])
    finally:
        subprocess.run([*SANDBOX, "upstream", "clear", "vllm-api"], check=True)
    assert played.code == 0, played.output
    assert "vllm-qwen answered by ollama-qwen" in played.output


@pytest.mark.usefixtures("running")
def test_a_rollout_loses_no_request(site: Site, core: client.CoreV1Api) -> None:
    (before,) = site.pods(core)
    core.create_namespaced_pod(site.namespace, load_pod(site.namespace, seconds=30, rate=10))
    wait_until_asking(core, site.namespace, "load")
    played = site.play("site", litellm_settings_extra={"litellm_settings": {"drop_params": True}})
    assert (played.code, played.recap["changed"]) == (0, 2), played.output
    assert before.metadata.name not in [pod.metadata.name for pod in site.pods(core)]
    found = result_of(core, site.namespace, "load")
    assert list(found["status"]) == ["answered"]
    assert found["status"]["answered"] > 200


@pytest.mark.usefixtures("running")
def test_a_changed_key_starts_new_pods(site: Site, core: client.CoreV1Api) -> None:
    (before,) = site.pods(core)
    core.patch_namespaced_secret("litellm-secrets", site.namespace, {"stringData": {"LITELLM_MASTER_KEY": f"sk-{uuid.uuid4().hex}"}})
    extra = {"litellm_settings": {"drop_params": True}}  # as the test before left it
    played = site.play("site", litellm_settings_extra=extra)
    assert (played.code, played.recap["changed"]) == (0, 1), played.output
    assert before.metadata.name not in [pod.metadata.name for pod in site.pods(core)]


@pytest.mark.usefixtures("running")
def test_a_pod_that_is_not_wanted_any_more_while_it_starts_ends_at_once(site: Site, core: client.CoreV1Api) -> None:
    (serving,) = [pod.metadata.name for pod in site.pods(core)]
    core.delete_namespaced_pod(serving, site.namespace)

    def of_the_role() -> dict[str, client.V1Pod]:
        found = core.list_namespaced_pod(site.namespace, label_selector="app=litellm").items
        return {pod.metadata.name: pod for pod in found if pod.metadata.name != serving}

    until = time.monotonic() + 300
    while not (starting := next((name for name, pod in of_the_role().items() if pod.status.phase == "Running"), "")):
        assert time.monotonic() < until
        time.sleep(0.2)
    core.delete_namespaced_pod(starting, site.namespace)
    began = time.monotonic()
    while starting in of_the_role():
        # That would be ten minutes.
        assert time.monotonic() < began + 200, "it waits for the end of its grace period"
        time.sleep(0.5)


@pytest.mark.alone
@pytest.mark.usefixtures("running")
def test_in_the_three_tier_routing_openai_answers_when_both_others_are_down(site: Site) -> None:
    three_tier = site.play("site", "-i", "inventories/three-tier")
    assert three_tier.code == 0, three_tier.output
    try:
        for host, last in (("vllm-api", "ollama-qwen"), ("ollama", "openai-gpt4o")):
            subprocess.run([*SANDBOX, "upstream", "fault", host, "status=503", "seconds=900"], check=True)
            played = site.play("site", "-i", "inventories/three-tier", "--tags", "verify", litellm_verify_models=["vllm-qwen"])
            assert f"vllm-qwen answered by {last}" in played.output, played.output
    finally:
        subprocess.run([*SANDBOX, "upstream", "clear"], check=True)


@pytest.mark.usefixtures("running")
def test_teardown_wants_to_be_sure_and_keeps_the_secret(site: Site, core: client.CoreV1Api) -> None:
    unsure = site.play("teardown")
    assert unsure.code != 0
    assert "teardown_confirm=true" in unsure.output
    sure = site.play("teardown", teardown_confirm=True)
    assert (sure.code, sure.recap["changed"]) == (0, 1), sure.output
    assert site.play("teardown", teardown_confirm=True).recap["changed"] == 0
    assert [each.metadata.name for each in core.list_namespaced_secret(site.namespace).items] == ["litellm-secrets"]
    assert site.play("teardown", teardown_confirm=True, teardown_secrets=True).recap["changed"] == 1
    assert core.list_namespaced_secret(site.namespace).items == []
