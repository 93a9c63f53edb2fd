# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""JSON requests to an API server through the `ApiClient` of the Python package `kubernetes`.

Only its transport is used: its classes for every kind drop fields they do not know and take a second more to import.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

try:
    import kubernetes
    import urllib3
except ImportError:  # There is no Connection without them.
    kubernetes = urllib3 = None  # type: ignore[assignment]

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError, unconfigured

#: Longest wait for a connection and between two pieces of an answer. kubectl waits for ever, which hides a dead cluster.
TIMEOUT_SECONDS = 30

#: An overloaded API server answers 429 with Retry-After before it looks at the request: repeating is safe for every verb.
OVERLOAD_TRIES = 5
_LONGEST_RETRY_AFTER = 10

#: `299 - "text"`, as the API server writes its Warning header.
_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')

#: The API server quotes a whole object it cannot decode, for a Secret with every value in it, also those the request did not name.
_QUOTED_OBJECT = re.compile(r'Invalid value: "\{(?:[^"\\]|\\.)*"')


class Transport:
    """Sends a request, returns the parsed answer or raises ApiError. Connects at the first request."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server: str = connection.configuration.host
        self._api = _api_client(connection.configuration)
        self.warnings: dict[str, None] = {}

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = "") -> dict[str, Any]:
        answer, text = self._send(method, path, body, content_type)
        for header in answer.headers.getlist("Warning"):
            self.warnings.update((re.sub(r"\\(.)", r"\1", text), None) for text in _WARNING.findall(header))
        return self._parse(answer.status, text)

    def text(self, path: str) -> str:
        """GET something that is no object, such as a log."""
        answer, content = self._send("GET", path, None, "")
        if answer.status >= 400:
            self._parse(answer.status, content)
        return content.decode(errors="replace")

    def pieces(self, path: str) -> Iterator[bytes]:
        """GET something that grows, such as a log that is followed, as it comes; ends when the server ends it."""
        url, timeouts = self._server + path, (TIMEOUT_SECONDS, TIMEOUT_SECONDS)
        try:
            answer = self._api.call_api("GET", url, self.headers(), None, _request_timeout=timeouts).response
            if answer.status >= 400:
                self._parse(answer.status, answer.data)
            yield from answer.stream(1 << 16)
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(0, "Unreachable", f"The Kubernetes API at {self._server} cannot be reached: {_why(error)}") from None

    def close(self) -> None:
        self._api.close()

    def headers(self) -> Any:
        """The headers that log in. A login that expired is renewed by the library."""
        headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": "homelab.llm"})
        try:
            login = self._connection.configuration.auth_settings().get("BearerToken")
        except Exception as error:
            # The library asks a plugin, an identity provider or a file, and hands on whatever they raise.
            raise unconfigured(f"The login at {self._server} could not be renewed: {type(error).__name__}") from None
        if login and login["value"]:
            # The library leaves the line end of a token file in.
            headers["Authorization"] = login["value"].strip()
        for name, value in self._connection.headers:
            headers.add(name, value)
        return headers

    def refuse(self, status: int, text: bytes) -> ApiError:
        """The error that an answer is."""
        try:
            self._parse(status, text)
        except ApiError as error:
            return error
        return ApiError(status, "Unreachable", f"{self._server} answered {status} with something unexpected")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, content_type: str) -> tuple[Any, bytes]:
        if {".", ".."} & set(path.partition("?")[0].split("/")):
            # The library resolves them: the request would be about another object, or about all of them.
            raise ApiError(0, "Invalid", "An object of Kubernetes cannot have the name '.' or '..'")
        headers = self.headers()
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            answer = self._api.call_api(method, self._server + path, headers, body, _request_timeout=(TIMEOUT_SECONDS, TIMEOUT_SECONDS))
            return answer, answer.read()
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(0, "Unreachable", f"The Kubernetes API at {self._server} cannot be reached: {_why(error)}") from None
        except ValueError:
            # http.client quotes the header, which is the token.
            raise unconfigured(f"The token for {self._server} has a character in it that no token can have") from None

    def _parse(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            # Something else listens there, or a proxy answered for the server. Its text is not ours to print.
            raise ApiError(status, "Unreachable", f"{self._server} answered {status} with no Kubernetes object")
        if status >= 400:
            message = _QUOTED_OBJECT.sub("Invalid value", document.get("message") or f"{self._server} answered {status}")
            if status == 401:
                message = f"The Kubernetes API at {self._server} does not know these credentials: {message}"
            missing = (document.get("details") or {}).get("kind", "") if status == 404 else ""
            raise ApiError(status, document.get("reason") or "Unknown", message, missing)
        return document


def _api_client(configuration: Any) -> Any:
    configuration.retries = urllib3.Retry(
        total=OVERLOAD_TRIES - 1,
        connect=0,
        read=0,
        other=0,
        redirect=False,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=_LONGEST_RETRY_AFTER,
    )
    # Whoever set validate_certs to false knows, and would be told with every request.
    urllib3.disable_warnings()
    try:
        via = urlsplit(configuration.proxy or "")
        if via.scheme.startswith("http") and via.username:
            login = f"{unquote(via.username)}:{unquote(via.password or '')}"
            configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=login)
        return kubernetes.client.ApiClient(configuration)
    except (ImportError, ValueError, urllib3.exceptions.HTTPError):
        # Not the error's own text: it quotes the address, with the password in it.
        raise unconfigured(
            "The proxy to the Kubernetes API must be http://HOST:PORT, or socks5://HOST:PORT with the Python package PySocks"
        ) from None


def _why(error: BaseException) -> str:
    """What a chain of exceptions began with, without the addresses and headers that its outer ones quote."""
    while inner := _inner(error):
        error = inner
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): give the CA with ca_cert"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails ({error.reason or 'unknown reason'}), check ca_cert, client_cert, client_key or their like in the kubeconfig"
    if isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return f"no answer in {TIMEOUT_SECONDS} s"
    return getattr(error, "strerror", None) or type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    found = (getattr(error, "reason", None), getattr(error, "original_error", None), *error.args, error.__cause__)
    return next((each for each in found if isinstance(each, BaseException)), None)
