# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in, and what is said when an answer is not what it should be."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui.reach import Answer
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.server import Login, Server, said
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import Trouble

JSON = {"content-type": "application/json"}
PASSWORD = secrets.token_hex(12)
LOGIN = Login("admin@example.org", PASSWORD, "key WEBUI_ADMIN_PASSWORD of Secret apps/open-webui-secrets")
TOO_MANY = Answer(429, '{"detail": "API rate limit exceeded"}', JSON)


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(body), {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}})


SESSION = answer({"token": "the-token", "role": "admin"})


class Scripted:
    """Answers with what it was given, in that order, and keeps what it was asked."""

    where = "pod apps/open-webui-0"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str], str | None]] = []

    def send(self, method: str, path: str, headers: Mapping[str, str], body: str | None) -> Answer:
        self.asked.append((method, path, headers, body))
        return self.answers.pop(0)


def server(*answers: Answer) -> tuple[Server, Scripted, list[bytes]]:
    reach, remembered = Scripted(*answers), list[bytes]()
    return Server(reach, remembered.extend), reach, remembered


def failure(*answers: Answer, patience: float = 240) -> str:
    """What is said when signing in fails; nobody sleeps."""
    it, _reach, _remembered = server(*answers)
    with pytest.raises(Trouble) as trouble:
        it.sign_in(LOGIN, patience, sleep=lambda _seconds: None)
    assert PASSWORD not in str(trouble.value)
    return str(trouble.value)


def test_it_signs_in_once_and_uses_the_token_from_then_on() -> None:
    it, reach, remembered = server(SESSION, answer({"a": 1}), answer({}))
    it.sign_in(LOGIN, 240)
    assert it.read("/a") == {"a": 1}
    it.write("/b", {"c": 2})
    assert [(method, path) for method, path, _headers, _body in reach.asked] == [
        ("POST", "/api/v1/auths/signin"),
        ("GET", "/a"),
        ("POST", "/b"),
    ]
    keys = [headers.get("Authorization") for _method, _path, headers, _body in reach.asked]
    assert keys == [None, "Bearer the-token", "Bearer the-token"]
    assert remembered == [b"the-token"]


def test_a_wrong_password_is_told_with_the_secrets_key_and_the_way_out() -> None:
    told = failure(answer({"detail": "The email or password provided is incorrect."}, 400))
    assert "does not take the password in key WEBUI_ADMIN_PASSWORD of Secret apps/open-webui-secrets for admin@example.org" in told
    assert "A database keeps the password it was made with" in told


def test_too_many_attempts_are_waited_for_once_as_long_as_told() -> None:
    waited: list[float] = []
    it, reach, _remembered = server(answer({}, 429, retry_after="7"), SESSION)
    it.sign_in(LOGIN, 240, sleep=waited.append)
    assert (waited, len(reach.asked)) == ([7.0], 2)


def test_without_a_time_told_as_long_as_patience_is() -> None:
    waited: list[float] = []
    it, _reach, _remembered = server(TOO_MANY, SESSION)
    it.sign_in(LOGIN, 240, sleep=waited.append)
    assert waited == [240]


def test_after_the_second_refusal_it_gives_up() -> None:
    assert "lets nobody sign in as admin@example.org for now, after too many attempts (429)" in failure(TOO_MANY, TOO_MANY)


@pytest.mark.parametrize("first", [TOO_MANY, answer({}, 429, retry_after="3600")])
def test_nobody_waits_longer_than_was_allowed(first: Answer) -> None:
    assert "(429)" in failure(first, patience=0 if first is TOO_MANY else 240)


def test_who_is_no_administrator_is_told_so() -> None:
    assert "admin@example.org has the role user" in failure(answer({"token": "t", "role": "user"}))


def test_a_second_factor_is_told_as_such() -> None:
    assert "a second factor" in failure(answer({"mfa_required": True}))


def test_the_page_for_people_is_no_open_webui() -> None:
    it, _reach, _remembered = server(Answer(200, "<html>", {"content-type": "text/html; charset=utf-8"}))
    with pytest.raises(Trouble, match="is no Open-WebUI: GET /api/config answered 200 with text/html, not JSON"):
        it.meet()


def test_a_redirect_is_told_with_where_it_leads() -> None:
    it, _reach, _remembered = server(Answer(308, "", {"location": "https://chat.example.org/api/config"}))
    with pytest.raises(Trouble, match=r"answered 308: it is at https://chat\.example\.org/api/config"):
        it.meet()


def test_one_without_a_user_is_left_alone() -> None:
    it, _reach, _remembered = server(answer({"version": "0.12.4", "onboarding": True}))
    with pytest.raises(Trouble, match="has no user yet, and makes whoever signs up first its administrator"):
        it.meet()


def test_no_answer_is_told_with_the_reason() -> None:
    it, _reach, _remembered = server(Answer(0, "Connection refused"))
    with pytest.raises(Trouble, match="does not answer GET /api/config: Connection refused"):
        it.meet()


@pytest.mark.parametrize("other", [Answer(200, "<html>", {"content-type": "text/html"}), answer({"detail": "Not Found"}, 404)])
def test_a_page_that_is_not_there_is_another_version(other: Answer) -> None:
    it, _reach, _remembered = server(answer({"version": "0.9.1"}), other)
    it.meet()
    with pytest.raises(Trouble, match=r"Open-WebUI 0\.9\.1 at pod apps/open-webui-0 has no /api/v1/tasks/config as this collection"):
        it.read("/api/v1/tasks/config")


def test_a_write_that_is_not_taken_is_told_with_what_was_said() -> None:
    it, _reach, _remembered = server(answer({"detail": [{"msg": "Field required"}]}, 422))
    with pytest.raises(Trouble, match=r"POST /b answered 422: .*Field required"):
        it.write("/b", {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"detail": "plain"}', "plain"),
        ('{"error": {"message": "nested", "code": 401}}', "nested"),
        ("no JSON", "no JSON"),
        ("[1]", "[1]"),
    ],
)
def test_the_sentence_in_an_error_is_found(text: str, sentence: str) -> None:
    assert said(text) == sentence
