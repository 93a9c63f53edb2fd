# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Looks through something of any length, piece by piece, with a memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.homelab.llm.plugins.module_utils._leaks.matcher import Matcher
from ansible_collections.homelab.llm.plugins.module_utils._leaks.spelling import Origins, decoded_if_escaped, folded, spellings

#: Bytes looked through at once.
CHUNK = 1 << 20

#: What is looked through a second time with the next chunk: an escape of six characters for each of the longest value, and indentation.
_LEAST_OVERLAP, _MOST_OVERLAP = 4 << 10, 256 << 10
_LONGEST_ESCAPE = 6

#: Line numbers kept of each kind of finding. A leak in a loop is on a million lines.
MOST_LINES = 10


@dataclass(frozen=True)
class Sighting:
    """A value, or a part of it, in a stream: the number of the value, how it is written, which part, where (from byte, to byte, line)."""

    value: int
    form: str
    part: str
    start: int
    end: int
    line: int


@dataclass
class Tally:
    """All sightings of one value in one form and part in one stream. `offset` is the first one's."""

    offset: int
    count: int = 0
    lines: list[int] = field(default_factory=list)


@dataclass
class Looked:
    """What came of one stream. By number of value, form and part."""

    size: int = 0
    found: dict[tuple[int, str, str], Tally] = field(default_factory=dict)

    def add(self, sighting: Sighting) -> None:
        tally = self.found.setdefault((sighting.value, sighting.form, sighting.part), Tally(sighting.start))
        tally.count += 1
        if len(tally.lines) < MOST_LINES and sighting.line not in tally.lines:
            tally.lines.append(sighting.line)


class Stream:
    """One log, one file. Feed it pieces of any length, then finish it; `looked` is right at any time for all but the last chunk."""

    def __init__(self, matcher: Matcher, chunk: int = CHUNK) -> None:
        self.looked = Looked()
        self._matcher = matcher
        self._chunk = chunk
        self._overlap = min(_MOST_OVERLAP, max(_LEAST_OVERLAP, _LONGEST_ESCAPE * matcher.longest))
        self._tail = b""
        self._pending: list[bytes] = []
        self._waiting = 0
        self._start = 0
        self._line = 1
        self._reported: dict[int, int] = {}

    def feed(self, piece: bytes) -> None:
        self.looked.size += len(piece)
        self._pending.append(piece)
        self._waiting += len(piece)
        if self._waiting >= self._chunk:
            waiting = b"".join(self._pending)
            whole = len(waiting) - len(waiting) % self._chunk
            for at in range(0, whole, self._chunk):
                self._look(waiting[at : at + self._chunk], last=False)
            self._pending, self._waiting = [waiting[whole:]], len(waiting) - whole

    def finish(self) -> Looked:
        self._look(b"".join(self._pending), last=True)
        self._pending, self._waiting = [], 0
        return self.looked

    def _look(self, new: bytes, *, last: bool) -> None:
        text = self._tail + new
        settled = self._start + len(text) - (0 if last else self._overlap // 4)
        unsettled: set[int] = set()
        for sighting in self._sightings(text):
            if sighting.end > settled and sighting.part in ("start", "middle"):
                # It may go on in the next chunk, behind white space or half an escape. That one has it all in its overlap.
                unsettled.add(sighting.value)
            elif sighting.value not in unsettled and sighting.start >= self._reported.get(sighting.value, 0):
                self._reported[sighting.value] = sighting.end
                self.looked.add(sighting)
        done = max(0, len(text) - self._overlap)
        self._line += text.count(b"\n", 0, done)
        self._start += done
        self._tail = text[done:]

    def _sightings(self, text: bytes) -> Iterator[Sighting]:
        """Yield them in the order of the text, of those that overlap only the longest for each value."""
        found = [*self._of_view(text, folded(text), decode=False)]
        if (other := decoded_if_escaped(text)) is not None:
            found += self._of_view(text, other, decode=True)
        taken: dict[int, list[Sighting]] = {}
        for sighting in sorted(found, key=lambda each: (each.value, each.start, -each.end)):
            kept = taken.setdefault(sighting.value, [])
            if not kept or sighting.start >= kept[-1].end:
                kept.append(sighting)
            elif sighting.end - sighting.start > kept[-1].end - kept[-1].start:
                kept[-1] = sighting
        yield from sorted((each for kept in taken.values() for each in kept), key=lambda each: each.start)

    def _of_view(self, text: bytes, view: bytes, *, decode: bool) -> Iterator[Sighting]:
        runs = [*self._matcher.runs(view)]
        if not runs:
            return
        origins = Origins(text, decode=decode)
        counted, line = 0, self._line
        for run in sorted(runs, key=lambda each: each.start):
            start, end = origins.span(run.start, run.end)
            line += text.count(b"\n", counted, start)
            counted = start
            form = ", ".join([run.needle.form, *spellings(text[start:end], decode=decode)])
            yield Sighting(run.needle.value, form, run.part, self._start + start, self._start + end, line)


def look_through(matcher: Matcher, pieces: Iterable[bytes], chunk: int = CHUNK) -> Looked:
    stream = Stream(matcher, chunk)
    for piece in pieces:
        stream.feed(piece)
    return stream.finish()
