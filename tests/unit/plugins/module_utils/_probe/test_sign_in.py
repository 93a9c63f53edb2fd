# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody at the page of Open-WebUI: signed in once, and asking as the page does. Open-WebUI is scripted here, with its real answers."""

from __future__ import annotations

import ast
import http.server
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe import load, record, vantage

EMAIL, PASSWORD, TOKEN = "someone@example.org", "a-password-that-nobody-may-see-4711", "a-token-that-nobody-may-see-either-0815"
SERVED = ["vllm-qwen", "ollama-qwen"]


class Scripted(http.server.ThreadingHTTPServer):
    """What Open-WebUI 0.12.4 answers. `sign_in` is another status for a sign-in, `page` makes it answer everything with its page."""

    sign_in, page, models = 200, False, SERVED

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def bodies(self, path: str) -> list[Any]:
        return [body for asked, _bearer, body in self.seen if asked == path]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Scripted

    def _take(self) -> Any:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
        self.server.seen.append((self.path, self.headers.get("Authorization") or "", body))
        return body

    def _give(self, status: int, body: Any, **headers: str) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self._take()
        if self.server.page:
            self._give(200, b"<!doctype html>", Content_Type="text/html")
        elif self.path == "/api/config":
            self._give(200, {"status": True, "version": "0.12.4"})
        elif self.path == "/count":
            self._give(200, {"requests": 7})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._give(401, {"detail": "Not authenticated"})
        else:
            self._give(200, {"data": [{"id": each} for each in self.server.models]})

    def do_POST(self) -> None:
        body = self._take()
        if self.server.page:
            self._give(405, {"detail": "Method Not Allowed"})
        elif self.path.endswith("/signin"):
            good = body == {"email": EMAIL, "password": PASSWORD}
            status = self.server.sign_in if good else 400
            self._give(status, {"token": TOKEN} if status == 200 else {"detail": f"no, {body}"})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._give(401, {"detail": f"Not {self.headers.get('Authorization')}"})
        else:
            choice = {"delta": {"content": f"From ollama {TOKEN}"}, "finish_reason": "stop"}
            chunk = {"id": "c", "model": "ollama-qwen", "choices": [choice]}
            headers = {"x_litellm_model_group": "ollama-qwen", "x_litellm_attempted_fallbacks": "1"}
            text = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
            self._give(200, text, Content_Type="text/event-stream; charset=utf-8", **headers)

    def log_message(self, *_words: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Scripted]:
    with Scripted() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def open_webui() -> Iterator[Scripted]:
    with running() as server:
        yield server


def loads(url: str, count: int = 1) -> list[load.Load]:
    return [
        load.Load(f"person-{number}", url, "vllm-qwen", rate=20, stream=True, key_env="PROBE_KEY", protocol="open_webui", email=EMAIL)
        for number in range(count)
    ]


def start(program: str, *arguments: str, password: str = PASSWORD, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PROBE_KEY": password, **environ},
        check=False,
        timeout=30,
    )
    assert done.stderr == ""
    assert PASSWORD not in done.stdout
    assert TOKEN not in done.stdout
    return done


def ask(url: str, count: int = 1, password: str = PASSWORD) -> list[str]:
    """Let workers ask for a moment; their spec is in the environment there, so that their input's end is no stop."""
    spec = load.Plan(loads(url, count), seconds=0.3, grace_s=3, timeout_s=5).spec()
    return start(load.program(), password=password, FAILOVER_PROBE_SPEC=spec).stdout.splitlines()


def look(url: str, **changes: Any) -> dict[str, Any]:
    spec = {**vantage.look(url, "PROBE_KEY", 0.5, email=EMAIL), **changes}
    lines = map(json.loads, start(vantage.watcher_program(), json.dumps(spec)).stdout.splitlines())
    return {line["kind"]: line for line in lines}


def test_several_people_of_one_address_sign_in_once_and_ask_with_a_session_and_no_chat(open_webui: Scripted) -> None:
    lines = ask(open_webui.url, count=2)
    requests = record.parse(lines).requests
    assert len(open_webui.bodies("/api/v1/auths/signin")) == 1
    messages = open_webui.bodies("/api/chat/completions")
    assert len(messages) == len(requests) > 2
    assert {body["stream"] for body in messages} == {True}
    assert len({body["session_id"] for body in messages}) == len(messages)
    assert not any("chat_id" in body for body in messages)


def test_who_answered_is_told_by_the_headers_that_come_with_the_stream(open_webui: Scripted) -> None:
    for request in record.parse(ask(open_webui.url)).requests:
        assert (request.finish, request.asked, request.model_group, request.fallbacks) == ("done", "vllm-qwen", "ollama-qwen", "1")
        assert request.said == "From ollama ********"
        assert request.t_first is not None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"password": "wrong"}, f"does not let {EMAIL} in: there is nobody of that address, or the password is another one"),
        ({"sign_in": 429}, f"lets {EMAIL} in no more for now: it allows 15 sign-ins in three minutes"),
        ({"sign_in": 500}, f"answered 500 when {EMAIL} signed in"),
    ],
)
def test_whoever_is_not_let_in_is_one_clear_error_and_asks_nothing(open_webui: Scripted, change: dict[str, Any], text: str) -> None:
    open_webui.sign_in = change.get("sign_in", 200)
    (line,) = map(json.loads, ask(open_webui.url, password=change.get("password", PASSWORD)))
    assert line["kind"] == "error"
    assert line["text"].startswith(f"{open_webui.url} {text}")
    assert open_webui.bodies("/api/chat/completions") == []


def test_nobody_there_is_one_clear_error() -> None:
    (line,) = map(json.loads, ask("http://127.0.0.1:1"))
    assert line["text"] == "http://127.0.0.1:1 cannot be reached: ConnectionRefusedError: [Errno 111] Connection refused"


def test_what_can_be_chosen_is_asked_for_anew_and_the_password_goes_nowhere_else(open_webui: Scripted) -> None:
    counter = {"tier": "vllm-qwen", "url": f"{open_webui.url}/count", "metric": "", "path": ["requests"]}
    found = look(open_webui.url, counters=[counter])
    assert (found["look"]["served"], found["look"]["version"], found["look"]["error"]) == (sorted(SERVED), "0.12.4", "")
    assert found["count"]["value"] == 7
    bearers = {path: bearer for path, bearer, _body in open_webui.seen}
    assert bearers["/count"] == ""
    # Without it the list goes on naming models of a LiteLLM that is gone.
    assert "/api/models?refresh=true" in bearers


def test_a_page_without_models_says_so(open_webui: Scripted) -> None:
    open_webui.models = []
    assert look(open_webui.url)["look"]["error"] == "shows no model: does it reach LiteLLM?"


def test_an_address_that_is_not_open_webuis_is_told_as_such(open_webui: Scripted) -> None:
    open_webui.page = True
    assert look(open_webui.url)["look"]["error"] == f"answered 405 when {EMAIL} signed in"


@pytest.mark.parametrize("program", [load.program, vantage.watcher_program])
def test_modules_that_become_one_program_have_no_name_twice(program: Any) -> None:
    names = Counter[str]()
    for each in ast.parse(program()).body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[each.name] += 1
        elif isinstance(each, ast.Assign):
            names.update(target.id for part in each.targets for target in ast.walk(part) if isinstance(target, ast.Name))
    assert {name for name, times in names.items() if times > 1} <= {"Json"}
