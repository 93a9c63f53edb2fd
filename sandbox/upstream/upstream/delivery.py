# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends an answer: with its timing, and with what a fault does to it on the way."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from typing import Any, NoReturn

from aiohttp import web

from upstream.errors import ErrorAnswer
from upstream.faults import AFTER_HEADERS, MID_STREAM, Fault
from upstream.prompt import Question
from upstream.protocol import Dialect, Frames
from upstream.record import Record
from upstream.reply import Reply


async def hang() -> NoReturn:
    """Never return: the client's leaving, or the end of the simulator, cancels it."""
    while True:
        await asyncio.sleep(3600)


class Exchange:
    """One request under way: what is sent passes its gate, which is shut while the host is a black hole."""

    def __init__(self, request: web.Request, record: Record, gate: asyncio.Event) -> None:
        """Answer this request, and note in its record what was sent."""
        self.record = record
        self._request = request
        self._gate = gate
        self._response: web.StreamResponse | None = None

    async def open(
        self, status: int, content_type: str, length: int | None = None, headers: dict[str, str] | None = None
    ) -> web.StreamResponse:
        """Send the headers."""
        await self._gate.wait()
        response = web.StreamResponse(
            status=status, headers={"Content-Type": content_type, "X-Upstream-Host": self.record.host, **(headers or {})}
        )
        if length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = length
        # Before prepare(): the client may act on the headers, and leave, before we go on.
        self.record.status, self.record.first_byte = status, self.record.age()
        await response.prepare(self._request)
        self._response = response
        return response

    async def send(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._gate.wait()
        if self._response and self._request.method != "HEAD":
            await self._response.write(data)

    async def whole(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> web.StreamResponse:
        """Send an answer in one piece."""
        response = await self.open(status, content_type, len(body), headers)
        await self.send(body)
        await response.write_eof()
        self.record.outcome = self.record.outcome or ("error" if status >= 400 else "answered")
        return response

    async def error(self, error: ErrorAnswer, headers: dict[str, str] | None = None) -> web.StreamResponse:
        """Send an error."""
        return await self.whole(error.status, error.body, error.content_type, headers)

    async def reset(self) -> NoReturn:
        """End the connection with an RST."""
        self.record.outcome = "reset"
        if self._request.transport:
            reset(self._request.transport)
        await hang()

    async def tear(self) -> NoReturn:
        """Close the connection in the middle of the HTTP body."""
        self.record.outcome = "cut"
        if self._request.transport:
            self._request.transport.close()
        await hang()


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection with an RST: closing a socket that lingers for 0 s sends one."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.Transport):
        transport.abort()


async def _until(moment: float) -> None:
    delay = moment - time.monotonic()
    if delay > 0:
        await asyncio.sleep(delay)


async def deliver(
    exchange: Exchange, dialect: Dialect, question: Question, reply: Reply, fault: Fault, headers_first: bool, failure: ErrorAnswer
) -> web.StreamResponse:
    """Send a reply as the question asked for it. `failure` is the provider's error inside a stream."""
    if question.stream:
        return await _stream(exchange, dialect, dialect.frames(reply, question), reply, fault, headers_first, failure)
    return await _piece(exchange, dialect.whole(reply, question), reply, fault, failure)


async def _piece(exchange: Exchange, answer: dict[str, Any], reply: Reply, fault: Fault, failure: ErrorAnswer) -> web.StreamResponse:
    """Send a reply in one piece: like a real server, nothing before it is complete."""
    body = json.dumps(answer).encode()
    if fault.kind == "error_event":
        return await exchange.error(failure)
    if fault.is_at(AFTER_HEADERS):
        await exchange.open(200, "application/json", len(body))
        await hang()
    if fault.is_at(MID_STREAM):
        await _until(time.monotonic() + reply.first + reply.gap * fault.after_tokens)
        await (exchange.reset() if fault.kind == "reset" else hang())
    await _until(time.monotonic() + reply.duration)
    if fault.kind == "cut":
        half = body[: len(body) // 2]
        if fault.end == "clean":
            exchange.record.outcome = "cut"
            return await exchange.whole(200, half, "application/json")
        await exchange.open(200, "application/json", len(body))
        await exchange.send(half)
        await exchange.tear()
    exchange.record.first_token, exchange.record.completion_tokens = exchange.record.age(), reply.completion_tokens
    return await exchange.whole(200, body, "application/json")


async def _stream(
    exchange: Exchange, dialect: Dialect, frames: Frames, reply: Reply, fault: Fault, headers_first: bool, failure: ErrorAnswer
) -> web.StreamResponse:
    record = exchange.record
    begin = time.monotonic()
    response = await exchange.open(200, dialect.stream_type) if headers_first or fault.is_at(AFTER_HEADERS) else None
    if fault.is_at(AFTER_HEADERS):
        await hang()
    if headers_first:
        await exchange.send(b"".join(frames.opening))
    await _until(begin + reply.first)
    if response is None:
        response = await exchange.open(200, dialect.stream_type)
        await exchange.send(b"".join(frames.opening))
    breaks = fault.kind in ("cut", "error_event") or fault.is_at(MID_STREAM)
    tokens = frames.tokens[: fault.after_tokens] if breaks else frames.tokens
    for index, token in enumerate(tokens):
        await _until(begin + reply.first + index * reply.gap)
        await exchange.send(token)
        record.first_token = record.first_token or record.age()
        record.completion_tokens = index + 1
    if breaks:
        await _break(exchange, dialect, fault, failure)
    else:
        await exchange.send(b"".join(frames.closing))
        record.completion_tokens = reply.completion_tokens
    await response.write_eof()
    record.outcome = record.outcome or "answered"
    return response


async def _break(exchange: Exchange, dialect: Dialect, fault: Fault, failure: ErrorAnswer) -> None:
    """Do to a stream what the fault says; returns when the HTTP body then ends as it should."""
    if fault.kind == "hang":
        await hang()
    if fault.kind == "reset":
        await exchange.reset()
    if fault.kind == "cut":
        exchange.record.outcome = "cut"
        if fault.end == "torn":
            await exchange.tear()
        return
    exchange.record.outcome = "error"
    await exchange.send(dialect.error_event(failure))
