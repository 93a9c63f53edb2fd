# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role openclaw: what it refuses before anything is applied, a gateway that is asked who answers, and what becomes of it later."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from openclaw_site import ANTHROPIC, OpenclawSite, openclaw_site
from site_under_test import SANDBOX, Played

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenclawSite]:
    """In a namespace that takes nothing but restricted pods."""
    yield from openclaw_site(core, tmp_path_factory.mktemp("openclaw"))


@pytest.fixture(scope="module")
def running(site: OpenclawSite) -> Played:
    first = site.play()
    assert first.code == 0, first.output
    return first


def flat(output: str) -> str:
    """The output with lines that are wrapped for people made one again."""
    return re.sub(r"\s+", " ", output)


def is_applied(site: OpenclawSite) -> bool:
    """Whether there is anything, even the Secret."""
    core = site.core
    found = core.list_namespaced_secret(site.namespace, field_selector="metadata.name=openclaw-secrets").items
    found += core.list_namespaced_persistent_volume_claim(site.namespace).items
    found += core.list_namespaced_config_map(site.namespace, field_selector="metadata.name=openclaw-config").items
    found += client.AppsV1Api(core.api_client).list_namespaced_deployment(site.namespace, field_selector="metadata.name=openclaw").items
    return bool(found)


def keys(site: OpenclawSite) -> dict[str, str]:
    """What every Secret of the namespace holds."""
    return {
        f"{each.metadata.name}/{key}": value
        for each in site.core.list_namespaced_secret(site.namespace).items
        for key, value in each.data.items()
    }


def refused(site: OpenclawSite, **variables: Any) -> str:
    """Play, and return the one error, after which nothing is applied that was not, and no key is another."""
    before = is_applied(site), site.gateway() and site.gateway().metadata.uid, keys(site)
    played = site.play(**variables)
    assert played.code != 0, played.output
    assert (is_applied(site), site.gateway() and site.gateway().metadata.uid, keys(site)) == before
    assert played.recap["failed"] == 1
    return flat(played.output)


# Before there is a gateway


def test_check_mode_foretells_all_of_it_on_an_empty_cluster(site: OpenclawSite) -> None:
    missing = {"namespace": f"{site.namespace}-not-yet", "name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"}
    foretold = site.play("site", "--check", "--diff", openclaw_namespace=f"{site.namespace}-nor-this", openclaw_litellm_key=missing)
    assert (foretold.code, foretold.recap["changed"]) == (0, 3), foretold.output
    assert site.token not in foretold.output


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"openclaw_anthropic_token": ""}, "ANTHROPIC_OAUTH_TOKEN is required and not there"),
        ({"openclaw_anthropic_token": "sk-ant-oat01-..."}, "ANTHROPIC_OAUTH_TOKEN"),
        (
            {"openclaw_anthropic_token": "sk-ant-api03-0123456789abcdef"},
            "is not of a kind that openclaw_token_prefixes allows (sk-ant-oat…)",
        ),
        ({"openclaw_storage_class": "nowhere"}, "openclaw_storage_class is nowhere, and the cluster has no such class of storage"),
        ({"openclaw_fallbacks": ["elsewhere/model"]}, "name models of elsewhere, which no provider in"),
        (
            {"openclaw_exposure": "ingress", "openclaw_host": "h.example.com", "openclaw_trusted_proxies": []},
            "openclaw_trusted_proxies is empty",
        ),
        (
            {"openclaw_secrets_extra": {"LITELLM_API_KEY": "mine"}},
            "openclaw_secrets_extra holds LITELLM_API_KEY, which the role sets",
        ),
        (
            {"openclaw_litellm_key": {"namespace": "nowhere", "name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"}},
            "LITELLM_API_KEY cannot be copied: there is no key LITELLM_MASTER_KEY of Secret nowhere/litellm-secrets",
        ),
    ],
    ids=["no-token", "placeholder", "wrong-kind", "storage-class", "provider", "proxies", "own-key", "no-litellm-secret"],
)
def test_what_cannot_work_is_told_before_even_the_secret_is_written(site: OpenclawSite, variables: dict[str, Any], told: str) -> None:
    said = refused(site, **variables)
    assert told in said
    assert "sk-ant-api03-0123456789abcdef" not in said
    assert not site.core.list_namespaced_secret(site.namespace, field_selector="metadata.name=openclaw-secrets").items


def test_all_that_openclaw_litellm_and_anthropic_do_not_take_is_one_error(site: OpenclawSite) -> None:
    wrong = f"sk-ant-oat01-{'0' * 40}"
    extra = {"gateway": {"controlUi": {"enabeld": True}}, "models": {"providers": {"anthropic": {"timeoutSeconds": "three"}}}}
    fallbacks = ["litellm/vllm-qwen", "litellm/gpt-9"]
    said = refused(site, openclaw_anthropic_token=wrong, openclaw_config_extra=extra, openclaw_fallbacks=fallbacks)
    assert 'OpenClaw does not take its config: gateway.controlUi: Unrecognized key: "enabeld"' in said
    assert "OpenClaw does not take its config: models.providers.anthropic.timeoutSeconds:" in said
    assert "LiteLLM does not serve gpt-9, which the fallbacks name. It serves vllm-qwen, ollama-qwen, openai-gpt4o" in said
    assert "Anthropic refuses the token ANTHROPIC_OAUTH_TOKEN that was given (openclaw_anthropic_token) (401)" in said
    assert wrong not in said
    # It was not kept, so it is missing now.
    assert "ANTHROPIC_OAUTH_TOKEN is required and not there" in refused(site, openclaw_anthropic_token="")


def test_a_litellm_that_is_not_there_or_refuses_the_key_is_told(site: OpenclawSite) -> None:
    nowhere = f"http://nowhere.{site.namespace}.svc.cluster.local:4000/v1"
    said = refused(site, openclaw_litellm_url=nowhere)
    assert f"LiteLLM does not answer at {nowhere}/models: ENOTFOUND" in said
    site.core.patch_namespaced_secret("litellm-secrets", site.namespace, {"stringData": {"LITELLM_MASTER_KEY": f"sk-{'1' * 48}"}})
    try:
        said = refused(site)
    finally:
        site.core.patch_namespaced_secret("litellm-secrets", site.namespace, {"stringData": {"LITELLM_MASTER_KEY": site.litellm_key}})
    assert f"LiteLLM refuses the key LITELLM_MASTER_KEY of the Secret {site.namespace}/litellm-secrets (401)" in said


def test_a_model_that_anthropic_has_not_is_told(site: OpenclawSite) -> None:
    assert "Anthropic has no model claude-opus-0 for this token" in refused(site, openclaw_primary="anthropic/claude-opus-0")


# A gateway


def test_the_primary_and_each_fallback_answer_and_the_tokens_are_told(running: Played, site: OpenclawSite) -> None:
    said = flat(running.output)
    for model in ("anthropic/claude-opus-4-5", "litellm/vllm-qwen", "litellm/ollama-qwen", "litellm/openai-gpt4o"):
        assert re.search(rf"{model} answered in [0-9.]+ s", said), said
    assert "Token of anthropic: static, from ANTHROPIC_OAUTH_TOKEN" in said
    assert "Token of litellm: static, from LITELLM_API_KEY" in said
    assert re.search(rf"litellm\.{site.namespace}\.svc\.cluster\.local resolves in [0-9.]+ s and answers in [0-9.]+ s", said)


@pytest.mark.usefixtures("running")
def test_a_second_run_changes_nothing_and_writes_nothing(site: OpenclawSite) -> None:
    since = time.time()
    again = site.play("site", "-vvvv", "--diff")
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
    audit = subprocess.run([*SANDBOX, "audit", "--since", str(since)], capture_output=True, text=True, check=True).stdout
    assert [line for line in audit.splitlines() if site.namespace in line] == []
    for key, encoded in site.core.read_namespaced_secret("openclaw-secrets", site.namespace).data.items():
        assert encoded not in again.output, key
        assert base64.b64decode(encoded).decode() not in again.output, key


@pytest.mark.usefixtures("running")
def test_the_pod_has_no_right_and_one_writer(site: OpenclawSite) -> None:
    deployed = client.AppsV1Api(site.core.api_client).read_namespaced_deployment("openclaw", site.namespace)
    assert (deployed.spec.replicas, deployed.spec.strategy.type) == (1, "Recreate")
    spec = deployed.spec.template.spec
    assert (spec.automount_service_account_token, spec.enable_service_links) == (False, False)
    assert all(each.security_context.read_only_root_filesystem and each.resources.limits["memory"] for each in spec.containers)
    policy = client.NetworkingV1Api(site.core.api_client).read_namespaced_network_policy("openclaw", site.namespace)
    assert policy.spec.policy_types == ["Ingress", "Egress"]
    assert site.core.read_namespaced_persistent_volume_claim("openclaw", site.namespace).spec.resources.requests == {"storage": "10Gi"}


@pytest.mark.usefixtures("running")
def test_a_primary_that_fails_is_named_with_its_reason_and_who_answered_instead(site: OpenclawSite) -> None:
    only = ("--skip-tags", "secrets,config,deploy")
    with site.fault(ANTHROPIC, kind="status", status=529):
        strict = site.play("site", *only)
        lenient = site.play("site", *only, openclaw_verify_strict=False)
    assert strict.code != 0
    primary = "anthropic/claude-opus-4-5"
    told = rf"{primary} did not answer, litellm/vllm-qwen answered in [0-9.]+ s in its place: {primary} failed"
    assert re.search(told, flat(strict.output)), strict.output
    assert lenient.code == 0, lenient.output
    assert re.search(told, flat(lenient.output)), lenient.output


@pytest.mark.usefixtures("running")
def test_a_wrong_token_leaves_the_gateway_as_it_is_however_often_the_play_is_run(site: OpenclawSite) -> None:
    for _each in range(2):
        said = refused(site, openclaw_anthropic_token=f"sk-ant-oat01-{'2' * 40}")
        assert "Anthropic refuses the token ANTHROPIC_OAUTH_TOKEN that was given" in said
    for token in ("", site.token):
        mended = site.play(openclaw_anthropic_token=token)
        assert (mended.code, mended.recap["changed"]) == (0, 0), mended.output


@pytest.mark.usefixtures("running")
def test_a_token_that_expired_in_the_secret_is_told_when_anything_changes(site: OpenclawSite) -> None:
    expired = {"stringData": {"ANTHROPIC_OAUTH_TOKEN": f"sk-ant-oat01-{'3' * 40}"}}
    site.core.patch_namespaced_secret("openclaw-secrets", site.namespace, expired)
    try:
        said = refused(site, openclaw_anthropic_token="")
    finally:
        good = {"stringData": {"ANTHROPIC_OAUTH_TOKEN": site.token}}
        site.core.patch_namespaced_secret("openclaw-secrets", site.namespace, good)
    assert f"Anthropic refuses the token ANTHROPIC_OAUTH_TOKEN of the Secret {site.namespace}/openclaw-secrets (401)" in said


@pytest.mark.usefixtures("running")
def test_a_config_that_openclaw_does_not_take_leaves_the_gateway_as_it_is(site: OpenclawSite) -> None:
    said = refused(site, openclaw_config_extra={"agents": {"defaults": {"modle": "x"}}})
    assert "Nothing was applied: - OpenClaw does not take its config: agents.defaults:" in said
    config = json.loads(site.core.read_namespaced_config_map("openclaw-config", site.namespace).data["openclaw.json"])
    assert "modle" not in config["agents"]["defaults"]


@pytest.mark.usefixtures("running")
def test_a_second_gateway_on_the_same_volume_is_refused_and_the_first_goes_on(site: OpenclawSite) -> None:
    (before, started) = site.gateway().metadata.uid, time.monotonic()
    played = site.play("site", openclaw_name="other", openclaw_claim="openclaw", openclaw_verify=False)
    assert played.code != 0
    assert f"This volume is that of the gateway {site.namespace}/openclaw, and {site.namespace}/other must not write to it" in flat(
        played.output
    )
    assert time.monotonic() - started < 300, "it does not wait until the rollout's time is over"
    assert site.wait_for_gateway().metadata.uid == before
    gone = site.play("teardown", openclaw_name="other", openclaw_claim="openclaw", teardown_confirm=True)
    assert gone.code == 0, gone.output


@pytest.mark.usefixtures("running")
def test_a_changed_token_starts_a_new_gateway_with_the_same_store(site: OpenclawSite, run_module: Any) -> None:
    before = site.gateway()

    def run(pod: Any, *command: str) -> str:
        where = {"namespace": site.namespace, "pod": pod.metadata.name, "container": "openclaw"}
        return str(run_module("k8s_exec", {**where, "argv": [*command]}).result["stdout"])

    settings = "/home/node/.openclaw/agents/main/agent/settings.json"
    run(before, "sh", "-c", f'echo kept > /home/node/.openclaw/mine && echo \'{{"theme": "dark"}}\' > {settings}')
    site.core.patch_namespaced_secret("openclaw-secrets", site.namespace, {"stringData": {"OPENCLAW_GATEWAY_TOKEN": "t" * 40}})
    played = site.play()
    assert (played.code, played.recap["changed"]) == (0, 1), played.output
    after = site.gateway()
    assert after.metadata.name != before.metadata.name
    assert run(after, "cat", "/home/node/.openclaw/mine").strip() == "kept"
    assert json.loads(run(after, "cat", settings)) == {"theme": "dark", "retry": {"provider": {"maxRetries": 0}}}


@pytest.mark.usefixtures("running")
def test_a_teardown_keeps_secret_and_claim_unless_told_otherwise(site: OpenclawSite) -> None:
    unsure = site.play("teardown")
    assert unsure.code != 0
    assert f"OpenClaw out of {site.namespace}" in flat(unsure.output)
    assert site.play("teardown", teardown_confirm=True).recap["changed"] == 1
    assert site.play("teardown", teardown_confirm=True).recap["changed"] == 0
    assert [each.metadata.name for each in site.core.list_namespaced_persistent_volume_claim(site.namespace).items] == ["openclaw"]
    assert site.play("teardown", teardown_confirm=True, teardown_secrets=True, teardown_claims=True).recap["changed"] == 1
    assert not site.core.list_namespaced_secret(site.namespace, field_selector="metadata.name=openclaw-secrets").items
