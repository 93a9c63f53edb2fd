# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request may not ask for, told before Open-WebUI is asked."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui.access import Grant
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.request import from_params
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import Trouble
from ansible_collections.homelab.llm.plugins.module_utils._secrets.request import Source

READ = {"principal_type": "user", "principal_id": "*", "permission": "read"}


def params(**given: Any) -> dict[str, Any]:
    defaults = dict(namespace="apps", url=None, admin_email="a@b.c", admin_password=None, admin_password_from=None, connections=None)
    more = dict(purge_connections=False, check_keys=True, models={}, tasks={}, admin={}, access=[])
    return {**defaults, **more, **given}


def connection(url: str, key: str | None = None, key_from: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"url": url, "key": key, "key_from": key_from, "config": {}}


def secret(name: str, key: str, namespace: str | None = None) -> dict[str, Any]:
    return {"name": name, "key": key, "namespace": namespace}


def refusals(**given: Any) -> tuple[str, ...]:
    with pytest.raises(Trouble, match="Open-WebUI was not touched") as trouble:
        from_params(params(**given))
    return trouble.value.problems


def test_reads_every_option() -> None:
    asked = from_params(
        params(
            admin_password_from=secret("open-webui-secrets", "WEBUI_ADMIN_PASSWORD"),
            connections=[connection(" http://litellm:4000/v1/ ", key_from=secret("s", "K", "ml"))],
            models={"DEFAULT_MODELS": ["a", "b"]},
            access=[{"model": "a", "grants": [READ]}],
        )
    )
    assert asked.password_source == Source("apps", "open-webui-secrets", "WEBUI_ADMIN_PASSWORD")
    assert asked.backends is not None
    assert [(each.url, each.source) for each in asked.backends] == [("http://litellm:4000/v1", Source("ml", "s", "K"))]
    assert asked.settings == {"admin": {}, "models": {"DEFAULT_MODELS": "a,b"}, "tasks": {}}
    assert asked.access == {"a": frozenset({Grant("user", "*", "read")})}


def test_connections_left_out_are_none_and_not_an_empty_list() -> None:
    assert from_params(params()).backends is None
    assert from_params(params(connections=[])).backends == ()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"connections": [connection("litellm:4000/v1")]}, "'litellm:4000/v1' is no address: it must begin with http:// or https://"),
        ({"url": "chat.example.org"}, "url: 'chat.example.org' is no address"),
        ({"connections": [connection("http://me:pw@litellm/v1")]}, "the address of litellm has a login in it"),
        ({"connections": [connection("http://l/v1", "changeme")]}, "the key of http://l/v1 is a placeholder (changeme)"),
        ({"connections": [connection("http://l/v1", "")]}, "the key of http://l/v1 is empty"),
        ({"connections": [connection("http://l/v1"), connection("http://l/v1/")]}, "connections has http://l/v1 2 times"),
        ({"access": [{"model": "a", "grants": []}, {"model": "a", "grants": []}]}, "access has a 2 times"),
        ({"access": [{"model": "a b", "grants": []}]}, "'a b' is no name of a model"),
        ({"namespace": None, "url": "http://h", "admin_password_from": secret("s", "k")}, "names Secret s without its namespace"),
        ({"namespace": None, "url": "http://h", "connections": [connection("http://l/v1", None, secret("s", "k"))]}, "key_from names"),
    ],
)
def test_refuses_with_a_sentence(given: dict[str, Any], problem: str) -> None:
    (only,) = refusals(**given)
    assert problem in only
    assert "me:pw" not in only


def test_tells_all_that_is_wrong() -> None:
    assert len(refusals(url="x", connections=[connection("y"), connection("z")])) == 3
