# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A way to the API server that can be slow, or gone, for one client: bytes are passed on as they are, TLS and all."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import yaml


class ApiProxy:
    """`delay`: seconds that each piece of a request waits, so that something can be done between two requests."""

    def __init__(self, kubeconfig: Path) -> None:
        self._config = yaml.safe_load(kubeconfig.read_text())
        (cluster,) = self._config["clusters"]
        self._server = urlsplit(cluster["cluster"]["server"])
        self.delay = 0.0
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> ApiProxy:
        self._thread.start()
        self.come()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.go()
        self._do(self._wait_for_the_last())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def kubeconfig(self, path: Path) -> Path:
        """Write one that leads here."""
        (cluster,) = self._config["clusters"]
        cluster["cluster"]["server"] = self._server._replace(netloc=f"127.0.0.1:{self._port}").geturl()
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(self._config))
        return path

    def go(self) -> None:
        """Be gone: connections end, new ones are refused."""
        self._do(self._close())

    def come(self) -> None:
        self._do(self._listen())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener:
            self._listener.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _wait_for_the_last(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self._tasks, return_exceptions=True), 5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError):
            theirs, ours = await asyncio.open_connection(self._server.hostname, self._server.port)
            both = {writer, ours}
            self._writers |= both
            await asyncio.gather(self._pass(reader, ours, lambda: self.delay), self._pass(theirs, writer, lambda: 0.0))
            self._writers -= both

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[], float]) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                await asyncio.sleep(delay())
                writer.write(piece)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
