# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests against a server that answers as scripted: what a real API server does too rarely to wait for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import OVERLOAD_TRIES


class Scripted(ThreadingHTTPServer):
    """Answers with the queued answers in turn, the last one again and again, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.asked: list[tuple[str, str, Message, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.asked.append((self.command, self.path, self.headers, self.rfile.read(length)))
        status, headers, body = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(payload))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815

    def log_message(self, *_args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as scripted:
        thread = Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


class Connect:
    """Makes clients and closes them when the test is over."""

    def __init__(self, server: Scripted) -> None:
        self._server = server
        self.made: list[Client] = []

    def __call__(self, host: str = "", **options: Any) -> Client:
        self.made.append(Client.from_params({"host": host or self._server.url, **options}))
        return self.made[-1]


@pytest.fixture
def client(server: Scripted) -> Iterator[Connect]:
    connect = Connect(server)
    yield connect
    for made in connect.made:
        made.close()


def failure(server: Scripted, client: Connect, status: int, body: Any) -> ApiError:
    server.answers = [(status, {}, body)]
    with pytest.raises(ApiError) as caught:
        client().get("secrets", "ml", "s")
    return caught.value


def test_reads_an_object(server: Scripted, client: Connect) -> None:
    server.answers = [(200, {}, {"kind": "Secret"})]
    assert client(api_key="t-1").get("secrets", "ml", "litellm-secrets") == {"kind": "Secret"}
    method, path, headers, _body = server.asked[0]
    assert (method, path) == ("GET", "/api/v1/namespaces/ml/secrets/litellm-secrets")
    assert headers["Authorization"] == "Bearer t-1"


def test_an_object_that_is_not_there_is_none(server: Scripted, client: Connect) -> None:
    server.answers = [(404, {}, {"kind": "Status", "reason": "NotFound", "message": "not found"})]
    assert client().get("secrets", "ml", "s") is None
    assert client().namespace_exists("ml") is False


def test_a_merge_patch_says_who_writes_and_is_checked_strictly(server: Scripted, client: Connect) -> None:
    server.answers = [(200, {}, {})]
    client().merge_patch("secrets", "ml", "s", {"data": {"A": None}})
    method, path, headers, body = server.asked[0]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/ml/secrets/s?fieldManager=homelab.llm&fieldValidation=Strict")
    assert (headers["Content-Type"], json.loads(body)) == ("application/merge-patch+json", {"data": {"A": None}})


def test_a_dry_run_is_the_servers(server: Scripted, client: Connect) -> None:
    server.answers = [(200, {}, {})]
    connected = client()
    connected.create("configmaps", "ml", {}, dry_run=True)
    connected.merge_patch("configmaps", "ml", "c", {}, dry_run=True)
    assert all(path.endswith("&dryRun=All") for _method, path, _headers, _body in server.asked)


def test_names_cannot_leave_their_place_in_the_path(server: Scripted, client: Connect) -> None:
    server.answers = [(200, {}, {})]
    client().get("secrets", "ml", "../../pods?x")
    assert server.asked[0][1] == "/api/v1/namespaces/ml/secrets/..%2F..%2Fpods%3Fx"


def test_an_address_may_have_a_path(server: Scripted, client: Connect) -> None:
    server.answers = [(200, {}, {})]
    client(f"{server.url}/k8s/clusters/c-1/").get("pods", "ml", "p")
    assert server.asked[0][1] == "/k8s/clusters/c-1/api/v1/namespaces/ml/pods/p"


def test_waits_for_an_overloaded_server(server: Scripted, client: Connect) -> None:
    server.answers = [(429, {"Retry-After": "0"}, {}), (200, {}, {"kind": "Secret"})]
    assert client().get("secrets", "ml", "s") == {"kind": "Secret"}


def test_does_not_wait_for_ever(server: Scripted, client: Connect) -> None:
    server.answers = [(429, {"Retry-After": "0"}, {"reason": "TooManyRequests", "message": "busy"})]
    with pytest.raises(ApiError, match="busy"):
        client().get("secrets", "ml", "s")
    assert len(server.asked) == OVERLOAD_TRIES


def test_keeps_the_servers_warnings_once_each(server: Scripted, client: Connect) -> None:
    server.answers = [(200, {"Warning": '299 - "v1 Thing is deprecated", 299 - "say \\"why\\""'}, {})]
    connected = client()
    connected.get("secrets", "ml", "s")
    connected.get("secrets", "ml", "s")
    assert connected.warnings == ["v1 Thing is deprecated", 'say "why"']


def test_what_is_missing_for_a_creation_is_told(server: Scripted, client: Connect) -> None:
    server.answers = [(404, {}, {"reason": "NotFound", "message": 'namespaces "ml" not found', "details": {"kind": "namespaces"}})]
    with pytest.raises(ApiError) as caught:
        client().create("secrets", "ml", {})
    assert caught.value.is_missing_namespace


def test_a_conflict_is_one(server: Scripted, client: Connect) -> None:
    assert failure(server, client, 409, {"reason": "Conflict", "message": "modified"}).is_conflict


def test_a_quoted_object_is_cut_from_the_message(server: Scripted, client: Connect) -> None:
    quoted = json.dumps(json.dumps({"data": {"OTHER_KEY": "WmsybVZiOFg="}}))
    error = failure(
        server, client, 422, {"reason": "Invalid", "message": f'"" is invalid: patch: Invalid value: {quoted}: unknown field "dota"'}
    )
    assert error.message == '"" is invalid: patch: Invalid value: unknown field "dota"'


def test_unknown_credentials_are_told_as_such(server: Scripted, client: Connect) -> None:
    assert "does not know these credentials" in failure(server, client, 401, {"reason": "Unauthorized", "message": "Unauthorized"}).message


@pytest.mark.parametrize("body", [b"<html>t-secret</html>", b"", b"[]", b"\xff"])
def test_something_else_that_listens_there_is_not_quoted(server: Scripted, body: bytes, client: Connect) -> None:
    assert failure(server, client, 502, body).message == f"{server.url} answered 502 with no Kubernetes object"


def test_a_server_that_is_not_there_is_named(client: Connect) -> None:
    with pytest.raises(ApiError, match=r"http://127\.0\.0\.1:9 cannot be reached: Connection refused") as caught:
        client("http://127.0.0.1:9").get("secrets", "ml", "s")
    assert caught.value.status == 0


@pytest.mark.parametrize("address", ["127.0.0.1:6443", "ftp://x", "https://", "https:"])
def test_an_address_that_is_none_is_refused(address: str, client: Connect) -> None:
    with pytest.raises(ApiError, match="it looks like https://HOST:PORT"):
        client(address).get("secrets", "ml", "s")


def test_goes_through_a_proxy_with_its_password(server: Scripted, client: Connect) -> None:
    server.answers = [(200, {}, {"kind": "Secret"})]
    proxy = server.url.replace("http://", "http://user:p%40ss@")
    reached = client("http://cluster.invalid:6443", proxy=proxy).get("secrets", "ml", "s")
    _method, path, headers, _body = server.asked[0]
    assert reached == {"kind": "Secret"}
    assert path.startswith("http://cluster.invalid:6443/api/v1/")
    assert headers["Proxy-Authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize(
    "proxy", ["socks5://user:t-secret@127.0.0.1:9", "gopher://user:t-secret@proxy", "http://user:t-secret@127.0.0.1:9"]
)
def test_a_proxy_that_does_not_work_is_told_without_its_password(proxy: str, client: Connect) -> None:
    with pytest.raises(ApiError, match=r"must be http://HOST:PORT|Connection refused") as caught:
        client("https://cluster.invalid", proxy=proxy).get("secrets", "ml", "s")
    assert "t-secret" not in caught.value.message


@pytest.mark.parametrize("option", ["ca_cert", "client_cert"])
def test_a_certificate_that_is_none_is_told(option: str, server: Scripted, tmp_path: Path, client: Connect) -> None:
    (tmp_path / "none").write_text("not a certificate")
    with pytest.raises(ApiError, match=r"TLS fails .*check ca_cert, client_cert, client_key"):
        client(server.url.replace("http", "https"), **{option: str(tmp_path / "none")}).get("secrets", "ml", "s")


def test_a_token_that_fits_in_no_header_is_not_quoted(client: Connect) -> None:
    with pytest.raises(ApiError, match="character in it that no token can have") as caught:
        client("http://127.0.0.1:9", api_key="t-sec\nret").get("secrets", "ml", "s")
    assert "t-sec" not in caught.value.message


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_is_a_way_through_folders_is_refused(name: str, server: Scripted, client: Connect) -> None:
    with pytest.raises(ApiError, match="cannot have the name"):
        client().merge_patch("secrets", "ml", name, {})
    assert not server.asked


def test_a_redirect_is_not_followed(server: Scripted, client: Connect) -> None:
    server.answers = [(302, {"Location": f"{server.url}/elsewhere"}, b"")]
    with pytest.raises(ApiError, match="answered 302 with no Kubernetes object"):
        client(api_key="t").get("secrets", "ml", "s")
    assert len(server.asked) == 1
