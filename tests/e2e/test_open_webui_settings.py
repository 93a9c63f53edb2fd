# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""open_webui_settings on a real Open-WebUI that somebody else installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edges import both_edges
from forwarded import forwarded
from kubernetes import client
from open_webui_under_test import MODELS, OpenWebUI, open_webui

from secret_under_test import Secret, key

pytestmark = pytest.mark.cluster

VERIFY = Path(__file__).resolve().parents[2] / "roles" / "open_webui" / "files" / "verify.py"
EVERYBODY = {("user", "*", "read")}


@pytest.fixture(scope="module")
def webui(core: client.CoreV1Api) -> Iterator[OpenWebUI]:
    with open_webui(core) as it:
        yield it


@pytest.fixture
def converge(run_module: Any, webui: OpenWebUI) -> Any:
    """Runs the module as an administrator of this test's own, inside Open-WebUI's container."""
    given = {"namespace": webui.namespace, "selector": "app=open-webui", **webui.administrator()}

    def run(*, check: bool = False, diff: bool = False, verbosity: int = 0, **params: Any) -> Any:
        return run_module("open_webui_settings", {**given, **params}, check=check, diff=diff, verbosity=verbosity)

    return run


def connection(webui: OpenWebUI, **more: Any) -> dict[str, Any]:
    return {"url": webui.url, "key_from": {"name": webui.secret.name, "key": "LITELLM_KEY"}, **more}


def models(webui: OpenWebUI) -> list[str]:
    return [each["id"] for each in webui.ask("GET", "/api/models?refresh=true")["data"]]


@both_edges
def test_add_again_change_again_take_back_again_each_with_and_without_check_mode(converge: Any, webui: OpenWebUI, edge: str) -> None:
    model = f"of-{edge}"
    steps: list[tuple[dict[str, Any], list[str]]] = [
        (
            {
                "connections": [connection(webui, config={"tags": []})],
                "purge_connections": True,
                "tasks": {"ENABLE_TAGS_GENERATION": False},
            },
            ["connections", "tasks.ENABLE_TAGS_GENERATION"],
        ),
        (
            {
                "models": {"DEFAULT_MODELS": list(MODELS[:2]), "DEFAULT_MODEL_METADATA": {"capabilities": {"builtin_tools": False}}},
                "access": [{"model": model}],
            },
            ["models.DEFAULT_MODELS", "models.DEFAULT_MODEL_METADATA", f"access.{model}"],
        ),
        (
            {
                "connections": [],
                "purge_connections": True,
                "tasks": {"ENABLE_TAGS_GENERATION": True},
                "models": {"DEFAULT_MODELS": "", "DEFAULT_MODEL_METADATA": {"capabilities": {"builtin_tools": True}}},
                "access": [{"model": model, "grants": []}],
            },
            [
                "connections",
                "models.DEFAULT_MODELS",
                "models.DEFAULT_MODEL_METADATA",
                "tasks.ENABLE_TAGS_GENERATION",
                f"access.{model}",
            ],
        ),
    ]
    for params, changes in steps:
        before = webui.settings()
        foretold = converge(check=True, **params)
        assert (foretold.changed, foretold.result.get("changes")) == (True, changes), foretold.output
        assert webui.settings() == before
        done = converge(**params)
        assert (done.changed, done.result["changes"]) == (True, changes)
        assert webui.settings() != before
        after, writes = webui.settings(), webui.writes()
        for check in (True, False):
            again = converge(check=check, **params)
            assert (again.changed, again.result["changes"]) == (False, [])
        assert (webui.settings(), webui.writes()) == (after, writes)
        assert not done.warnings


def test_what_was_changed_by_hand_is_shown_and_put_right_and_what_is_not_managed_stays(converge: Any, webui: OpenWebUI) -> None:
    declared = {
        "connections": [connection(webui)],
        "tasks": {"ENABLE_TITLE_GENERATION": False},
        "admin": {"ENABLE_SIGNUP": False, "DEFAULT_USER_ROLE": "user"},
        "models": {"DEFAULT_MODEL_METADATA": {"capabilities": {"builtin_tools": False}}},
    }
    converge(**declared)
    wanted = webui.settings()
    webui.change("/api/v1/tasks/config", ENABLE_TITLE_GENERATION=True, TASK_MODEL_EXTERNAL=MODELS[0])
    webui.change("/api/v1/auths/admin/config", ENABLE_SIGNUP=True, RESPONSE_WATERMARK="by hand")
    webui.change("/api/v1/configs/models", DEFAULT_MODEL_METADATA={"capabilities": {"builtin_tools": True, "vision": False}})
    theirs = key()
    webui.change(
        "/openai/config",
        ENABLE_OPENAI_API=False,
        OPENAI_API_BASE_URLS=["http://theirs.invalid/v1", f"{webui.url}/"],
        OPENAI_API_KEYS=[theirs, webui.keys[0]],
        OPENAI_API_CONFIGS={"0": {"prefix_id": "theirs"}},
    )
    done = converge(diff=True, **declared)
    assert done.changed, done.output
    assert "-tasks.ENABLE_TITLE_GENERATION: true\n" in done.output
    assert "+admin.ENABLE_SIGNUP: false\n" in done.output
    assert theirs not in done.output
    now = webui.settings()
    assert now["/openai/config"] == {
        "ENABLE_OPENAI_API": True,
        "OPENAI_API_BASE_URLS": [webui.url, "http://theirs.invalid/v1"],
        "OPENAI_API_KEYS": [webui.keys[0], theirs],
        "OPENAI_API_CONFIGS": {"1": {"prefix_id": "theirs"}},
    }
    assert now["/api/v1/tasks/config"] == {**wanted["/api/v1/tasks/config"], "TASK_MODEL_EXTERNAL": MODELS[0]}
    assert now["/api/v1/auths/admin/config"] == {**wanted["/api/v1/auths/admin/config"], "RESPONSE_WATERMARK": "by hand"}
    assert now["/api/v1/configs/models"]["DEFAULT_MODEL_METADATA"]["capabilities"] == {"builtin_tools": False, "vision": False}
    assert models(webui) == list(MODELS)
    purged = converge(purge_connections=True, **declared)
    assert purged.result["changes"] == ["connections"]
    assert webui.settings()["/openai/config"]["OPENAI_API_BASE_URLS"] == [webui.url]


def test_a_slash_at_the_end_of_the_address_is_no_trap(converge: Any, webui: OpenWebUI) -> None:
    converge(connections=[connection(webui, url=f"{webui.url}/")], purge_connections=True)
    assert webui.settings()["/openai/config"]["OPENAI_API_BASE_URLS"] == [webui.url]
    assert models(webui) == list(MODELS)
    assert not converge(connections=[connection(webui, url=f"{webui.url}/")], purge_connections=True).changed


@both_edges
def test_a_rotated_key_takes_effect_at_once_and_is_shown_by_nobody(converge: Any, webui: OpenWebUI, edge: str) -> None:
    name, (old, new) = f"rotated-{edge}", webui.keys
    secret = Secret(webui.core, webui.namespace, name)
    secret.create({"KEY": old})
    given = {"connections": [{"url": webui.url, "key_from": {"name": name, "key": "KEY"}}], "purge_connections": True}
    converge(**given)
    webui.core.patch_namespaced_secret(name, webui.namespace, {"stringData": {"KEY": new}})
    done = converge(diff=True, verbosity=4, **given)
    assert done.result["changes"] == ["connections"], done.output
    # The session of who looks here began before, and goes on.
    assert webui.settings()["/openai/config"]["OPENAI_API_KEYS"] == [new]
    assert models(webui) == list(MODELS)
    told = done.output + json.dumps(done.result)
    assert not [each for each in (old, new) if each in told or each[3:20] in told]


@both_edges
def test_a_key_that_the_backend_refuses_is_not_stored(converge: Any, webui: OpenWebUI, edge: str) -> None:
    name, wrong = f"wrong-{edge}", key()
    Secret(webui.core, webui.namespace, name).create({"KEY": wrong})
    before, writes = webui.settings(), webui.writes()
    given = {"connections": [{"url": webui.url, "key_from": {"name": name, "key": "KEY"}}], "tasks": {"ENABLE_VOICE_MODE_PROMPT": False}}
    for check in (True, False):
        failed = converge(check=check, verbosity=4, **given)
        assert f"{webui.url} refuses key KEY of Secret {webui.namespace}/{name} (401" in failed.message
        assert wrong not in failed.output
    assert (webui.settings(), webui.writes()) == (before, writes)


def test_a_backend_that_cannot_be_reached_is_not_stored_either_unless_that_is_wanted(converge: Any, webui: OpenWebUI) -> None:
    elsewhere = {"url": "http://not-there.invalid/v1", "key": key()}
    assert "http://not-there.invalid/v1 cannot be asked from Open-WebUI" in converge(connections=[elsewhere]).message
    assert converge(connections=[elsewhere], check_keys=False).changed
    assert converge(connections=[connection(webui)], purge_connections=True).changed


def test_a_wrong_password_is_told_with_the_key_of_the_secret_and_the_way_out(converge: Any, webui: OpenWebUI) -> None:
    name, wrong = "no-password", key()
    Secret(webui.core, webui.namespace, name).create({"PASSWORD": wrong})
    failed = converge(admin_password_from={"name": name, "key": "PASSWORD"}, admin={"ENABLE_SIGNUP": False}, verbosity=4)
    assert f"does not take the password in key PASSWORD of Secret {webui.namespace}/{name}" in failed.message
    assert "A database keeps the password it was made with" in failed.message
    assert wrong not in failed.output


def test_too_many_sign_ins_are_told_as_such_with_the_right_password_too(converge: Any, webui: OpenWebUI) -> None:
    given = webui.administrator()
    for _each in range(15):
        with pytest.raises(client.ApiException, match="400"):
            webui.ask("POST", "/api/v1/auths/signin", {"email": given["admin_email"], "password": "x"})
    failed = converge(admin={"ENABLE_SIGNUP": False}, sign_in_patience=0, **given)
    assert "for now, after too many attempts (429)" in failed.message


def test_a_setting_that_this_version_does_not_have_is_named(converge: Any, webui: OpenWebUI) -> None:
    writes = webui.writes()
    failed = converge(tasks={"ENABLE_TITLE_GENERATION": False, "ENABLE_TITLES": False}, admin={"JWT_EXPIRES": "4w"})
    assert len(failed.result["problems"]) == 2, failed.output
    assert "there is no admin.JWT_EXPIRES in Open-WebUI 0." in failed.message
    assert webui.writes() == writes


def test_what_open_webui_takes_and_does_not_keep_is_an_error(converge: Any) -> None:
    assert "did not keep it: admin.JWT_EXPIRES_IN is '" in converge(admin={"JWT_EXPIRES_IN": "a while"}).message


def test_without_a_pod_it_fails_and_check_mode_takes_it_for_one_that_is_still_to_be_made(converge: Any, webui: OpenWebUI) -> None:
    nobody = {"selector": "app=nobody", "admin": {"ENABLE_SIGNUP": False}}
    assert f"No pod in namespace {webui.namespace} has the labels app=nobody" in converge(**nobody).message
    foretold = converge(check=True, **nobody)
    assert foretold.changed
    assert "What its settings will be is not known yet" in foretold.warnings[0]


@both_edges
def test_by_its_address_it_needs_no_pod(run_module: Any, webui: OpenWebUI) -> None:
    login = webui.administrator()
    password = (Secret(webui.core, webui.namespace, login["admin_password_from"]["name"]).values or {})["PASSWORD"]
    given = {"admin_email": login["admin_email"], "admin_password": password}
    other = not webui.ask("GET", "/api/v1/auths/admin/config")["ENABLE_COMMUNITY_SHARING"]
    with forwarded(f"{webui.namespace}/open-webui") as url:
        wanted = {**given, "url": url, "kubeconfig": "/not/there", "admin": {"ENABLE_COMMUNITY_SHARING": other}}
        done = run_module("open_webui_settings", wanted, verbosity=4)
        assert done.result.get("changes") == ["admin.ENABLE_COMMUNITY_SHARING"], done.output
        assert not run_module("open_webui_settings", wanted).changed
        assert password not in done.output


def test_verification_sees_what_people_see_and_has_one_verdict_when_the_backend_is_down(
    converge: Any, run_module: Any, webui: OpenWebUI
) -> None:
    converge(connections=[connection(webui)], purge_connections=True, access=[{"model": MODELS[0]}], admin={"ENABLE_SIGNUP": False})
    (pod,) = webui.core.list_namespaced_pod(webui.namespace, label_selector="app=open-webui").items
    ask = {"url": "http://127.0.0.1:8080", "email": "first@example.org", "password_env": "WEBUI_ADMIN_PASSWORD", "litellm_url": webui.url}
    ask |= {"declared": list(MODELS), "models": list(MODELS[:2]), "users": True, "strict": True, "timeout": 30, "sign_in_patience": 0}
    argv = ["python3", "-c", VERIFY.read_text(), json.dumps(ask)]
    exec_in_pod = {"namespace": webui.namespace, "pod": pod.metadata.name, "argv": argv}

    def verify() -> dict[str, Any]:
        done = run_module("k8s_exec", exec_in_pod)
        assert "stdout" in done.result, done.output
        return dict(json.loads(done.result["stdout"]))

    users = webui.ask("GET", "/api/v1/users/")["total"]
    missing = sorted(MODELS[1:])
    assert verify()["problems"] == [f"Missing in what an ordinary user is shown: {', '.join(missing)}"]
    converge(access=[{"model": each} for each in MODELS])
    found = verify()
    assert found["problems"] == []
    assert sum("in a conversation as in a browser" in line for line in found["lines"]) == 2
    webui.backend("PUT", "/hosts/backend/fault", {"kind": "refuse"})
    try:
        (problem,) = verify()["problems"]
    finally:
        webui.backend("PUT", "/hosts/backend/fault", {"kind": "none"})
    assert problem.startswith(f"Open-WebUI gets no models from LiteLLM at {webui.url}")
    assert webui.ask("GET", "/api/v1/users/")["total"] == users
