# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Collects what a scan has looked through, found, and could not read."""

from __future__ import annotations

import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._leaks.matcher import Matcher
from ansible_collections.homelab.llm.plugins.module_utils._leaks.stream import Looked, Stream, Tally, look_through

#: What a place is: the log of a container, a file in one, something written in an object, a file on this machine.
LOG, POD_FILE, EVENT, CONFIGMAP, OBJECT, FILE = "log", "pod file", "event", "configmap", "object", "file"

#: In the place of a name that has a value in it.
WITHHELD = "(withheld: a value is in it)"


@dataclass(frozen=True)
class Place:
    """Where something was looked for. `what` is an object such as "Pod ml/litellm-0", or "" for a file on this machine."""

    kind: str
    what: str = ""
    container: str = ""
    path: str = ""
    previous: bool = False

    def __str__(self) -> str:
        parts = [
            self.what,
            f"container {self.container}" if self.container else "",
            "before its restart" if self.previous else "",
            self.path,
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Finding:
    """A value, by its number, in a place: how it is written there, which part of it, and where."""

    place: Place
    value: int
    form: str
    part: str
    tally: Tally


@dataclass(frozen=True)
class Unread:
    where: str
    why: str


@dataclass
class Survey:
    """`streams` and `sizes` count by kind of place what was looked through to its end."""

    matcher: Matcher
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    streams: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)

    def look(self, place: Place, pieces: Iterable[bytes]) -> None:
        """Look through something. What breaks off is looked through as far as it came, and told as unread."""
        safe = self._safe(place)
        stream = Stream(self.matcher)
        try:
            for piece in pieces:
                stream.feed(piece)
        except (ApiError, OSError, EOFError, tarfile.TarError, zlib.error) as error:
            self.miss(str(safe), _why(error))
        else:
            self.streams[place.kind] += 1
        looked = stream.finish()
        self.sizes[place.kind] += looked.size
        self._add(safe, looked)

    def look_at_part(self, place: Place, text: str) -> None:
        """Look through a text that is a part of something else, with which it is counted."""
        self._add(self._safe(place), self._look_at_text(text))

    def pass_over(self, kind: str, size: int) -> None:
        """Count something that was looked through."""
        self.streams[kind] += 1
        self.sizes[kind] += size

    def has_value(self, text: str) -> bool:
        return bool(self._look_at_text(text).found)

    def miss(self, where: str, why: str) -> None:
        """Something could not be read."""
        where, why = (WITHHELD if self.has_value(text) else text for text in (where, why))
        if (missed := Unread(where, why)) not in self.unread:
            self.unread.append(missed)

    def _safe(self, place: Place) -> Place:
        """A name is a place to leak a value too: whose has one is a finding itself, and is not repeated."""
        names = {"what": place.what, "container": place.container, "path": place.path}
        found = {name: looked for name, text in names.items() if (looked := self._look_at_text(text)).found}
        safe = Place(place.kind, previous=place.previous, **{**names, **dict.fromkeys(found, WITHHELD)})
        for looked in found.values():
            self._add(replace(safe, path=safe.path or "its name"), looked)
        return safe

    def _look_at_text(self, text: str) -> Looked:
        return look_through(self.matcher, (text.encode(errors="replace"),))

    def _add(self, place: Place, looked: Looked) -> None:
        self.findings += [Finding(place, value, form, part, tally) for (value, form, part), tally in looked.found.items()]


def _why(error: Exception) -> str:
    if isinstance(error, ApiError):
        return error.message
    return getattr(error, "strerror", None) or type(error).__name__
