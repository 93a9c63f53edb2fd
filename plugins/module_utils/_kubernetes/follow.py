# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Follows what a container writes, line by line, also over a connection that breaks."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from urllib.parse import quote, urlencode

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

#: Seconds between two connections.
PAUSE = 0.3


class Follower:
    """A thread that reads a log. Nodes keep some 10 MiB of one: what was missed for longer than that takes is lost."""

    def __init__(self, connection: Connection, namespace: str, pod: str, container: str) -> None:
        self._transport = Transport(connection)
        self._path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/log"
        self._container = container
        self._newest = ""
        self._over = threading.Event()
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(ApiError):  # not started yet, or the API server is away: whoever waits for lines knows how long
                self._read()
            time.sleep(PAUSE)

    def _read(self) -> None:
        # The time of each line, so that a second connection begins where the first broke.
        query = {"container": self._container, "follow": "true", "timestamps": "true"}
        if self._newest:
            query["sinceTime"] = f"{self._newest[:19]}Z"
        rest = b""
        for piece in self._transport.pieces(f"{self._path}?{urlencode(query)}"):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                stamp, _space, text = line.decode(errors="replace").partition(" ")
                # The server knows seconds only; the times of lines are of one length and differ.
                if stamp > self._newest:
                    self._newest = stamp
                    self.lines.put(text)
            if self._over.is_set():
                return
