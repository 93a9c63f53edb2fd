# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, compare, write the difference, read again: on an Open-WebUI that is a dictionary."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui.access import Grant
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.connections import Wanted
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.converge import Desired, Done, converge
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.reach import Answer
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import Trouble

LITELLM = "http://litellm:4000/v1"
EVERYBODY = frozenset({Grant("user", "*", "read")})
PAGES = {
    "/api/v1/auths/admin/config": "/api/v1/auths/admin/config",
    "/api/v1/configs/models": "/api/v1/configs/models",
    "/api/v1/tasks/config/update": "/api/v1/tasks/config",
    "/openai/config/update": "/openai/config",
}


class OpenWebUI:
    """Keeps what is written, except the names in `stubborn`; `takes` is the backend's answer to every key."""

    version = "0.12.4"
    where = "http://here"

    def __init__(self, key: str, takes: int = 200, stubborn: tuple[str, ...] = ()) -> None:
        self.pages: dict[str, Any] = {
            "/api/v1/auths/admin/config": {"ENABLE_SIGNUP": True, "DEFAULT_USER_ROLE": "pending", "UNTOLD": 1},
            "/api/v1/configs/models": {"DEFAULT_MODELS": None, "DEFAULT_MODEL_METADATA": {"by": "hand"}},
            "/api/v1/tasks/config": {"ENABLE_TITLE_GENERATION": True, "UNTOLD": "kept"},
            "/openai/config": {
                "ENABLE_OPENAI_API": True,
                "OPENAI_API_BASE_URLS": [LITELLM],
                "OPENAI_API_KEYS": [key],
                "OPENAI_API_CONFIGS": {},
            },
            "/api/v1/models/all": [],
        }
        self.writes: list[str] = []
        self.tried: list[Mapping[str, Any]] = []
        self._takes, self._stubborn = takes, stubborn

    def read(self, path: str) -> Any:
        return copy.deepcopy(self.pages[path])

    def write(self, path: str, body: Mapping[str, Any]) -> None:
        self.writes.append(path)
        if path == "/api/v1/models/model/access/update":
            self.pages["/api/v1/models/all"].append(dict(body))
        else:
            self.pages[PAGES[path]].update({name: value for name, value in body.items() if name not in self._stubborn})

    def try_out(self, path: str, body: Mapping[str, Any]) -> Answer:
        assert path == "/openai/verify"
        self.tried.append(body)
        text = json.dumps({"error": {"message": "Authentication Error"}})
        return Answer(self._takes, text, {"content-type": "application/json"})

    def unknown(self, path: str, why: str) -> Trouble:
        return Trouble(f"unknown {path}: {why}")


@pytest.fixture
def old() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def desired() -> Desired:
    return Desired(
        backends=[Wanted(LITELLM, secrets.token_hex(16), salt="uid", source="key A of Secret apps/b")],
        settings={
            "admin": {"ENABLE_SIGNUP": False},
            "models": {"DEFAULT_MODEL_METADATA": {"capabilities": {"builtin_tools": False}}},
            "tasks": {"ENABLE_TITLE_GENERATION": False},
        },
        access={"vllm-qwen": EVERYBODY},
        salt="random",
    )


def run(server: OpenWebUI, desired: Desired, *, dry_run: bool = False) -> Done:
    return converge(server, desired, dry_run=dry_run, remember=lambda _values: None)


CHANGES = (
    "admin.ENABLE_SIGNUP",
    "connections",
    "models.DEFAULT_MODEL_METADATA",
    "tasks.ENABLE_TITLE_GENERATION",
    "access.vllm-qwen",
)


def test_all_that_differs_is_written_sign_up_first_and_the_rest_stays(old: str, desired: Desired) -> None:
    server = OpenWebUI(old)
    assert run(server, desired).changes == CHANGES
    assert server.writes == [
        "/api/v1/auths/admin/config",
        "/openai/config/update",
        "/api/v1/configs/models",
        "/api/v1/tasks/config/update",
        "/api/v1/models/model/access/update",
    ]
    assert server.pages["/api/v1/auths/admin/config"] == {"ENABLE_SIGNUP": False, "DEFAULT_USER_ROLE": "pending", "UNTOLD": 1}
    assert server.pages["/api/v1/configs/models"]["DEFAULT_MODEL_METADATA"] == {"by": "hand", "capabilities": {"builtin_tools": False}}
    assert server.pages["/api/v1/tasks/config"]["UNTOLD"] == "kept"


def test_again_nothing_is_written_and_no_key_is_tried(old: str, desired: Desired) -> None:
    server = OpenWebUI(old)
    run(server, desired)
    server.writes.clear()
    server.tried.clear()
    again = run(server, desired)
    assert (again.changes, again.diff["before"], again.diff["after"]) == ((), "", "")
    assert (server.writes, server.tried) == ([], [])


def test_a_dry_run_foretells_the_same_and_writes_nothing(old: str, desired: Desired) -> None:
    server, real = OpenWebUI(old), OpenWebUI(old)
    before = copy.deepcopy(server.pages)
    foretold = run(server, desired, dry_run=True)
    assert (server.writes, server.pages) == ([], before)
    assert foretold == run(real, desired)


def test_the_diff_has_only_what_differs_and_no_key(old: str, desired: Desired) -> None:
    told = run(OpenWebUI(old), desired).diff
    assert "-".join(told) == "before_header-after_header-before-after"
    assert "admin.ENABLE_SIGNUP: true\n" in told["before"]
    assert "admin.ENABLE_SIGNUP: false\n" in told["after"]
    assert "UNTOLD" not in told["before"]
    new = (desired.backends or [])[0].key
    assert old not in str(told)
    assert str(new) not in str(told)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, f"{LITELLM} refuses key A of Secret apps/b (401: Authentication Error): put the right one there"),
        (400, "refuses key A of Secret apps/b (400"),
        (404, f"{LITELLM} has no /models (404): the address must go up to and with /v1"),
        (500, f"{LITELLM} cannot be asked from Open-WebUI (500"),
    ],
)
def test_a_key_that_is_not_taken_is_not_written_and_nothing_else_is(old: str, desired: Desired, status: int, told: str) -> None:
    server = OpenWebUI(old, takes=status)
    with pytest.raises(Trouble, match="was not touched") as trouble:
        run(server, desired)
    assert told in str(trouble.value)
    assert server.writes == []


def test_a_key_is_written_untried_when_that_was_asked_for(old: str, desired: Desired) -> None:
    server = OpenWebUI(old, takes=500)
    assert "connections" in run(server, Desired(backends=desired.backends, check_keys=False)).changes
    assert server.tried == []


def test_what_is_not_named_is_not_even_read(old: str) -> None:
    server = OpenWebUI(old)
    server.pages.clear()
    assert run(server, Desired()).changes == ()


def test_all_that_is_wrong_is_told_before_anything_is_written(old: str) -> None:
    server = OpenWebUI(old)
    settings = {"admin": {"ENABLE_SIGNUP": False, "NOT_THERE": 1}, "tasks": {"ENABLE_TITLE_GENERATION": "no"}}
    with pytest.raises(Trouble) as trouble:
        run(server, Desired(settings=settings))
    assert len(trouble.value.problems) == 2
    assert server.writes == []


def test_what_is_not_kept_is_told(old: str) -> None:
    server = OpenWebUI(old, stubborn=("DEFAULT_USER_ROLE",))
    with pytest.raises(Trouble, match=r"0\.12\.4 at http://here took what was written and did not keep it: .*is 'pending', and 'boss' was"):
        run(server, Desired(settings={"admin": {"DEFAULT_USER_ROLE": "boss"}}))


def test_connections_that_are_not_kept_are_told(old: str, desired: Desired) -> None:
    server = OpenWebUI(old, stubborn=("OPENAI_API_KEYS",))
    with pytest.raises(Trouble, match="somebody else changes them too"):
        run(server, desired)


@pytest.mark.parametrize("path", ["/api/v1/auths/admin/config", "/openai/config", "/api/v1/models/all"])
def test_another_shape_is_told_and_nothing_is_written(old: str, desired: Desired, path: str) -> None:
    server = OpenWebUI(old)
    server.pages[path] = [7]
    with pytest.raises(Trouble, match=f"unknown {path}"):
        run(server, desired)
    assert server.writes == []


def test_every_key_that_is_read_is_remembered_first(old: str, desired: Desired) -> None:
    remembered: list[bytes] = []
    converge(OpenWebUI(old), desired, dry_run=True, remember=remembered.extend)
    assert old.encode() in remembered
