# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Talks line by line with a program in a container, over the WebSocket of the Python package `kubernetes`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import quote, urlencode

try:
    import websocket
    from kubernetes.stream import ws_client
except ImportError:  # There is no Connection without them.
    websocket = ws_client = None  # type: ignore[assignment]

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError, unconfigured
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport


class Conversation:
    """A running program that answers each line with a line. Every method raises ApiError."""

    def __init__(self, connection: Connection, namespace: str, pod: str, container: str, argv: Sequence[str]) -> None:
        if connection.headers:
            raise unconfigured("The Python package kubernetes cannot act as somebody else to run a command: log in as them")
        self._where = f"{namespace}/{pod}"
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/exec"
        query = [("stdin", "true"), ("stdout", "true"), ("stderr", "true"), ("container", container), *(("command", each) for each in argv)]
        url = ws_client.get_websocket_url(f"{connection.configuration.host}{path}?{urlencode(query)}")
        transport = Transport(connection)
        try:
            self._client = ws_client.WSClient(connection.configuration, url, transport.headers(), capture_all=False, binary=True)
        except websocket.WebSocketBadStatusException as error:
            raise transport.refuse(error.status_code, error.resp_body or b"") from None
        except (websocket.WebSocketException, OSError) as error:
            raise self._broken(error) from None

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close(timeout=1)

    def ask(self, line: str, timeout: float) -> str:
        """Say a line and return the next one that the program says, "" when it says nothing in time."""
        said, until = b"", time.monotonic() + timeout
        try:
            self._client.write_stdin(line.encode() + b"\n")
            while not said.endswith(b"\n") and self._client.is_open() and time.monotonic() < until:
                self._client.update(timeout=max(0.0, until - time.monotonic()))
                said += self._client.read_channel(ws_client.STDOUT_CHANNEL)
        except (websocket.WebSocketException, OSError) as error:
            raise self._broken(error) from None
        return said.decode(errors="replace").strip()

    def _broken(self, error: Exception) -> ApiError:
        why = getattr(error, "strerror", None) or type(error).__name__
        return ApiError(0, "Unreachable", f"The connection to the program in pod {self._where} broke: {why}")
