# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All hosts and the admin API together: what the program runs, and what tests start in themselves."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType

from aiohttp import web

from upstream.admin import Admin
from upstream.host import Host, Keys
from upstream.record import Journal
from upstream.server import HostServer


class Simulator:
    """Plays hosts on ports of one address for as long as its context is open."""

    def __init__(
        self,
        hosts: Sequence[Host],
        address: str,
        admin_port: int,
        keys: Keys,
        tls: ssl.SSLContext | None = None,
        write: Callable[[str], None] | None = None,
    ) -> None:
        """Play these hosts; a port of 0 is a free one. `write` gets each finished request as one line of JSON."""
        self.journal = Journal([host.name for host in hosts], write)
        self.servers = {host.name: HostServer(host, keys, self.journal, address, tls) for host in hosts}
        self.admin_port = admin_port
        self._address = address
        self._admin = web.AppRunner(Admin(self.servers, self.journal, keys).app(), access_log=None, shutdown_timeout=0.05)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Simulator:
        async with AsyncExitStack() as stack:  # undone as far as it came when a port is in use
            for server in self.servers.values():
                await server.start()
                stack.push_async_callback(server.stop)
            await self._admin.setup()
            stack.push_async_callback(self._admin.cleanup)
            await web.TCPSite(self._admin, self._address, self.admin_port, reuse_address=True).start()
            self.admin_port = self._admin.addresses[0][1]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()
