# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's listening socket: open, closed (connections are refused), or silent (SYNs are not answered)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Literal

from aiohttp import web

from upstream.delivery import reset

State = Literal["open", "closed", "silent"]
#: Connections that fill the accept queue of a silent socket. One is enough on Linux; more close the gap while they are made.
FILLERS = 4
BACKLOG = 256


class Listener:
    """Listens on one port. Established connections outlive a closed or silent socket until they are ended."""

    def __init__(self, server: web.Server, address: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Serve with aiohttp's `server`; port 0 takes a free one at the first opening and keeps it."""
        self.port = port
        self.state: State = "closed"
        self._web = server
        self._address = address
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._silent: list[socket.socket] = []

    async def turn(self, state: State) -> None:
        """Bring the socket into a state."""
        if state == self.state:
            return
        self.close()
        if state == "open":
            sock = self._bound()
            self._server = await asyncio.get_running_loop().create_server(self._web, sock=sock, ssl=self._tls, backlog=BACKLOG)
        elif state == "silent":
            self._fall_silent()
        self.state = state

    def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()
            self._server = None
        for sock in self._silent:
            sock.close()
        self._silent = []
        self.state = "closed"

    def end_connections(self, with_reset: bool = False) -> None:
        """End all established connections, as the end of the server's process does."""
        for connection in self._web.connections:
            transport = connection.transport
            if transport and with_reset:
                reset(transport)
            elif transport:
                transport.abort()

    def _bound(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            # Connections of the former socket still have the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self._address, self.port))
        except OSError:
            sock.close()
            raise
        self.port = sock.getsockname()[1]
        return sock

    def _fall_silent(self) -> None:
        """Listen without ever accepting: with a full accept queue Linux drops every further SYN."""
        sock = self._bound()
        self._silent.append(sock)
        sock.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1" if self._address == "0.0.0.0" else self._address, self.port))  # noqa: S104
            self._silent.append(filler)
