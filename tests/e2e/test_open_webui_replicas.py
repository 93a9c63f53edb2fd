# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role open_webui with two pods on a real Postgres and a real Redis: one session at both, and people go on while one is replaced."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from all_along import all_along
from kubernetes import client
from open_webui_site import EMAIL, SERVED, OpenWebuiSite, open_webui_site
from shared_stores import put_stores
from site_under_test import SANDBOX, Played, is_ready

from secret_under_test import key

pytestmark = pytest.mark.cluster

LONGER = {"WEBUI_NAME": "Another name"}


@pytest.fixture(scope="module")
def passwords(site: OpenWebuiSite) -> dict[str, str]:
    return put_stores(site.core, site.namespace)


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[OpenWebuiSite]:
    for site in open_webui_site(core):
        # One store by the name of its Service, with a password from a Secret; the other by its whole name, with one that is given.
        redis = f"redis.{site.namespace}.svc.cluster.local"
        stores: dict[str, Any] = {"open_webui_database": {"host": "postgres", "password_from": {"name": "stores", "key": "postgres"}}}
        site.variables |= {"open_webui_replicas": 2, **stores, "open_webui_redis": {"host": redis}}
        yield site


@pytest.fixture(scope="module")
def running(site: OpenWebuiSite, passwords: dict[str, str]) -> Played:
    played = site.play("site", "-vvvv", "--diff", environ={"OPEN_WEBUI_REDIS_PASSWORD": passwords["redis"]})
    assert played.code == 0, played.output
    return played


def pods(site: OpenWebuiSite) -> list[Any]:
    """Those that serve and stay, the oldest first."""
    found = site.core.list_namespaced_pod(site.namespace, label_selector="app=open-webui").items
    return sorted((pod for pod in found if is_ready(pod) and not pod.metadata.deletion_timestamp), key=lambda pod: pod.status.start_time)


def at(pod: Any) -> str:
    return f"pods/{pod.metadata.name}:8080"


@contextmanager
def somebody_reads(site: OpenWebuiSite, token: str) -> Iterator[list[str]]:
    """Somebody who asks any pod that is ready for the models, all the while. What went wrong is told."""
    wrong: list[str] = []

    def read() -> None:
        try:
            listed = site.ask("GET", "/api/models", token=token)["data"]
        except client.ApiException as error:
            wrong.append(f"{error.status} {error.reason}")
        else:
            if {each["id"] for each in listed} != set(SERVED):
                wrong.append(str(listed))

    with all_along(read, 0.2):
        yield wrong


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"open_webui_redis": {}}, "open_webui_replicas is 2, and several pods need open_webui_database and open_webui_redis"),
        ({"open_webui_database": {"name": "x"}}, "open_webui_database has no host"),
        ({"open_webui_database_password": "p@ss:word/1"}, "has characters that mean something in an address"),
        ({"open_webui_database": {"host": "postgres"}, "open_webui_redis_password": key()}, "DATABASE_PASSWORD"),
    ],
    ids=["no-redis", "no-host", "password", "no-password"],
)
def test_what_cannot_work_is_told_before_anything_is_applied(site: OpenWebuiSite, variables: dict[str, Any], told: str) -> None:
    refused = site.play(**variables)
    assert (refused.code, refused.recap["failed"]) == (2, 1), refused.output
    assert told in " ".join(refused.output.split())
    assert site.own.values is None
    assert site.pod() is None


def test_on_an_empty_database_the_second_pod_waits_for_the_first(running: Played, site: OpenWebuiSite) -> None:
    first, second = pods(site)
    (began,) = (each.last_transition_time for each in first.status.conditions if each.type == "Ready")
    assert second.status.start_time >= began
    assert [each.status.container_statuses[0].restart_count for each in (first, second)] == [0, 0]
    assert "fatal" not in running.output


def test_no_password_is_told_and_none_is_outside_of_the_secret(running: Played, site: OpenWebuiSite, passwords: dict[str, str]) -> None:
    deployed = site.core.api_client.sanitize_for_serialization(pods(site)[0])
    for name, value in {**passwords, **(site.own.values or {})}.items():
        assert value not in running.output, name
        assert value not in str(deployed), name


@pytest.mark.usefixtures("running")
def test_a_second_run_changes_nothing_and_writes_nothing(site: OpenWebuiSite) -> None:
    since = time.time()
    again = site.play()
    assert (again.code, again.recap["changed"]) == (0, 0), again.output
    audit = subprocess.run([*SANDBOX, "audit", "--since", str(since)], capture_output=True, text=True, check=True).stdout
    assert [line for line in audit.splitlines() if site.namespace in line] == []


@pytest.mark.usefixtures("running")
def test_who_signs_in_at_one_pod_is_signed_in_at_both_until_signing_out_at_the_other(site: OpenWebuiSite) -> None:
    first, second = pods(site)
    login = {"email": EMAIL, "password": (site.own.values or {})["WEBUI_ADMIN_PASSWORD"]}
    token = site.ask("POST", "/api/v1/auths/signin", login, target=at(first))["token"]
    for pod in (first, second):
        assert site.ask("GET", "/api/v1/auths/", token=token, target=at(pod))["email"] == EMAIL
    # What is said to be over is in the Redis that both ask.
    site.ask("POST", "/api/v1/auths/signout", token=token, target=at(second))
    with pytest.raises(client.ApiException) as refused:
        site.ask("GET", "/api/v1/auths/", token=token, target=at(first))
    assert refused.value.status == 401


@pytest.mark.usefixtures("running")
def test_what_is_written_through_one_pod_holds_for_the_other_and_the_role_puts_it_right(site: OpenWebuiSite) -> None:
    first, second = pods(site)
    token = site.sign_in()
    page = site.ask("GET", "/openai/config", token=token, target=at(first))
    site.ask("POST", "/openai/config/update", {**page, "OPENAI_API_BASE_URLS": [site.urls[1]]}, token=token, target=at(first))
    seen = site.ask("GET", "/openai/config", token=token, target=at(second))
    assert seen["OPENAI_API_BASE_URLS"] == [site.urls[1]]
    put_right = site.play()
    assert (put_right.code, put_right.recap["changed"]) == (0, 1), put_right.output
    for pod in (first, second):
        assert site.ask("GET", "/openai/config", token=token, target=at(pod))["OPENAI_API_BASE_URLS"] == [site.urls[0]]


@pytest.mark.usefixtures("running")
def test_people_go_on_while_the_pods_are_replaced(site: OpenWebuiSite) -> None:
    before = {pod.metadata.uid for pod in pods(site)}
    token = site.sign_in()
    with somebody_reads(site, token) as wrong:
        replaced = site.play(open_webui_env={"OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", **LONGER})
    assert replaced.code == 0, replaced.output
    assert not before & {pod.metadata.uid for pod in pods(site)}
    assert len(pods(site)) == 2
    assert wrong == []
