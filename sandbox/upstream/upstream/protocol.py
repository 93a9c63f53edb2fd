# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a protocol is: how a request is read, and an answer written, on the wire. Pure: delivery.py does the sending."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from upstream.errors import ErrorAnswer, ErrorStyle
from upstream.prompt import Question
from upstream.reply import Reply

Json = dict[str, Any]


@dataclass(frozen=True)
class Frames:
    """A streamed answer: one frame a token, what precedes the first, and what follows the last."""

    opening: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    closing: tuple[bytes, ...]


class Dialect(ABC):
    """The form of one endpoint that asks a model for an answer."""

    stream_type = "text/event-stream; charset=utf-8"

    @abstractmethod
    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:
        """Read a request: its JSON body and the variable parts of its path. BadRequestError says what is wrong."""

    @abstractmethod
    def whole(self, reply: Reply, question: Question) -> Json:
        """Return the answer to a request that asked for it in one piece."""

    def frames(self, reply: Reply, question: Question) -> Frames:
        """Return the answer to a request that asked for a stream."""
        return Frames((), (json.dumps(self.whole(reply, question)).encode(),), ())

    def error_event(self, error: ErrorAnswer) -> bytes:
        """Return how an error is told once a stream has begun."""
        return sse(json.loads(error.body))


@dataclass(frozen=True)
class Looked:
    """What a lookup works on: the host's name, its models (which a pull changes), body and path of the request, time."""

    host: str
    models: list[str]
    body: Mapping[str, Any]
    path: Mapping[str, str]
    now: float
    style: ErrorStyle


#: An endpoint that asks no model for an answer. Returns JSON, a text, lines of JSON as bytes, or an error.
Lookup = Callable[[Looked], Json | str | bytes | ErrorAnswer]


@dataclass(frozen=True)
class Route:
    """One endpoint. `serves` is a Dialect when a model answers there."""

    method: str
    path: str
    operation: str
    serves: Dialect | Lookup
    needs_key: bool = True
    style: ErrorStyle | None = None  # where its errors differ from the provider's usual ones


@dataclass(frozen=True)
class Provider:
    """A kind of model server."""

    name: str
    routes: tuple[Route, ...]
    errors: ErrorStyle
    credential: Callable[[Mapping[str, str], Mapping[str, str]], str]  # from headers and query, empty when there is none
    models: tuple[str, ...]
    same_model: Callable[[str], str] = str  # brings a model's name into the form in which names are compared
    headers_first: bool = False  # whether a stream's headers come before its first token is there


def sse(data: Any, event: str = "", end: str = "\n\n") -> bytes:
    """Return one server-sent event."""
    return (f"event: {event}\n" if event else "").encode() + b"data: " + json.dumps(data).encode() + end.encode()


def bearer(headers: Mapping[str, str]) -> str:
    """Return the bearer token, empty when there is none."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
