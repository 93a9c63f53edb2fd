# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Runs a command in a container, over the WebSocket of the Python package `kubernetes`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

try:
    import websocket
    from kubernetes.stream import ws_client
except ImportError:  # There is no Connection without them.
    websocket = ws_client = None  # type: ignore[assignment]

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError, unconfigured
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

#: More than this of output is no answer but a mistake.
_MOST = 16 << 20

#: What is kept of the complaints of a command whose output is taken as it comes.
_MOST_COMPLAINTS = 64 << 10


@dataclass(frozen=True)
class Finished:
    """What a command wrote and how it ended."""

    stdout: str
    stderr: str
    code: int


def run(connection: Connection, namespace: str, pod: str, container: str | None, argv: Sequence[str], timeout: float) -> Finished:
    """Run `argv` and wait for its end, at most `timeout` seconds between two pieces of output. Raises ApiError when it could not be run."""
    where = f"{namespace}/{pod}"
    transport, client = _start(connection, namespace, pod, container, argv)
    try:
        _wait(client, timeout, where)
        stdout, stderr, status = (
            client.read_channel(each).decode(errors="replace")
            for each in (ws_client.STDOUT_CHANNEL, ws_client.STDERR_CHANNEL, ws_client.ERROR_CHANNEL)
        )
    except (websocket.WebSocketException, OSError) as error:
        raise _broken(where, error) from None
    finally:
        client.close(timeout=1)
        transport.close()
    return Finished(stdout, stderr, _exit_code(status, where))


class Output:
    """A running command whose output is taken as it comes, so that it may be of any length. Every method raises ApiError.

    `stderr` (its beginning) and `code` are known when all `pieces` have been taken.
    """

    def __init__(
        self, connection: Connection, namespace: str, pod: str, container: str | None, argv: Sequence[str], timeout: float
    ) -> None:
        self._where = f"{namespace}/{pod}"
        self._timeout = timeout
        self._transport, self._client = _start(connection, namespace, pod, container, argv)
        self._client.sock.settimeout(timeout)
        self._complaints = self._status = b""

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close(timeout=1)
        self._transport.close()

    @property
    def stderr(self) -> str:
        return self._complaints.decode(errors="replace")

    @property
    def code(self) -> int:
        return _exit_code(self._status.decode(errors="replace"), self._where)

    def pieces(self) -> Iterator[bytes]:
        """Yield the standard output; a second time, what the first did not take."""
        # Not the library's update(): it goes on reading into the memory as long as the server has more.
        while self._client.sock.connected:
            try:
                kind, frame = self._client.sock.recv_data_frame(True)
            except websocket.WebSocketTimeoutException:
                raise ApiError(0, "Timeout", f"The command in pod {self._where} was silent for {self._timeout:.0f} s") from None
            except websocket.WebSocketConnectionClosedException:
                return
            except (websocket.WebSocketException, OSError) as error:
                raise _broken(self._where, error) from None
            if kind == websocket.ABNF.OPCODE_CLOSE:
                return
            if kind not in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) or not frame.data:
                continue
            channel, data = frame.data[0], bytes(frame.data[1:])
            if channel == ws_client.STDOUT_CHANNEL and data:
                yield data
            elif channel == ws_client.STDERR_CHANNEL:
                self._complaints = (self._complaints + data)[:_MOST_COMPLAINTS]
            elif channel == ws_client.ERROR_CHANNEL:
                self._status += data


def _start(connection: Connection, namespace: str, pod: str, container: str | None, argv: Sequence[str]) -> tuple[Transport, Any]:
    if connection.headers:
        # Without this the command would be run with the rights of who logged in.
        raise unconfigured("The Python package kubernetes cannot act as somebody else to run a command: log in as them")
    transport = Transport(connection)
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"
    # As kubectl does: what is wrong with the way there, the login or the pod is told better by an answer than by a failed upgrade.
    transport.request("GET", path)
    query = [("stdout", "true"), ("stderr", "true"), *([("container", container)] if container else []), *(("command", it) for it in argv)]
    url = ws_client.get_websocket_url(f"{connection.configuration.host}{path}/exec?{urlencode(query)}")
    try:
        return transport, ws_client.WSClient(connection.configuration, url, transport.headers(), capture_all=False, binary=True)
    except websocket.WebSocketBadStatusException as error:
        raise transport.refuse(error.status_code, error.resp_body or b"") from None
    except (websocket.WebSocketException, OSError) as error:
        raise _broken(f"{namespace}/{pod}", error) from None


def _wait(client: Any, timeout: float, where: str) -> None:
    """Collect output until the server closes."""
    client.sock.settimeout(timeout)
    size, since = 0, time.monotonic()
    while client.is_open():
        client.update(timeout=max(0.0, since + timeout - time.monotonic()))
        grown = len(client.peek_stdout()) + len(client.peek_stderr())
        if grown > _MOST:
            raise ApiError(0, "TooMuch", f"The command in pod {where} wrote more than {_MOST >> 20} MiB")
        if grown > size:
            size, since = grown, time.monotonic()
        elif client.is_open() and time.monotonic() - since >= timeout:
            raise ApiError(0, "Timeout", f"The command in pod {where} was silent for {timeout:.0f} s")


def _broken(where: str, error: Exception) -> ApiError:
    why = getattr(error, "strerror", None) or type(error).__name__
    return ApiError(0, "Unreachable", f"The connection to the command in pod {where} broke: {why}")


def _exit_code(status: str, where: str) -> int:
    """The exit code in the Status object that ends every run."""
    if not status:
        raise ApiError(0, "Unreachable", f"The connection to the command in pod {where} ended before the command did")
    document = json.loads(status)
    if document.get("status") == "Success":
        return 0
    for cause in (document.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ApiError(document.get("code") or 0, document.get("reason") or "Unknown", f"Pod {where}: {document.get('message')}")
