# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds connecting to a backend, whatever its provider.

LiteLLM lets connecting take as long as the whole answer may, two minutes for a model on a CPU. Nor is a Service without pods refused at
once: it answers a connection with an ICMP message, of which Linux sends one host six and then one a second (net.ipv4.icmp_ratelimit). All
other connections wait. And no setting of LiteLLM reaches the transport: for most providers it makes one number of an httpx.Timeout.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx

from first_token.asleep import connected
from first_token.deployment import connecting

#: `handle_async_request` of a class of transports.
Send = Callable[[httpx.AsyncBaseTransport, httpx.Request], Awaitable[httpx.Response]]


class Connecting:
    """Stands before `handle_async_request` of a class of transports."""

    def __init__(self, transport: type[httpx.AsyncBaseTransport]) -> None:
        """Bound all requests of this class from now on."""
        self._transport = transport
        self._send: Send = transport.handle_async_request
        self._before = self._send
        # A function and no method, because it becomes one of the class.
        send = self.send

        async def handle_async_request(self: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
            return await send(self, request)

        transport.handle_async_request = handle_async_request  # type: ignore[method-assign]

    def remove(self) -> None:
        """Leave the class as it was."""
        self._transport.handle_async_request = self._before  # type: ignore[method-assign]

    async def send(self, transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
        """Send a request, with the bound of the deployment that is called."""
        seconds = connecting.get()
        if seconds is None:
            return await self._send(transport, request)
        told = request.extensions.get("timeout") or {}
        connect = told.get("connect")
        seconds = seconds if connect is None else min(seconds, connect)
        request.extensions["timeout"] = {**told, "connect": seconds}
        # A body that is no bytes can be read only once.
        again = isinstance(request.stream, httpx.ByteStream)
        return await connected(lambda: self._send(transport, request), seconds if again else None)

    @contextmanager
    def talking_to(self, send: Send) -> Iterator[None]:
        """Send through this for a while, and not into the network."""
        before, self._send = self._send, send
        try:
            yield
        finally:
            self._send = before
