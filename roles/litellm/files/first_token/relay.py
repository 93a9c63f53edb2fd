# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the stream of a backend under its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from first_token.answer import Answer, Json
from first_token.progress import Chunk, Progress

#: Seconds for the end of the HTTP body after the end of the answer. It mostly is there already, and keeps the connection for the next.
_FOR_THE_END = 0.1


class Relay:
    """The stream of one answer: the part until its first token, then the rest."""

    def __init__(self, source: AsyncIterator[bytes], progress: Progress, gap: float) -> None:
        """Read `source`, with at most `gap` seconds between events after the first token."""
        self._source = source
        self._progress = progress
        self._gap = gap
        self._head: list[bytes] = []
        self._chunks: list[Chunk] = []

    async def wait(self) -> None:
        """Return when the first token is there. To be bounded by the caller; raises BackendError, BrokenStreamError."""
        while not self._progress.spoke:
            piece = await anext(self._source, None)
            if piece is None:
                self._chunks += self._progress.end()
                return
            self._head.append(piece)
            self._chunks += self._progress.feed(piece)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the whole stream; raises TimeoutError, BackendError, BrokenStreamError."""
        for piece in self._head:
            yield piece
        async for piece, _chunks in self._rest():
            yield piece

    async def whole(self) -> Json:
        """Return the answer that the whole stream makes; raises TimeoutError, BackendError, BrokenStreamError."""
        answer = Answer()
        for chunk in self._chunks:
            answer.add(chunk)
        async for _piece, chunks in self._rest():
            for chunk in chunks:
                answer.add(chunk)
        return answer.whole()

    async def _rest(self) -> AsyncIterator[tuple[bytes, list[Chunk]]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._gap
        while not self._progress.done:
            async with asyncio.timeout_at(deadline):
                piece = await self._next()
            if piece is None:
                yield b"", self._progress.end()
                return
            chunks = self._progress.feed(piece)
            # A comment is no sign of progress: proxies send them for backends that hang.
            if chunks:
                deadline = loop.time() + self._gap
            yield piece, chunks
        await self._see_off()

    async def _next(self) -> bytes | None:
        try:
            return await anext(self._source, None)
        except TimeoutError:
            raise
        except Exception:
            # Whatever happens to the connection when all is said is no failure.
            if self._progress.complete:
                return None
            raise

    async def _see_off(self) -> None:
        try:
            async with asyncio.timeout(_FOR_THE_END):
                while await self._next() is not None:
                    pass
        except TimeoutError:
            pass
