# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What the worker wrote down: JSON lines, each with `kind`. Times whose names begin with `t_` are seconds of its host's monotonic clock.

    hello    t_mono, wall, version, python, loads          the first line; wall: seconds since 1970
    request  the fields of Request below, less empty ones  one per request, as it ends
    beat     the fields of Beat below                      once a second
    pong     id, t_mono                                    to `ping ID`
    end      t_mono, wall, sent, done, why                 the last line; a record without it is not complete
    error    text                                          the spec cannot be used; the only line then

why: `seconds` (its time was over), `stop` or `abort` (it was told so).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Finish = Literal["done", "empty", "cut", "error", "status", "no_answer", "timeout", "skipped", "unfinished"]
"""How a request ended.

    done        text, and a proper end (a stream: a finish_reason and its [DONE])
    empty       a proper end without any text
    cut         it began with 2xx and broke off: no end, a torn body, no JSON
    error       2xx with an error inside
    status      anything but 2xx
    no_answer   no connection, or closed before a status came
    timeout     the client's patience ended
    skipped     not sent: the probe's own limit of concurrency
    unfinished  under way when the probe was stopped
"""
FINISHES: tuple[Finish, ...] = get_args(Finish)


class NotARecord(Exception):
    """A line is none of the worker's."""


@dataclass(frozen=True)
class Request:
    """One request. What did not happen is None (times) or empty; LiteLLM's headers are as it sent them.

    Of OpenClaw, `model_group` is provider/model, and `attempts` who failed before, each with the gateway's reason.
    """

    id: str
    load: str
    asked: str
    stream: bool
    t_due: float
    t_start: float
    t_end: float
    finish: Finish
    t_connected: float | None = None
    t_headers: float | None = None
    t_first: float | None = None
    reused: bool = False
    status: int = 0
    error: str = ""
    answer_id: str = ""
    model: str = ""
    chunks: int = 0
    chars: int = 0
    said: str = ""
    model_group: str = ""
    model_id: str = ""
    model_name: str = ""
    api_base: str = ""
    fallbacks: str = ""
    retries: str = ""
    cache_key: str = ""
    version: str = ""
    attempts: str = ""

    @property
    def answered(self) -> bool:
        return self.finish == "done"

    @property
    def wait(self) -> float:
        """Seconds a client looked at nothing: until the first text of a stream, until the end of all else."""
        return self.t_answer - self.t_start

    @property
    def t_answer(self) -> float:
        """When that wait was over."""
        return self.t_first if self.stream and self.t_first is not None else self.t_end

    @property
    def kind(self) -> str:
        return "stream" if self.stream else "whole"


@dataclass(frozen=True)
class Beat:
    """The worker's clocks at one moment; `late_s` is how much later than planned it got to write that down."""

    t_mono: float
    wall: float
    late_s: float = 0.0
    sent: int = 0
    done: int = 0
    in_flight: int = 0


@dataclass(frozen=True)
class Recording:
    """All of a run. `begun` and `ended` are None when those lines never came."""

    requests: tuple[Request, ...] = ()
    beats: tuple[Beat, ...] = ()
    begun: Beat | None = None
    ended: Beat | None = None
    broken_lines: int = 0


def request_of(fields: Mapping[str, Any]) -> Request:
    """Return the request that a `request` line tells of; a newer worker may tell more."""
    known = {field.name for field in dataclasses.fields(Request)}
    try:
        request = Request(**{name: value for name, value in fields.items() if name in known})
    except TypeError as error:
        raise NotARecord(f"a request's line lacks something: {error}") from None
    if request.finish not in FINISHES:
        raise NotARecord(f"request {request.id}: '{request.finish}' is no way to finish")
    times = (request.t_due, request.t_start, request.t_end)
    if not all(isinstance(time, (int, float)) for time in times) or request.t_end < request.t_start:
        raise NotARecord(f"request {request.id}: its times are {times}")
    return request


def beat_of(fields: Mapping[str, Any]) -> Beat:
    """Return the clocks that a `hello`, `beat` or `end` line tells."""
    known = {field.name for field in dataclasses.fields(Beat)}
    try:
        return Beat(**{name: value for name, value in fields.items() if name in known})
    except TypeError as error:
        raise NotARecord(f"a heartbeat's line lacks something: {error}") from None


def parse(lines: Iterable[str]) -> Recording:
    """Return what complete lines tell. What cannot be read is counted, so that the judgement can refuse it, not passed over."""
    requests: list[Request] = []
    beats: list[Beat] = []
    begun = ended = None
    broken = 0
    for line in filter(str.strip, lines):
        try:
            fields = json.loads(line)
            kind = fields["kind"]
            if kind == "request":
                requests.append(request_of(fields))
            elif kind == "beat":
                beats.append(beat_of(fields))
            elif kind == "hello":
                begun = beat_of(fields)
            elif kind == "end":
                ended = beat_of(fields)
        except (ValueError, KeyError, TypeError, NotARecord):
            broken += 1
    requests.sort(key=lambda request: (request.t_start, request.id))
    return Recording(tuple(requests), tuple(beats), begun, ended, broken)


def line_of(request: Request) -> str:
    """Return a request as the worker writes it, without the end of the line."""
    return json.dumps({"kind": "request", **dataclasses.asdict(request)}, separators=(",", ":"))
