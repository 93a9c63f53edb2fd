# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a provider has what entries ask it for, and takes their key."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._litellm import tags
from ansible_collections.homelab.llm.plugins.module_utils._litellm.tags import Answer, Place, ask, judge, places
from ansible_collections.homelab.llm.plugins.module_utils._litellm.verify_tags import new_entries

KEY = "Tr0ub4dor-and-three"
BASE = "https://ollama.com"


def entry(name="cloud-kimi", model="ollama_chat/kimi-k2.5", api_base=BASE, api_key="os.environ/OLLAMA_API_KEY"):
    return {"model_name": name, "litellm_params": {"model": model, "api_base": api_base, "api_key": api_key}}


def place(*wanted):
    return Place(BASE, "OLLAMA_API_KEY", tuple((f"m{index}", tag) for index, tag in enumerate(wanted)))


class TestWhoIsAsked:
    def test_entries_with_one_provider_and_one_key_are_one_question(self):
        found = places([entry(), entry("cloud-glm", "ollama/glm", BASE + "/"), entry("x", api_key="os.environ/OTHER")])
        assert [(each.api_base, each.key_name, each.models) for each in found] == [
            (BASE, "OLLAMA_API_KEY", "cloud-kimi, cloud-glm"),
            (BASE, "OTHER", "x"),
        ]
        assert found[0].wanted == (("cloud-kimi", "kimi-k2.5"), ("cloud-glm", "glm"))

    @pytest.mark.parametrize(
        "other",
        [entry(model="openai/gpt-4o-mini"), entry(api_key="none"), entry(api_key=None), entry(api_base=None), {"model_name": "odd"}],
    )
    def test_others_are_not_asked(self, other):
        assert places([other]) == []

    def test_only_what_is_new_or_changed_is_asked(self):
        def text(*entries):
            return json.dumps({"model_list": list(entries)})

        slow = {**entry("b"), "model_info": {"mode": "chat"}}
        assert new_entries(text(entry(), entry("b")), text(entry(), slow, entry("c"))) == [slow, entry("c")]
        assert new_entries("", text(entry())) == [entry()]
        assert new_entries(text(entry(), slow), text(entry())) == []


class TestJudgement:
    @pytest.mark.parametrize(
        ("wanted", "there"), [("kimi-k2.5", "kimi-k2.5"), ("qwen", "qwen:latest"), ("qwen:latest", "qwen"), ("a/b", "a/b")]
    )
    def test_a_name_without_a_tag_means_latest(self, wanted, there):
        assert judge(place(wanted), Answer((there,)), "Secret ml/s") == []

    def test_a_missing_tag_is_told_with_the_nearest(self):
        (problem,) = judge(place("qwen3-coder:480b-cloud"), Answer(("kimi-k2.5", "qwen3-coder:480b")), "Secret ml/s")
        assert problem == (
            "model 'm0' asks https://ollama.com for qwen3-coder:480b-cloud, which it does not have. The nearest it has: qwen3-coder:480b"
        )

    def test_the_implied_tag_is_told(self):
        (problem,) = judge(place("qwen3-coder"), Answer(("qwen3-coder:480b",)), "Secret ml/s")
        assert "for qwen3-coder (which means qwen3-coder:latest), which it does not have. The nearest it has: qwen3-coder:480b" in problem

    def test_without_anything_near_some_of_all_are_told(self):
        (problem,) = judge(place("zzz"), Answer(tuple(f"model-{number:02}" for number in range(12))), "Secret ml/s")
        assert problem.endswith("model-09 and 2 more")

    def test_a_refused_key_is_named_with_its_place(self):
        (problem,) = judge(place("kimi-k2.5"), Answer(("kimi-k2.5",), refused=401), "Secret ml/litellm-secrets")
        assert problem == (
            "https://ollama.com refuses the key OLLAMA_API_KEY (401) that m0 would ask with: "
            "put the right one into Secret ml/litellm-secrets"
        )

    def test_whoever_cannot_be_asked_is_told_with_the_way_out(self):
        (problem,) = judge(place("kimi-k2.5"), Answer(error="it did not answer in 10 s"), "Secret ml/s")
        assert "could not be asked whether it has the models of m0: it did not answer in 10 s." in problem
        assert "litellm_verify_tags: false" in problem


Reply = Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]


@pytest.fixture
def provider() -> Iterator[Callable[[Reply], str]]:
    """Serves what a function says, on the loopback device; returns the address."""
    servers = []

    def serve(reply: Reply) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = reply(self)
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def like_the_cloud(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
    """As ollama.com: the list is for anybody, an answer is not."""
    if request.path == "/api/tags":
        return 200, json.dumps({"models": [{"name": "kimi-k2.5", "model": "kimi-k2.5"}]}).encode()
    return (400 if request.headers["Authorization"] == f"Bearer {KEY}" else 401), b"{}"


class TestAsking:
    def test_a_provider_that_has_the_model_and_takes_the_key(self, provider):
        assert ask(provider(like_the_cloud), KEY, timeout=5) == Answer(("kimi-k2.5",))

    def test_a_wrong_key_shows_although_the_list_is_public(self, provider):
        assert ask(provider(like_the_cloud), "another", timeout=5) == Answer(("kimi-k2.5",), refused=401)

    def test_a_list_that_wants_a_key_refuses_a_wrong_one(self, provider):
        assert ask(provider(lambda _request: (403, b"{}")), KEY, timeout=5) == Answer(refused=403)

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (500, b"", "it answered GET /api/tags with 500"),
            (302, b"", "it answered GET /api/tags with 302"),
            (200, b"<html>", "with 200 and no list of models"),
            (200, b'{"models": 5}', "with 200 and no list of models"),
            (200, b"[]", "with 200 and no list of models"),
        ],
    )
    def test_what_is_no_list_is_an_error(self, provider, status, body, said):
        answer = ask(provider(lambda _request: (status, body)), KEY, timeout=5)
        assert answer.tags is None
        assert said in answer.error

    def test_a_provider_without_models_has_none(self, provider):
        assert ask(provider(lambda _request: (200, b'{"models": null}')), KEY, timeout=5).tags == ()

    def test_nobody_there_is_an_error(self):
        assert ask("http://127.0.0.1:1", KEY, timeout=5).error == "Connection refused"

    @pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r\nX: y", f"{KEY}€"])
    def test_a_key_that_cannot_be_one_is_not_quoted(self, key):
        assert ask("http://127.0.0.1:1", key, timeout=5).error.startswith("the key has a character in it")

    def test_a_broken_authority_is_told(self):
        assert "no certificate in PEM form" in ask("https://127.0.0.1:1", KEY, timeout=5, ca="-----BEGIN CERTIFICATE-----").error

    def test_the_same_source_is_the_program_of_the_pod(self, provider):
        question = json.dumps([{"api_base": provider(like_the_cloud), "key_name": "OLLAMA_API_KEY"}])
        command = [sys.executable, "-I", "-c", inspect.getsource(tags), question]
        done = subprocess.run(command, env={**os.environ, "OLLAMA_API_KEY": "another"}, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == [{"tags": ["kimi-k2.5"], "error": "", "refused": 401}]
