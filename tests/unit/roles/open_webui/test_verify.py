# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role says about an Open-WebUI: on one that is scripted, for it has to be wrong on purpose."""

from __future__ import annotations

import importlib.util
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[4] / "roles" / "open_webui" / "files" / "verify.py"
LITELLM = "http://litellm:4000/v1"
MODELS = ["cloud-kimi", "ollama-qwen", "vllm-qwen"]


@pytest.fixture(scope="module")
def verify() -> Any:
    spec = importlib.util.spec_from_file_location("verify_open_webui", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class OpenWebUI:
    """What a scripted Open-WebUI has, and what was asked of it. Change the fields to make it wrong."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.password = secrets.token_hex(12)
        self.about: dict[str, Any] = {"version": "0.12.4"}
        self.connections: dict[str, Any] = {"ENABLE_OPENAI_API": True, "OPENAI_API_BASE_URLS": [LITELLM], "OPENAI_API_CONFIGS": {}}
        self.live: tuple[int, Any] = (200, {"data": [{"id": each} for each in MODELS]})
        self.shown = {"admin": MODELS, "user": MODELS}
        self.sign_up = 403
        self.refusals = 0
        self.fallbacks: dict[str, str] = {}
        self.errors: dict[str, tuple[int, str]] = {}
        self.cut: set[str] = set()
        self.refuses_browsers = False
        self.users: dict[str, dict[str, Any]] = {}
        self.chats: list[dict[str, Any]] = []
        self.made = 0

    def answer(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        path, _mark, query = path.partition("?")
        if (method, path) == ("GET", "/api/config"):
            return 200, self.about
        if path == "/api/v1/auths/signup":
            return self.sign_up, {"detail": "no"}
        if path == "/api/v1/auths/signin":
            return self.sign_in(body)
        if path == "/api/models":
            assert query == "refresh=true", "the list may be stale"
            return 200, {"data": [{"id": each} for each in self.shown[token]]}
        assert token == "admin", path
        if method == "DELETE":
            return 200, bool(self.users.pop(path.rpartition("/")[2], None))
        return {
            "/openai/config": lambda: (200, self.connections),
            "/openai/models/0": lambda: self.live,
            "/api/v1/users/": lambda: (200, {"users": list(self.users.values())}),
            "/api/v1/auths/add": lambda: self.add(body),
        }[path]()

    def sign_in(self, body: Any) -> tuple[int, Any]:
        if self.refusals:
            self.refusals -= 1
            return 429, {"detail": "API rate limit exceeded"}
        if body["password"] != self.password:
            return 400, {"detail": "incorrect"}
        return 200, {"token": "admin", "role": "admin"}

    def add(self, body: Any) -> tuple[int, Any]:
        self.made += 1
        assert body["role"] == "user"
        user = {"id": f"u{self.made}", "email": body["email"], "created_at": time.time()}
        self.users[user["id"]] = user
        return 200, {**user, "token": "user"}

    def chat(self, body: Any) -> tuple[int, list[Any] | None, dict[str, str], Any]:
        self.chats.append(body)
        model = body["model"]
        if model in self.errors:
            return self.errors[model][0], None, {}, {"error": {"message": self.errors[model][1]}}
        if self.refuses_browsers and "session_id" in body:
            return 400, None, {}, {"error": {"message": '"auto" tool choice requires --enable-auto-tool-choice'}}
        by = self.fallbacks.get(model, model)
        headers = {"x-litellm-model-group": by, "x-litellm-attempted-fallbacks": "1" if by != model else "0"}
        pieces: list[Any] = [{"choices": [{"delta": {"content": piece}}]} for piece in ("O", "K")]
        return 200, [*pieces, {"error": {"message": "upstream died"}}] if model in self.cut else pieces, headers, None


@pytest.fixture
def webui() -> Iterator[OpenWebUI]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            if self.path != "/api/chat/completions":
                return self.say(*it.answer(self.command, self.path, body, token), {})
            assert token in ("admin", "user")
            status, events, headers, error = it.chat(body)
            if events is None:
                return self.say(status, error, {})
            lines = [f"data: {json.dumps(each)}\n\n" for each in events] + ["data: [DONE]\n\n"]
            return self.say(200, "".join(lines), {**headers, "Content-Type": "text/event-stream"})

        do_POST = do_DELETE = do_GET  # noqa: N815  # http.server's names

        def say(self, status: int, content: Any, headers: dict[str, str]) -> None:
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        it = OpenWebUI(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield it
        server.shutdown()


@pytest.fixture
def run(verify: Any, webui: OpenWebUI, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the program's main() and returns its problems and lines."""

    def verified(**more: Any) -> tuple[list[str], list[str]]:
        monkeypatch.setenv("PASSWORD", webui.password)
        ask = {"url": webui.url, "email": "admin@example.org", "password_env": "PASSWORD", "litellm_url": LITELLM, "declared": MODELS}
        rest = {"models": ["vllm-qwen", "ollama-qwen"], "users": True, "strict": False, "timeout": 10, "sign_in_patience": 0}
        told = verify.main({**ask, **rest, **more})
        assert webui.password not in json.dumps(told)
        return told["problems"], told["lines"]

    return verified


def test_nothing_is_wrong_when_all_is_shown_and_everybody_is_answered(run: Any) -> None:
    problems, lines = run()
    assert problems == []
    assert lines[:2] == ["Open-WebUI 0.12.4", "3 models in the selector, as LiteLLM lists them"]
    assert [line.partition(" in 0.")[0] for line in lines[2:]] == [
        "vllm-qwen answered",
        "ollama-qwen answered",
        "vllm-qwen answered in a conversation as in a browser",
        "ollama-qwen answered in a conversation as in a browser",
        "vllm-qwen answered to an ordinary user",
    ]


def test_it_leaves_no_user_behind(run: Any, webui: OpenWebUI) -> None:
    webui.errors["vllm-qwen"] = (500, "x")
    run()
    assert (webui.made, webui.users) == (1, {})


def test_a_user_that_a_killed_run_left_is_removed_and_nobody_else(run: Any, webui: OpenWebUI) -> None:
    old = time.time() - 3600
    left, theirs = "verify-x@homelab-llm.invalid", "someone@example.org"
    webui.users = {"l": {"id": "l", "email": left, "created_at": old}, "t": {"id": "t", "email": theirs, "created_at": old}}
    run()
    assert list(webui.users) == ["t"]


def test_the_second_model_of_a_conversation_is_told_what_the_first_said(run: Any, webui: OpenWebUI) -> None:
    run()
    first, second = [each for each in webui.chats if "session_id" in each]
    assert (first["model"], second["model"]) == ("vllm-qwen", "ollama-qwen")
    assert second["messages"][1] == {"role": "assistant", "content": "OK"}
    assert all(each["stream"] for each in webui.chats)


def test_what_only_a_browser_is_refused_is_found(run: Any, webui: OpenWebUI) -> None:
    webui.refuses_browsers = True
    (problem,) = run()[0]
    assert problem.startswith("vllm-qwen gives no answer in a conversation as in a browser: 400")
    assert "--enable-auto-tool-choice" in problem


def test_an_ordinary_user_who_is_shown_less_is_a_problem(run: Any, webui: OpenWebUI) -> None:
    webui.shown["user"] = ["vllm-qwen"]
    assert run()[0] == ["Missing in what an ordinary user is shown: cloud-kimi, ollama-qwen"]
    assert run(users=False)[0] == []


def test_a_selector_that_is_not_what_litellm_lists_is_a_problem(run: Any, webui: OpenWebUI) -> None:
    webui.shown["admin"] = [*MODELS[:2], "gone"]
    assert run(users=False)[0] == [
        "Missing in what an administrator is shown: vllm-qwen",
        "Too much in what an administrator is shown: gone",
    ]


def test_a_model_that_the_config_declares_and_litellm_does_not_list_is_a_problem(run: Any) -> None:
    problems, _lines = run(declared=[*MODELS, "new"], models=["new", "vllm-qwen"])
    assert problems == [
        "Missing in what LiteLLM lists to Open-WebUI: new",
        "new cannot be asked: LiteLLM does not list it to Open-WebUI",
    ]


def test_a_prefix_of_the_connection_is_part_of_the_names(run: Any, webui: OpenWebUI) -> None:
    webui.connections["OPENAI_API_CONFIGS"] = {"0": {"prefix_id": "x"}}
    names = [f"x.{each}" for each in MODELS]
    webui.shown = {"admin": names, "user": names}
    assert run(declared=names, models=["x.vllm-qwen"])[0] == []


def test_a_fallback_is_told_and_is_a_problem_where_it_must_not_be(run: Any, webui: OpenWebUI) -> None:
    webui.fallbacks["vllm-qwen"] = "ollama-qwen"
    problems, lines = run()
    assert problems == []
    assert sum(line.endswith("by its fallback ollama-qwen") for line in lines) == 3
    assert "The answer of vllm-qwen was its fallback's, ollama-qwen" in run(strict=True)[0]


@pytest.mark.parametrize(("broken", "why"), [("errors", "503 all are down"), ("cut", "after 2 characters: upstream died")])
def test_a_model_that_does_not_answer_is_told_with_what_was_said(run: Any, webui: OpenWebUI, broken: str, why: str) -> None:
    webui.errors |= {"ollama-qwen": (503, "all are down")} if broken == "errors" else {}
    webui.cut |= {"ollama-qwen"} if broken == "cut" else set()
    assert f"ollama-qwen gives no answer: {why}" in run()[0]


def test_with_litellm_down_there_is_one_verdict_and_nobody_is_asked(run: Any, webui: OpenWebUI) -> None:
    webui.live = (500, {"detail": "Open WebUI: Server Connection Error"})
    (problem,) = run()[0]
    assert problem.startswith(f"Open-WebUI gets no models from LiteLLM at {LITELLM} (Open WebUI: Server Connection Error)")
    assert webui.chats == []


@pytest.mark.parametrize("changed", [{"ENABLE_OPENAI_API": None}, {"OPENAI_API_BASE_URLS": ["https://api.openai.com/v1"]}])
def test_without_the_connection_there_is_one_verdict(run: Any, webui: OpenWebUI, changed: dict[str, Any]) -> None:
    webui.connections |= changed
    (problem,) = run()[0]
    assert f"has no connection to {LITELLM} that is on" in problem


def test_open_sign_up_is_a_problem(run: Any, webui: OpenWebUI) -> None:
    webui.sign_up = 400
    assert run()[0] == ["Anybody can sign up: set admin.ENABLE_SIGNUP to false"]


def test_a_wrong_password_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = run(email="b@example.org", password_env="NOT_SET")[0]
    assert "password is not in the environment" in problem
    monkeypatch.setenv("OTHER", secrets.token_hex(12))
    (problem,) = run(password_env="OTHER")[0]
    assert problem.startswith("admin@example.org cannot sign in to Open-WebUI as its administrator (400)")


def test_too_many_sign_ins_are_waited_for_once(run: Any, webui: OpenWebUI) -> None:
    webui.refusals = 1
    assert run(sign_in_patience=0.01)[0] == []
    webui.refusals = 2
    (problem,) = run(sign_in_patience=0.01)[0]
    assert "too many attempts (429)" in problem


def test_one_without_a_user_is_a_problem(run: Any, webui: OpenWebUI) -> None:
    webui.about["onboarding"] = True
    assert run()[0] == ["Open-WebUI has no user: whoever signs up first is its administrator"]


def test_an_open_webui_that_is_not_there_is_told(run: Any) -> None:
    (problem,) = run(url="http://127.0.0.1:9")[0]
    assert problem == "Open-WebUI does not answer at http://127.0.0.1:9: GET /api/config came to 0"
