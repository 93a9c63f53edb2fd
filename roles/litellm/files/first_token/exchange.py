# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request to a watched deployment: sent as a stream, answered when its first token is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from first_token.asleep import connected
from first_token.bounds import Bounds
from first_token.progress import Progress
from first_token.question import Question
from first_token.relay import Relay

#: Makes the error of a stream that fails when its client has got the first token.
Broken = Callable[[str], Exception]
#: Headers that tell of the body as the backend sent it: it is decoded here, and may be joined.
_OF_THE_BODY = ("content-encoding", "content-length", "content-type", "transfer-encoding")
_STREAM, _JSON = "text/event-stream", "application/json"


class Exchange:
    """Sends the request once, and holds the response until it is closed."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request, asked: Question, bounds: Bounds) -> None:
        """Prepare to send `request`, which asks what `asked` says."""
        self._client = client
        self._request = _bounded(request, bounds, None if asked.streams else asked.as_stream())
        self._bounds = bounds
        self._progress = Progress(role_is_token=asked.offers_tools)
        self._response: httpx.Response | None = None

    @property
    def late(self) -> str:
        """What does not come in time at this moment."""
        if self._progress.spoke:
            return f"no token for {self._bounds.gap:g} s"
        return f"no first token in {self._bounds.first_token:g} s"

    async def stream(self, broken: Broken) -> httpx.Response:
        """Return the response when its first token is there, with the rest to come."""
        response, relay = await self._begin()
        if relay is None:
            return response
        return httpx.Response(200, headers=_headers(response, _STREAM), stream=Tokens(self, relay, broken))

    async def whole(self) -> httpx.Response:
        """Return the answer of all tokens."""
        response, relay = await self._begin()
        if relay is None:
            return response
        answer = await relay.whole()
        await self.close()
        return httpx.Response(200, headers=_headers(response), json=answer)

    async def close(self) -> None:
        """Give the connection back, or end it when the backend is not done."""
        if self._response is not None:
            await self._response.aclose()

    async def _begin(self) -> tuple[httpx.Response, Relay | None]:
        """Send the request. The relay is None, and the response complete, when it is no stream."""
        async with asyncio.timeout(self._bounds.first_token):
            self._response = await connected(self._send, self._bounds.connect)
            if self._response.status_code != 200:
                return await self._complete(self._response), None
            if self._response.headers.get("content-type", "").startswith(_JSON):
                # A backend that knows no streams: its first token comes with its last.
                return await self._complete(self._response), None
            relay = Relay(self._response.aiter_bytes(), self._progress, self._bounds.gap)
            await relay.wait()
            return self._response, relay

    async def _send(self) -> httpx.Response:
        return await self._client.send(self._request, stream=True, auth=None, follow_redirects=False)

    async def _complete(self, response: httpx.Response) -> httpx.Response:
        content = await response.aread()
        await response.aclose()
        headers = _headers(response, response.headers.get("content-type"))
        return httpx.Response(response.status_code, headers=headers, content=content)


class Tokens(httpx.AsyncByteStream):
    """The body of a streamed response."""

    def __init__(self, exchange: Exchange, relay: Relay, broken: Broken) -> None:
        """Relay the tokens of an exchange, and close it with the stream."""
        self._exchange = exchange
        self._relay = relay
        self._broken = broken

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes that came, and those to come."""
        try:
            async for piece in self._relay.pieces():
                yield piece
        except TimeoutError:
            raise self._broken(self._exchange.late) from None
        except Exception as end:
            raise self._broken(str(end) or type(end).__name__) from end
        finally:
            await self._exchange.close()

    async def aclose(self) -> None:
        """End the request to the backend: the client has all, or left."""
        await self._exchange.close()


def _bounded(request: httpx.Request, bounds: Bounds, content: bytes | None) -> httpx.Request:
    """Return the request with its bounds, and with another content if one is given."""
    # Reading is bounded here by events; a bound on the socket would count bytes.
    timeout: dict[str, Any] = {"connect": bounds.connect, "pool": bounds.first_token, "write": bounds.first_token, "read": None}
    headers = [(name, value) for name, value in request.headers.multi_items() if content is None or name != "content-length"]
    return httpx.Request(
        request.method,
        request.url,
        headers=headers,
        content=request.content if content is None else content,
        extensions={**request.extensions, "timeout": timeout},
    )


def _headers(response: httpx.Response, content_type: str | None = None) -> list[tuple[str, str]]:
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_BODY]
    return headers if content_type is None else [*headers, ("content-type", content_type)]
