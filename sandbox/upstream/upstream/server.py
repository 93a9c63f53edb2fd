# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host at work: its endpoints, its keys, its models and its present fault."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from upstream.delivery import Exchange, deliver, hang
from upstream.errors import ErrorAnswer
from upstream.faults import BEFORE_HEADERS, NONE, Fault
from upstream.host import Host, Keys
from upstream.listener import Listener, State
from upstream.prompt import BadRequestError
from upstream.protocol import Dialect, Looked, Route
from upstream.record import Journal, Record
from upstream.reply import reply_to

#: Documents and pictures are long.
LARGEST_REQUEST = 64 * 1024 * 1024
_OTHER = Route("*", "", "unknown", lambda _looked: ErrorAnswer(404, b'{"error": "not found"}'), needs_key=False)


def read_json(raw: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a request's body; an empty body is an empty object."""
    try:
        body = json.loads(raw) if raw.strip() else {}
    except ValueError:
        raise BadRequestError("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise BadRequestError("The body of your request must be a JSON object.")
    return body


class HostServer:
    """Serves one host, and does wrong what it is told to."""

    def __init__(self, host: Host, keys: Keys, journal: Journal, address: str, tls: ssl.SSLContext | None = None) -> None:
        """Serve the host at an address; `start` opens its port."""
        self.host = host
        self.models = list(host.models)
        self.fault = NONE
        self.requests_left: int | None = None
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.Task[None] | None = None
        self._keys = keys
        self._journal = journal
        self._address = address
        self._tls = tls if host.tls else None
        self._answers = 0
        self._changing = asyncio.Lock()
        self._gate = asyncio.Event()  # shut while the host is a black hole
        self._gate.set()
        app = web.Application(client_max_size=LARGEST_REQUEST)
        for route in host.provider.routes:
            for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
                app.router.add_route(method, route.path, self._handler(route))
        app.router.add_route("*", "/{path:.*}", self._handler(_OTHER))
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05, keepalive_timeout=75)
        self.listener: Listener

    async def start(self) -> None:
        """Open the port."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None  # noqa: S101 (setup made it)
        self.listener = Listener(server, self._address, self.host.port, self._tls)
        await self.listener.turn("open")

    async def stop(self) -> None:
        """Close the port and end all connections."""
        self._forget_timer()
        self.listener.close()
        self._end_requests("shutdown")
        self.listener.end_connections()
        await self._runner.cleanup()

    @property
    def seconds_left(self) -> float | None:
        """How long the fault will last; None when it has no end in time."""
        return None if self._until is None else round(max(0.0, self._until - time.monotonic()), 3)

    async def set_fault(self, fault: Fault) -> None:
        """Do this wrong from now on, and nothing else."""
        async with self._changing:
            self._forget_timer()
            state: State = {"refuse": "closed", "blackhole": "silent"}.get(fault.kind, "open")  # type: ignore[assignment]
            await self.listener.turn(state)
            self.fault, self.requests_left = fault, fault.count
            if fault.kind == "refuse":
                self._end_requests("ended")
                self.listener.end_connections()
            elif fault.kind == "blackhole" and fault.connections == "reset":
                self._end_requests("ended")
                self.listener.end_connections(with_reset=True)
            if state == "silent":
                self._gate.clear()
            else:
                self._gate.set()
            if fault.seconds is not None:
                self._until = time.monotonic() + fault.seconds
                self._timer = asyncio.get_running_loop().call_later(fault.seconds, self._expire, fault)

    def reset(self) -> None:
        """Forget pulled models and count answers anew."""
        self.models[:] = self.host.models
        self._answers = 0

    def _expire(self, fault: Fault) -> None:
        async def clear() -> None:
            if self.fault is fault:
                await self.set_fault(NONE)

        self._expiry = asyncio.get_running_loop().create_task(clear())

    def _forget_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer, self._until = None, None

    def _end_requests(self, outcome: str) -> None:
        for record in self._journal.under_way(self.host.name):
            record.outcome = record.outcome or outcome

    def _take_fault(self, record: Record) -> Fault:
        """Return the fault that this request meets, and count it."""
        if self.fault.on_listener or not self.fault.concerns(record.generation, record.model):
            return NONE
        fault = self.fault
        record.fault = "" if fault.kind == "none" else fault.kind
        if self.requests_left is not None:
            self.requests_left -= 1
            if self.requests_left == 0:
                self._forget_timer()
                self.fault, self.requests_left = NONE, None
        return fault

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            await self._gate.wait()  # what a black hole swallows was never received
            generation = isinstance(route.serves, Dialect)
            # request.path is without the query, where Gemini's clients may put their key.
            record = self._journal.begin(self.host.name, route.operation, generation, request.method, request.path)
            exchange = Exchange(request, record, self._gate)
            try:
                return await self._answer(request, route, exchange, raw)
            except (asyncio.CancelledError, ConnectionError):
                record.outcome = record.outcome or "cancelled"
                raise
            finally:
                record.outcome = record.outcome or "failed"
                self._journal.end(record)

        return handle

    async def _answer(self, request: web.Request, route: Route, exchange: Exchange, raw: bytes) -> web.StreamResponse:
        style = route.style or self.host.provider.errors
        record = exchange.record
        trouble: ErrorAnswer | None = None
        body: Mapping[str, Any] = {}
        try:
            body = read_json(raw)
            question = route.serves.question(body, request.match_info) if isinstance(route.serves, Dialect) else None
        except BadRequestError as error:
            trouble, question = style.bad_request(str(error)), None
        if question:
            record.model, record.stream, record.tools = question.model, question.stream, len(question.tools)
        fault = self._take_fault(record)
        credential = self.host.provider.credential(request.headers, request.query)
        if fault.is_at(BEFORE_HEADERS):
            await (hang() if fault.kind == "hang" else exchange.reset())
        if fault.kind == "status":
            told = style.of_status(fault.status, record.model) if fault.body is None else style.custom(fault.status, fault.body)
            return await exchange.error(told, {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after is not None else None)
        if fault.kind == "echo_credential":
            return await exchange.error(style.echo(fault.status, credential))
        if route.needs_key and not self._keys.accepts(self.host.name, credential):
            return await exchange.error(style.of_words(style.wrong_key if credential else style.no_key, record.model))
        if trouble:
            return await exchange.error(trouble)
        if question is None or not isinstance(route.serves, Dialect):
            return await self._look_up(request, route, exchange, body)
        if not self.host.knows(question.model, self.models):
            return await exchange.error(style.of_words(style.unknown_model, question.model))
        self._answers += 1
        reply = reply_to(question, self.host.name, self._answers, time.time(), fault)
        record.answer, record.prompt_tokens = reply.number, reply.prompt_tokens
        failure = style.of_status(500, question.model)
        return await deliver(exchange, route.serves, question, reply, fault, self.host.provider.headers_first, failure)

    async def _look_up(self, request: web.Request, route: Route, exchange: Exchange, body: Mapping[str, Any]) -> web.StreamResponse:
        assert not isinstance(route.serves, Dialect)  # noqa: S101 (the caller saw to it)
        style = route.style or self.host.provider.errors
        found = route.serves(Looked(self.host.name, self.models, body, request.match_info, time.time(), style))
        if isinstance(found, ErrorAnswer):
            return await exchange.error(found)
        if isinstance(found, bytes):
            return await exchange.whole(200, found, "application/x-ndjson")
        if isinstance(found, str):
            return await exchange.whole(200, found.encode(), "text/plain")
        return await exchange.whole(200, json.dumps(found).encode(), "application/json")
