# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Talks line by line with a program in a container, over the WebSocket of the Python package `kubernetes`."""

from __future__ import annotations

import time
from collections import deque
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
    """A running program that is told lines and says lines. Every method raises ApiError. For one thread at a time."""

    def __init__(self, connection: Connection, namespace: str, pod: str, container: str, argv: Sequence[str]) -> None:
        if connection.headers:
            raise unconfigured("The Python package kubernetes cannot act as somebody else to run a command: log in as them")
        self._where = f"{namespace}/{pod}"
        self._rest, self._lines = b"", deque[str]()
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
        self.close()

    def close(self) -> None:
        self._client.close(timeout=1)

    @property
    def is_open(self) -> bool:
        """Whether the program runs, as far as is known here."""
        return bool(self._client.is_open())

    def tell(self, line: str) -> None:
        """Say a line to the program."""
        try:
            self._client.write_stdin(line.encode() + b"\n")
        except (websocket.WebSocketException, OSError) as error:
            raise self._broken(error) from None

    def heard(self, timeout: float = 0.0) -> list[str]:
        """Return the whole lines that the program said since the last time; wait for the first so long at most."""
        self._listen(timeout)
        found = list(self._lines)
        self._lines.clear()
        return found

    def complaints(self) -> str:
        """Return what the program wrote on its standard error since the last time."""
        return str(self._client.read_channel(ws_client.STDERR_CHANNEL).decode(errors="replace"))

    def ask(self, line: str, timeout: float) -> str:
        """Say a line and return the next one that the program says, "" when it says nothing in time."""
        self.tell(line)
        until = time.monotonic() + timeout
        while not self._lines and self.is_open and time.monotonic() < until:
            self._listen(until - time.monotonic())
        return self._lines.popleft() if self._lines else ""

    def _listen(self, timeout: float) -> None:
        try:
            self._client.update(timeout=max(0.0, timeout))
            self._rest += self._client.read_channel(ws_client.STDOUT_CHANNEL)
        except (websocket.WebSocketException, OSError) as error:
            raise self._broken(error) from None
        *whole, self._rest = self._rest.split(b"\n")
        self._lines += (each.decode(errors="replace").strip() for each in whole)

    def _broken(self, error: Exception) -> ApiError:
        why = getattr(error, "strerror", None) or type(error).__name__
        return ApiError(0, "Unreachable", f"The connection to the program in pod {self._where} broke: {why}")
