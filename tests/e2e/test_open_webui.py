# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role open_webui: what it refuses, what people see, and that after every restart the settings are those declared and sign-up is closed."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from open_webui_site import EMAIL, SERVED, SIGN_UP, OpenWebuiSite, Stranger, open_webui_site
from site_under_test import SANDBOX, Played

from secret_under_test import key

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[OpenWebuiSite]:
    """In a namespace that takes nothing but restricted pods."""
    yield from open_webui_site(core)


@pytest.fixture(scope="module")
def running(site: OpenWebuiSite) -> tuple[Played, Stranger]:
    """The first run, with a stranger at the door from before there is one."""
    with site.stranger() as stranger:
        first = site.play(open_webui_verify_models=list(SERVED[:2]))
    assert first.code == 0, first.output
    return first, stranger


def flat(output: str) -> str:
    """The output with lines that are wrapped for people made one again."""
    return re.sub(r"\s+", " ", output)


def refused(site: OpenWebuiSite, **variables: Any) -> str:
    """Play, and return the one error, after which no pod, Secret and claim is another."""

    def there() -> tuple[Any, ...]:
        claims = site.core.list_namespaced_persistent_volume_claim(site.namespace).items
        return site.own.values, site.pod() and site.pod().metadata.uid, [each.metadata.uid for each in claims]

    before = there()
    played = site.play(**variables)
    assert played.code != 0, played.output
    assert played.recap["failed"] == 1
    assert there() == before
    return flat(played.output)


def assert_no_value_is_told(site: OpenWebuiSite, output: str) -> None:
    for name, value in {**(site.own.values or {}), **(site.litellm.values or {})}.items():
        assert value not in output, name
        assert base64.b64encode(value.encode()).decode() not in output, name


def connections(site: OpenWebuiSite, token: str) -> tuple[list[str], list[str]]:
    """Whom Open-WebUI asks at this moment, and with which keys."""
    page = site.ask("GET", "/openai/config", token=token)
    return page["OPENAI_API_BASE_URLS"], page["OPENAI_API_KEYS"]


def status_of(site: OpenWebuiSite, method: str, path: str, body: Any = None) -> int:
    try:
        site.ask(method, path, body)
    except client.ApiException as error:
        return int(error.status)
    return 200


# Before there is one


def test_check_mode_foretells_all_of_it_on_an_empty_cluster(site: OpenWebuiSite) -> None:
    missing = {"namespace": f"{site.namespace}-not-yet", "name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"}
    elsewhere = f"{site.namespace}-nor-this"
    foretold = site.play("site", "--check", "--diff", open_webui_namespace=elsewhere, open_webui_litellm_key=missing)
    assert (foretold.code, foretold.recap["changed"]) == (0, 4), foretold.output
    assert not site.core.list_namespace(field_selector=f"metadata.name={elsewhere}").items


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"open_webui_storage_class": "nowhere"}, "open_webui_storage_class is nowhere, and the cluster has no such class of storage"),
        (
            {"open_webui_litellm_url": "litellm:4000", "open_webui_admin_email": "admin", "open_webui_env": {"ENABLE_SIGNUP": "true"}},
            "open_webui_litellm_url is litellm:4000 but must be an address up to and with /v1; open_webui_env holds ENABLE_SIGNUP, which",
        ),
        (
            {"open_webui_litellm_key": {"namespace": "nowhere", "name": "litellm-secrets", "key": "LITELLM_MASTER_KEY"}},
            "OPENAI_API_KEY cannot be copied: there is no key LITELLM_MASTER_KEY of Secret nowhere/litellm-secrets",
        ),
    ],
    ids=["storage-class", "variables", "no-litellm-secret"],
)
def test_what_cannot_work_is_told_before_anything_is_applied(site: OpenWebuiSite, variables: dict[str, Any], told: str) -> None:
    assert told in refused(site, **variables)
    assert site.own.values is None


# One that runs


def test_every_model_is_there_for_everybody_and_answers(running: tuple[Played, Stranger]) -> None:
    said = flat(running[0].output)
    assert f"{len(SERVED)} models in the selector, as LiteLLM lists them" in said
    for model in SERVED[:2]:
        assert re.search(rf"{model} answered in [0-9.]+ s", said), said
        assert re.search(rf"{model} answered in a conversation as in a browser in [0-9.]+ s", said), said
    assert re.search(rf"{SERVED[0]} answered to an ordinary user in [0-9.]+ s", said), said


def test_nobody_signs_up_from_the_first_second_that_it_answers(running: tuple[Played, Stranger]) -> None:
    heard = running[1].heard
    # The attempts before it listened were none: it was asked all the while.
    assert 0 in running[1].answers
    assert heard
    assert set(heard) == {403}


@pytest.mark.usefixtures("running")
def test_a_second_run_changes_nothing_writes_nothing_and_a_slash_at_the_end_is_none(site: OpenWebuiSite) -> None:
    since = time.time()
    again = site.play("site", "-vvvv", "--diff", open_webui_litellm_url=f"{site.urls[0]}/")
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
    audit = subprocess.run([*SANDBOX, "audit", "--since", str(since)], capture_output=True, text=True, check=True).stdout
    assert [line for line in audit.splitlines() if site.namespace in line] == []
    assert_no_value_is_told(site, again.output)


@pytest.mark.usefixtures("running")
def test_the_pod_has_no_right_and_one_writer(site: OpenWebuiSite) -> None:
    deployed = client.AppsV1Api(site.core.api_client).read_namespaced_deployment("open-webui", site.namespace)
    assert (deployed.spec.replicas, deployed.spec.strategy.type) == (1, "Recreate")
    spec = deployed.spec.template.spec
    assert (spec.automount_service_account_token, spec.enable_service_links) == (False, False)
    assert all(each.security_context.read_only_root_filesystem and each.resources.limits["memory"] for each in spec.containers)
    policy = client.NetworkingV1Api(site.core.api_client).read_namespaced_network_policy("open-webui", site.namespace)
    assert policy.spec.policy_types == ["Ingress", "Egress"]
    (port,) = site.core.read_namespaced_service("open-webui", site.namespace).spec.ports
    assert (port.port, port.target_port) == (80, "http")


@pytest.mark.usefixtures("running")
def test_a_message_of_somebody_at_the_browser_is_one_completion_without_tools(site: OpenWebuiSite) -> None:
    token = site.sign_in()
    before = site.upstream("GET", "/counters")["litellm"]["requests"]
    message = {"model": SERVED[0], "messages": [{"role": "user", "content": "Hello"}], "stream": False, "session_id": "a-browser"}
    tasks = {"title_generation": True, "tags_generation": True, "follow_up_generation": True}
    asked = {**message, "id": "m1", "chat_id": "local:c1", "background_tasks": tasks}
    site.ask("POST", "/api/chat/completions", asked, token)
    for _each in range(20):  # it is answered in the background
        time.sleep(0.5)
        if site.upstream("GET", "/counters")["litellm"]["requests"] > before:
            break
    time.sleep(3)  # what else it would ask comes after the answer
    assert site.upstream("GET", "/counters")["litellm"]["requests"] == before + 1


@pytest.mark.usefixtures("running")
def test_a_wrong_password_of_the_administrator_is_told_and_not_kept(site: OpenWebuiSite) -> None:
    wrong = key()
    said = refused(site, open_webui_admin_password=wrong)
    assert EMAIL in said
    assert "password" in said
    assert wrong not in said


@pytest.mark.usefixtures("running")
def test_a_key_that_litellm_refuses_leaves_people_with_the_one_that_works_and_a_rotated_one_ends_no_session(site: OpenWebuiSite) -> None:
    session, pod = site.sign_in(), site.wait().metadata.uid
    site.set_litellm_key(key())
    played = site.play()
    assert played.code != 0
    assert played.recap["failed"] == 1, played.output
    assert "open-webui-secrets" in flat(played.output)
    assert_no_value_is_told(site, played.output)
    assert connections(site, session) == ([site.urls[0]], [site.keys[0]])
    site.set_litellm_key(site.keys[1])
    rotated = site.play("site", "--diff")
    assert (rotated.code, rotated.recap["changed"]) == (0, 2), rotated.output
    assert_no_value_is_told(site, rotated.output)
    # With the same session, in the same pod.
    assert connections(site, session) == ([site.urls[0]], [site.keys[1]])
    assert site.wait().metadata.uid == pod
    assert [each["id"] for each in site.ask("GET", "/api/models?refresh=true", token=session)["data"]] == list(SERVED)


@pytest.mark.usefixtures("running")
def test_one_that_somebody_else_deploys_gets_its_settings_and_what_is_not_declared_stays(site: OpenWebuiSite) -> None:
    """Set by hand in the web interface: one that the role knows, and one that it does not."""
    token = site.sign_in()
    page = site.ask("GET", "/api/v1/tasks/config", token=token)
    site.ask(
        "POST", "/api/v1/tasks/config/update", {**page, "ENABLE_TITLE_GENERATION": True, "TITLE_GENERATION_PROMPT_TEMPLATE": "Mine"}, token
    )
    deployments = client.AppsV1Api(site.core.api_client)
    before = deployments.read_namespaced_deployment("open-webui", site.namespace).metadata.resource_version
    played = site.play("site", "--diff", open_webui_deploy=False)
    assert (played.code, played.recap["changed"]) == (0, 1), played.output
    assert "+tasks.ENABLE_TITLE_GENERATION: false" in played.output
    assert f"{len(SERVED)} models in the selector, as LiteLLM lists them" in flat(played.output), "asked from a pod beside it"
    after = site.ask("GET", "/api/v1/tasks/config", token=token)
    assert (after["ENABLE_TITLE_GENERATION"], after["TITLE_GENERATION_PROMPT_TEMPLATE"]) == (False, "Mine")
    assert deployments.read_namespaced_deployment("open-webui", site.namespace).metadata.resource_version == before


RESTARTS: list[tuple[str, dict[str, str]]] = [
    (
        "another address",
        {"OPENAI_API_BASE_URL": "http://elsewhere.invalid/v1", "OPENAI_API_BASE_URLS": "http://a.invalid/v1;http://b.invalid/v1"},
    ),
    ("another key", {"OPENAI_API_KEYS": "sk-of-nobody-at-all"}),
    ("nothing is kept", {"ENABLE_PERSISTENT_CONFIG": "false", "ENABLE_TITLE_GENERATION": "true"}),
    ("all is reset", {"RESET_CONFIG_ON_START": "true", "ENABLE_FOLLOW_UP_GENERATION": "true"}),
    ("another administrator", {"WEBUI_ADMIN_EMAIL": "other@example.org", "ENABLE_OPENAI_API": "false"}),
]


#: What the role declares in the end, besides another LiteLLM.
ANOTHER: dict[str, Any] = {"open_webui_models_for_everybody": False, "open_webui_access": [{"model": SERVED[1]}]}


@pytest.mark.usefixtures("running")
def test_the_settings_are_the_declared_ones_after_each_of_six_restarts(site: OpenWebuiSite) -> None:
    """Five by somebody else, with variables that change what is in force, and one by the role, with another LiteLLM declared."""
    session = site.sign_in()
    with site.stranger() as stranger:
        for what, env in RESTARTS:
            site.restart_with(**env)
            played = site.play(open_webui_verify=False)
            assert played.code == 0, (what, played.output)
            assert_is_declared(site, session, site.urls[0])
        played = site.play(open_webui_litellm_url=site.urls[1], **ANOTHER)
        assert played.code == 0, played.output
        assert_is_declared(site, session, site.urls[1])
    assert set(stranger.heard) == {403}
    assert [each["id"] for each in site.ask("GET", "/api/models", token=site.an_ordinary_user(session))["data"]] == [SERVED[1]]


def assert_is_declared(site: OpenWebuiSite, session: str, url: str) -> None:
    """With a session from before all of it, and as everything that the role declares by its defaults."""
    assert connections(site, session) == ([url], [site.keys[1]])
    tasks = site.ask("GET", "/api/v1/tasks/config", token=session)
    assert not any(tasks[f"ENABLE_{name}_GENERATION"] for name in ("TITLE", "TAGS", "FOLLOW_UP"))
    models = site.ask("GET", "/api/v1/configs/models", token=session)
    assert models["DEFAULT_MODEL_METADATA"]["capabilities"]["builtin_tools"] is False
    assert site.ask("GET", "/api/v1/auths/admin/config", token=session)["ENABLE_SIGNUP"] is False
    person = {"name": "x", "email": "x@example.org", "password": key()}
    assert status_of(site, "POST", SIGN_UP, person) == 403


@pytest.mark.usefixtures("running")
def test_with_litellm_down_it_is_told_in_one_sentence_though_the_list_looks_as_before(site: OpenWebuiSite) -> None:
    """After a restart, which forgets how often somebody has signed in."""
    site.play(**ANOTHER, open_webui_litellm_url=site.urls[1], open_webui_verify=False)
    token = site.sign_in()
    listed = site.ask("GET", "/api/models", token=token)["data"]
    with site.litellm_down():
        assert (
            [each["id"] for each in site.ask("GET", "/api/models", token=token)["data"]] == [each["id"] for each in listed] == list(SERVED)
        )
        told = site.play(**ANOTHER, open_webui_litellm_url=site.urls[1])
    assert (told.code, told.recap["failed"]) == (2, 1), told.output
    assert f"Open-WebUI gets no models from LiteLLM at {site.urls[1]}" in flat(told.output)
    assert "See whether LiteLLM runs" in flat(told.output)


@pytest.mark.usefixtures("running")
def test_a_teardown_keeps_secret_and_claim_unless_told_otherwise(site: OpenWebuiSite) -> None:
    unsure = site.play("teardown")
    assert unsure.code != 0
    assert f"Open-WebUI out of {site.namespace}" in flat(unsure.output)
    assert site.play("teardown", teardown_confirm=True).recap["changed"] == 1
    assert [each.metadata.name for each in site.core.list_namespaced_persistent_volume_claim(site.namespace).items] == ["open-webui"]
    assert site.own.values
    assert site.play("teardown", teardown_confirm=True, teardown_secrets=True, teardown_claims=True).recap["changed"] == 1
    assert site.own.values is None
