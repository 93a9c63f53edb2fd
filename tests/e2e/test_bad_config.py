# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bad config never takes LiteLLM down: not when it is written, and not when the pod that served before is started again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from site_under_test import Played, Site, fresh_site, is_ready, load_pod, result_of, wait_until_asking

pytestmark = pytest.mark.cluster

#: Nothing that a check of chains and keys could know: only LiteLLM's own start tells that this module does not exist.
UNKNOWN_TO_LITELLM = {"litellm_settings": {"callbacks": ["nowhere.there"]}}


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    """In a namespace that takes nothing but restricted pods."""
    yield from fresh_site(core, {"pod-security.kubernetes.io/enforce": "restricted"})


@pytest.fixture(scope="module")
def running(site: Site) -> Played:
    played = site.play("site")
    assert played.code == 0, played.output
    return played


@pytest.fixture
def ask(core: client.CoreV1Api, site: Site) -> Any:
    """Starts a client in the cluster; the function it returns waits for its end and tells how often which status came."""

    def start(seconds: int, rate: int) -> Any:
        name = f"load-{uuid.uuid4().hex[:8]}"
        core.create_namespaced_pod(site.namespace, load_pod(site.namespace, seconds=seconds, rate=rate, name=name))
        wait_until_asking(core, site.namespace, name)
        return lambda: result_of(core, site.namespace, name)["status"]

    return start


@pytest.fixture
def run_in(run_module: Any) -> Any:
    """Runs a command in LiteLLM's container and returns what it printed."""

    def run(pod: Any, *command: str) -> str:
        where = {"namespace": pod.metadata.namespace, "pod": pod.metadata.name, "container": "litellm"}
        return str(run_module("k8s_exec", {**where, "argv": [*command]}).result["stdout"])

    return run


def versions(core: client.CoreV1Api, site: Site) -> dict[str, str]:
    """What is in the namespace and which version of it, but for the clients and what a controller writes by itself."""
    apps = client.AppsV1Api(core.api_client)
    found: list[Any] = []
    for listing in (core.list_namespaced_config_map, core.list_namespaced_secret, core.list_namespaced_service):
        found += listing(site.namespace).items
    found += apps.list_namespaced_deployment(site.namespace).items + site.pods(core)
    return {each.metadata.uid: each.metadata.resource_version for each in found}


def snapshot_of(pod: Any) -> str:
    (volume,) = [each for each in pod.spec.volumes if each.name == "config"]
    (source,) = volume.projected.sources
    return str(source.config_map.name)


def wait(core: client.CoreV1Api, site: Site, name: str, *, restarts: int) -> None:
    """Until the pod was started again that often and is ready."""
    for _ in range(1200):
        pod = core.read_namespaced_pod(name, site.namespace)
        if is_ready(pod) and pod.status.container_statuses[0].restart_count >= restarts:
            return
        time.sleep(0.25)
    pytest.fail(f"{name} did not come back in five minutes: {pod.status.container_statuses}")


@pytest.mark.usefixtures("running")
def test_what_the_check_refuses_changes_nothing_and_requests_go_on(site: Site, core: client.CoreV1Api, ask: Any) -> None:
    key = f"sk-{uuid.uuid4().hex}"
    models = [
        {"model_name": "a", "litellm_params": {"model": "openai/a", "api_key": key}},
        {"model_name": "b", "litellm_params": {"model": "ollama_chat/b", "api_base": "https://ollama.com/api"}},
        {"model_name": "openai-gpt4o", "litellm_params": {"model": "openai/c", "api_base": "http://c"}},
    ]
    chains = {"a": ["nowhere"], "b": ["openai-gpt4o"], "openai-gpt4o": ["b"]}
    finished = ask(8, 10)
    before = versions(core, site)
    refused = site.play("site", "--diff", "-vvvv", litellm_models=models, litellm_fallbacks=chains)
    assert versions(core, site) == before
    assert refused.code != 0
    for part in (
        "'nowhere'",
        "os.environ/NAME",
        "'https://ollama.com'",
        "b → openai-gpt4o → b",
        "reaches openai-gpt4o, which is explicit_only",
    ):
        assert part in refused.output, part
    assert key not in refused.output
    asked = finished()
    assert list(asked) == ["answered"], asked
    assert asked["answered"] > 50


@pytest.mark.usefixtures("running")
def test_what_only_litellm_refuses_loses_no_request_and_a_restart_brings_the_old_config_back(
    site: Site, core: client.CoreV1Api, ask: Any, run_in: Any
) -> None:
    (before,) = site.pods(core)
    finished = ask(35, 10)
    broken = site.play("site", litellm_settings_extra=UNKNOWN_TO_LITELLM)
    assert broken.code != 0
    assert "Could not import there from nowhere" in broken.output, broken.output
    asked = finished()
    assert list(asked) == ["answered"], asked
    assert asked["answered"] > 250

    (old, new) = sorted(site.pods(core), key=lambda pod: pod.metadata.name != before.metadata.name)
    assert (is_ready(old), is_ready(new)) == (True, False)
    assert snapshot_of(old) != snapshot_of(new)
    run_in(old, "python3", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")
    wait(core, site, old.metadata.name, restarts=1)
    assert "nowhere" in core.read_namespaced_config_map("litellm-config", site.namespace).data["config.yaml"]
    assert "nowhere" not in run_in(old, "cat", "/etc/litellm/config.yaml")
    assert list(ask(2, 5)()) == ["answered"]
    assert not is_ready(core.read_namespaced_pod(new.metadata.name, site.namespace))

    mended = site.play("site")
    assert mended.code == 0, mended.output
    assert [pod.metadata.name for pod in site.pods(core)] == [old.metadata.name], "the config is what it was, and so is its revision"


@pytest.mark.usefixtures("running")
def test_a_database_that_cannot_be_set_up_leaves_the_old_pod_serving_also_after_a_restart(
    site: Site, core: client.CoreV1Api, run_in: Any
) -> None:
    (before,) = site.pods(core)
    password = uuid.uuid4().hex
    url = f"postgresql://litellm:{password}@nowhere.example.com:5432/litellm"
    played = site.play("site", "-vvvv", litellm_database=True, litellm_provider_keys_extra={"LITELLM_DATABASE_URL": url})
    assert played.code != 0
    assert "prisma" in played.output, "LiteLLM has read the address from its environment, and the image here has no engine for it"
    assert password not in played.output
    run_in(before, "python3", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")
    wait(core, site, before.metadata.name, restarts=before.status.container_statuses[0].restart_count + 1)
    without = site.play("site", litellm_settings_extra={"general_settings": {"database_url": None}}, litellm_verify=False)
    assert without.code == 0, without.output


@pytest.mark.usefixtures("running")
def test_an_authority_that_is_no_certificate_leaves_the_old_pod_serving_with_its_own(site: Site, core: client.CoreV1Api) -> None:
    (before,) = site.pods(core)
    broken = "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n"
    played = site.play("site", litellm_extra_ca=broken, litellm_verify_tags=False)
    assert played.code != 0
    assert ", ca:" in played.output, "the log is that of the init container"
    assert "ssl.SSLError" in played.output
    (old,) = [pod for pod in site.pods(core) if is_ready(pod)]
    assert old.metadata.name == before.metadata.name
    assert broken not in old.metadata.annotations["homelab.llm/extra-ca"]
    assert site.play("site", litellm_verify=False).code == 0


@pytest.mark.usefixtures("running")
def test_probes_ask_no_backend_and_the_pod_is_bounded(site: Site, core: client.CoreV1Api) -> None:
    (pod,) = site.pods(core)
    (container,) = pod.spec.containers
    probes = (container.startup_probe, container.liveness_probe, container.readiness_probe)
    assert [probe.http_get.path for probe in probes] == ["/health/liveliness", "/health/liveliness", "/health/readiness"]
    assert container.resources.requests == {"cpu": "100m", "memory": "512Mi"}
    assert container.resources.limits == {"memory": "1Gi"}
    assert all(each.resources.limits["memory"] for each in pod.spec.init_containers)
    assert (pod.spec.automount_service_account_token, container.security_context.read_only_root_filesystem) == (False, True)


@pytest.mark.usefixtures("running")
def test_an_undone_rollout_brings_its_config_back(site: Site, core: client.CoreV1Api, run_in: Any) -> None:
    (before,) = site.pods(core)
    changed = site.play("site", litellm_settings_extra={"litellm_settings": {"drop_params": True}}, litellm_verify=False)
    assert changed.code == 0, changed.output
    apps = client.AppsV1Api(core.api_client)
    sets = apps.list_namespaced_replica_set(site.namespace).items
    (earlier,) = [each for each in sets if each.metadata.name == before.metadata.owner_references[0].name]
    # What `kubectl rollout undo` does.
    template = core.api_client.sanitize_for_serialization(earlier.spec.template)
    template["metadata"]["labels"].pop("pod-template-hash")
    undo = [{"op": "replace", "path": "/spec/template", "value": template}]
    apps.patch_namespaced_deployment("litellm", site.namespace, undo)
    for _ in range(600):
        (*_, pod) = site.pods(core)
        if snapshot_of(pod) == snapshot_of(before) and is_ready(pod):
            break
        time.sleep(0.5)
    assert "drop_params" not in run_in(pod, "cat", "/etc/litellm/config.yaml")
    assert site.play("site", litellm_verify=False).code == 0


@pytest.mark.usefixtures("running")
def test_a_teardown_takes_the_snapshots_along(site: Site, core: client.CoreV1Api) -> None:
    assert len(core.list_namespaced_config_map(site.namespace, label_selector="homelab.llm/snapshot-of").items) > 1
    assert site.play("teardown", teardown_confirm=True).code == 0
    for _ in range(600):
        left = [each.metadata.name for each in core.list_namespaced_config_map(site.namespace).items]
        if left == ["kube-root-ca.crt"]:
            break
        time.sleep(0.5)
    assert left == ["kube-root-ca.crt"]
