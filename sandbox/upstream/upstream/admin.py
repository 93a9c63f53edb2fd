# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin API: faults, counters and the log, as JSON over plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from upstream.faults import NONE, FaultError, parse
from upstream.host import Keys
from upstream.record import Journal
from upstream.server import HostServer


def _refusal(kind: type[web.HTTPError], sentence: str) -> web.HTTPError:
    return kind(text=json.dumps({"error": sentence}), content_type="application/json")


def fault_of(server: HostServer) -> dict[str, Any]:
    """Return a host's present fault and what is left of it."""
    left = {"requests_left": server.requests_left, "seconds_left": server.seconds_left}
    return {**server.fault.as_json(), **{name: value for name, value in left.items() if value is not None}}


def _number(query: Mapping[str, str], name: str) -> float | None:
    if name not in query:
        return None
    try:
        return float(query[name])
    except ValueError:
        raise _refusal(web.HTTPBadRequest, f"{name} must be a number, not {query[name]!r}") from None


class Admin:
    """What the operator of the simulator can see and do."""

    def __init__(self, servers: Mapping[str, HostServer], journal: Journal, keys: Keys) -> None:
        """Steer these hosts."""
        self._servers = servers
        self._journal = journal
        self._keys = keys

    def app(self) -> web.Application:
        """Return the API."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/hosts", self._hosts)
        app.router.add_get("/hosts/{host}/fault", self._get_fault)
        app.router.add_put("/hosts/{host}/fault", self._put_fault)
        app.router.add_delete("/hosts/{host}/fault", self._delete_fault)
        app.router.add_get("/counters", self._counters)
        app.router.add_get("/log", self._log)
        app.router.add_post("/reset", self._reset)
        return app

    def _server(self, request: web.Request) -> HostServer:
        name = request.match_info["host"]
        if name not in self._servers:
            raise _refusal(web.HTTPNotFound, f"there is no host {name!r} here, only {', '.join(self._servers)}")
        return self._servers[name]

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _hosts(self, _request: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "name": server.host.name,
                    "protocol": server.host.provider.name,
                    "port": server.listener.port,
                    "tls": server.host.tls,
                    "keys_checked": self._keys.are_checked(server.host.name),
                    "models": server.models,
                    "fault": fault_of(server),
                }
                for server in self._servers.values()
            ]
        )

    async def _get_fault(self, request: web.Request) -> web.Response:
        return web.json_response(fault_of(self._server(request)))

    async def _put_fault(self, request: web.Request) -> web.Response:
        server = self._server(request)
        try:
            fault = parse(json.loads(await request.read()))
        except FaultError as error:
            raise _refusal(web.HTTPBadRequest, str(error)) from None
        except ValueError:
            raise _refusal(web.HTTPBadRequest, 'the body must be JSON such as {"kind": "status", "status": 503}') from None
        try:
            await server.set_fault(fault)
        except OSError as error:
            raise _refusal(web.HTTPServiceUnavailable, f"{server.host.name} cannot open its port: {error.strerror}") from None
        return web.json_response(fault_of(server))

    async def _delete_fault(self, request: web.Request) -> web.Response:
        server = self._server(request)
        await server.set_fault(NONE)
        return web.json_response(fault_of(server))

    async def _counters(self, _request: web.Request) -> web.Response:
        return web.json_response({host: vars(counters) for host, counters in self._journal.counters.items()})

    async def _log(self, request: web.Request) -> web.Response:
        query = request.query
        after, limit = _number(query, "after"), _number(query, "limit")
        records = self._journal.log(
            query.get("host"), _number(query, "since"), None if after is None else int(after), None if limit is None else int(limit)
        )
        return web.json_response(records)

    async def _reset(self, _request: web.Request) -> web.Response:
        for server in self._servers.values():
            await server.set_fault(NONE)
            server.reset()
        self._journal.reset()
        return web.json_response({"status": "reset"})
