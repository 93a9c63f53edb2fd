# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a stream of chat.completion.chunks has come: what it said, whether it is over, whether it failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from first_token.events import Events

Chunk = dict[str, Any]
DONE = "[DONE]"


class BrokenStreamError(Exception):
    """The stream is no answer: it ended too early, or is not made of chunks."""


class BackendError(Exception):
    """The backend sent an error as an event, after a 200. Has what it would have been as an HTTP error."""

    def __init__(self, error: object) -> None:
        """Keep an error as vLLM and OpenAI write it."""
        super().__init__(str(error))
        self.error = error
        code = error.get("code") if isinstance(error, Mapping) else None
        code = int(code) if isinstance(code, str) and code.isdecimal() else code
        self.status = code if isinstance(code, int) and 400 <= code < 600 else 500


class Progress:
    """Reads the bytes of a stream along."""

    def __init__(self, role_is_token: bool = False) -> None:
        """Begin a stream.

        Some servers send the chunk that only names the role before they have a token. So it is none, unless the client offers tools
        (`role_is_token`): then vLLM may hold tokens back until a call is complete, and this chunk is all that shows them.
        """
        self._events = Events()
        self._role_is_token = role_is_token
        self._open: dict[int, bool] = {}
        #: Whether there was a token.
        self.spoke = False
        #: Whether the backend said that this is all.
        self.done = False

    @property
    def complete(self) -> bool:
        """Whether the answer is whole. Not every server says so, but each tells why a choice ended."""
        return self.spoke and (self.done or (bool(self._open) and not any(self._open.values())))

    def feed(self, piece: bytes) -> list[Chunk]:
        """Return the chunks that end in this piece; raises BackendError, BrokenStreamError."""
        return self._read(self._events.feed(piece))

    def end(self) -> list[Chunk]:
        """Return what the end of the stream completes; raises BrokenStreamError when it came too early."""
        chunks = self._read(self._events.end())
        if not self.complete:
            where = "in the middle of the answer" if self.spoke else "before its first token"
            raise BrokenStreamError(f"the stream ended {where}")
        return chunks

    def _read(self, events: list[str]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for data in events:
            if self.done:
                break
            if data.strip() == DONE:
                self.done = True
                if not self.spoke:
                    raise BrokenStreamError("the stream ended before its first token")
            elif data.strip():
                chunks.append(self._chunk(data))
        return chunks

    def _chunk(self, data: str) -> Chunk:
        try:
            chunk = json.loads(data)
        except ValueError:
            raise BrokenStreamError("an event of the stream is no JSON") from None
        if not isinstance(chunk, dict):
            raise BrokenStreamError("an event of the stream is no JSON object")
        if chunk.get("error"):
            raise BackendError(chunk["error"])
        if chunk.get("object") == "error":  # vLLM before 0.10
            raise BackendError(chunk)
        for choice in choices_of(chunk):
            index = choice.get("index") or 0
            self._open[index] = self._open.get(index, True) and choice.get("finish_reason") is None
            self.spoke = self.spoke or self._role_is_token or says_something(choice)
        return chunk


def choices_of(chunk: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the choices of a chunk; the last one with the usage has none."""
    return [choice for choice in chunk.get("choices") or () if isinstance(choice, Mapping)]


def says_something(choice: Mapping[str, Any]) -> bool:
    """Whether there is a token in it, or the end."""
    delta = choice.get("delta") or {}
    return choice.get("finish_reason") is not None or any(value for name, value in delta.items() if name != "role")
