# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Finds pieces of many needles in a text at a speed that does not depend on how many there are.

A piece of twelve bytes has in it one of the text's words of eight bytes that begin at a multiple of four, wherever it stands. So of a
text only those words are looked up in a set, which the interpreter does without a step of Python: 1 s for 100 MB. Around a word that is
in the set the piece is compared byte by byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._leaks.needle import Needle

_WORD = 8
_STEP = 4


@dataclass(frozen=True)
class Run:
    """The bytes of a view from `start` to `end` are those of a needle from `at` on."""

    start: int
    end: int
    needle: Needle
    at: int

    @property
    def part(self) -> str:
        return self.needle.part(self.at, self.at + self.end - self.start)


class Matcher:
    def __init__(self, needles: Iterable[Needle]) -> None:
        self._places: dict[int, list[tuple[Needle, int]]] = {}
        self.longest = 0
        for needle in needles:
            self.longest = max(self.longest, len(needle.text))
            for at in range(len(needle.text) - _WORD + 1):
                # Only what is part of a piece that tells something.
                if needle.telling.find(1, max(0, at + _WORD - needle.least), at + 1) >= 0:
                    word = int.from_bytes(needle.text[at : at + _WORD], sys.byteorder)
                    self._places.setdefault(word, []).append((needle, at))
        self._words = frozenset(self._places)

    def runs(self, view: bytes) -> Iterator[Run]:
        """Yield each longest piece of each needle, in no order."""
        for shift in (0, _STEP):
            words = memoryview(view)[shift : shift + (max(0, len(view) - shift) & -_WORD)].cast("Q")
            if not self._words.isdisjoint(words):
                wanted = self._words
                yield from self._compare(view, [(nth * _WORD + shift, word) for nth, word in enumerate(words) if word in wanted])

    def _compare(self, view: bytes, seen: list[tuple[int, int]]) -> Iterator[Run]:
        # By needle and by how far it is shifted against the text: where the piece ends that was found there last.
        ends: dict[tuple[int, int], int] = {}
        for where, word in seen:
            for needle, at in self._places[word]:
                key = (id(needle), where - at)
                if where < ends.get(key, 0):
                    continue
                before, behind = _common(view, where, needle.text, at)
                ends[key] = where + behind
                if needle.tells(at - before, at + behind):
                    yield Run(where - before, where + behind, needle, at - before)


def _common(view: bytes, where: int, text: bytes, at: int) -> tuple[int, int]:
    """Return how many bytes before and from the two positions are the same."""
    before, behind = 0, _WORD
    most = min(where, at)
    while before < most and view[where - before - 1] == text[at - before - 1]:
        before += 1
    most = min(len(view) - where, len(text) - at)
    while behind < most and view[where + behind] == text[at + behind]:
        behind += 1
    return before, behind
