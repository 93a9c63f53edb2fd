# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program in the container: lines in, requests out, lines back."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui import relay


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked; /moved and /refused as they say."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = json.dumps({"method": self.command, "path": self.path, "key": self.headers.get("Authorization"), "body": body}).encode()
        self.send_response(401 if self.path == "/refused" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET  # noqa: N815  # http.server's name

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def told(method: str, path: str, body: str | None = None, **headers: str) -> dict[str, Any]:
    return {"method": method, "path": path, "headers": headers, "body": body}


def ask(url: str, request: dict[str, Any]) -> dict[str, Any]:
    return relay.ask(relay.opener([]), url, 5, request)


def test_a_request_is_sent_as_told_and_the_answer_comes_back(url: str) -> None:
    answer = ask(url, told("POST", "/a?b=c", "ü", Authorization="Bearer k"))
    assert (answer["status"], answer["headers"]["content-type"]) == (200, "application/json")
    assert json.loads(answer["text"]) == {"method": "POST", "path": "/a?b=c", "key": "Bearer k", "body": "ü"}


def test_an_error_is_an_answer_too(url: str) -> None:
    answer = ask(url, told("GET", "/refused"))
    assert (answer["status"], json.loads(answer["text"])["path"]) == (401, "/refused")


def test_a_redirect_is_not_followed_for_a_post_would_lose_its_body(url: str) -> None:
    answer = ask(url, told("POST", "/moved", "{}"))
    assert (answer["status"], answer["headers"]["location"]) == (302, "/elsewhere")


def test_no_answer_is_told_with_the_reason() -> None:
    assert ask("http://127.0.0.1:9", told("GET", "/")) == {"status": 0, "headers": {}, "text": "Connection refused"}


def test_as_a_program_it_answers_line_by_line_and_ends_with_its_input(url: str) -> None:
    lines = [told("GET", "/1"), told("POST", "/2", "x")]
    # A proxy for the Internet is not for a server in the same pod.
    done = subprocess.run(
        [sys.executable, "-c", inspect.getsource(relay), url, "5"],
        input="".join(json.dumps(each) + "\n" for each in lines),
        env={"http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [json.loads(each["text"])["path"] for each in answers] == ["/1", "/2"]
