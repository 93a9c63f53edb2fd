# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened: one record per request and the counters per host. Never a key, never the content of a prompt or an answer."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

#: Records kept for the admin API.
KEPT = 20_000
#: A model's name comes from the client: this much of it is kept.
MODEL_LENGTH = 200


@dataclass
class Record:
    """One request; times in seconds. Its outcome:

    answered, error (a status of 400 or more), cancelled (the client left), cut or reset (by a fault),
    ended (the host stopped listening), shutdown.
    """

    host: str
    operation: str  # chat, generate, embeddings; or a lookup such as models
    generation: bool  # whether it asks a model for an answer
    method: str
    path: str
    started: float  # wall clock
    started_monotonic: float
    sequence: int = 0
    model: str = ""
    stream: bool = False
    tools: int = 0  # how many the client offers
    status: int | None = None  # None when nothing was sent
    outcome: str = ""
    fault: str = ""
    answer: int | None = None  # the number in the answer's text
    prompt_tokens: int | None = None
    completion_tokens: int | None = None  # tokens sent
    first_byte: float | None = None
    first_token: float | None = None
    total: float | None = None

    def age(self) -> float:
        """Return the seconds since the request came."""
        return round(time.monotonic() - self.started_monotonic, 4)

    def as_json(self) -> dict[str, Any]:
        """Return the record as it is shown and logged."""
        return vars(self)


@dataclass
class Counters:
    """What one host counted since the start or the last reset. `requests` are those that ask a model for an answer."""

    requests: int = 0
    lookups: int = 0
    in_flight: int = 0
    cancelled: int = 0
    by_model: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    by_outcome: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)

    def begin(self, record: Record) -> None:
        """Count a request that came."""
        self.in_flight += 1
        if record.generation:
            self.requests += 1
        else:
            self.lookups += 1

    def end(self, record: Record) -> None:
        """Count how a request ended."""
        self.in_flight -= 1
        if not record.generation:
            return
        self.by_status[str(record.status or "none")] += 1
        self.by_outcome[record.outcome] += 1
        self.cancelled += record.outcome == "cancelled"
        if record.model:
            self.by_model[record.model] += 1
        if record.fault:
            self.by_fault[record.fault] += 1


class Journal:
    """All records and counters of the simulator."""

    def __init__(self, hosts: Iterable[str], write: Callable[[str], None] | None = None) -> None:
        """Keep counters for these hosts; `write` gets each record as one line of JSON."""
        self.counters = {host: Counters() for host in hosts}
        self._write = write
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._under_way: dict[int, Record] = {}
        self._sequence = 0

    def begin(self, host: str, operation: str, generation: bool, method: str, path: str) -> Record:
        """Return the record of a request that came."""
        record = Record(host, operation, generation, method, path, round(time.time(), 4), time.monotonic())
        self._under_way[id(record)] = record
        self.counters[host].begin(record)
        return record

    def end(self, record: Record) -> None:
        """Close a record: its outcome and times are final."""
        self._sequence += 1
        record.sequence = self._sequence
        record.total = record.age()
        record.model = record.model[:MODEL_LENGTH]
        del self._under_way[id(record)]
        self.counters[record.host].end(record)
        self._records.append(record)
        if self._write:
            self._write(json.dumps(record.as_json()))

    def under_way(self, host: str) -> list[Record]:
        """Return the records of a host's requests that are not answered yet."""
        return [record for record in self._under_way.values() if record.host == host]

    def log(
        self, host: str | None = None, since: float | None = None, after: int | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return finished requests, oldest first: of a host, come at `since` or later, with a sequence above `after`; the last `limit`."""
        chosen = [
            record.as_json()
            for record in self._records
            if host in (None, record.host) and (since is None or record.started >= since) and (after is None or record.sequence > after)
        ]
        return chosen if limit is None else chosen[max(0, len(chosen) - limit) :]

    def reset(self) -> None:
        """Forget everything but the requests under way."""
        self._records.clear()
        for host in self.counters:
            self.counters[host] = Counters(in_flight=len(self.under_way(host)))
