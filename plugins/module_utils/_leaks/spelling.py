# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Brings a text to one spelling, so that a value is found however it was written: escaped, URL-encoded, wrapped over lines.

Both what is looked for and what is looked in are brought to it. There are two views of a text:

- *folded*: without white space, NUL and backslashes, and with base64's two alphabets as one. Each byte is folded for itself, so a value
  that is there as it is stays there, whatever stands around it.
- *decoded*: escapes of URLs, JSON, HTML and Python are decoded first. What stands before a value may be taken for the beginning of an
  escape together with it (`%` before `ab…`), so this view is looked through in addition to the other and not in its place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")

#: NUL: every second byte of ASCII text in UTF-16, and what stands between the variables of a process.
_DROPPED = b" \t\r\n\v\f\0\\"

#: Layers are taken off at once: `%252F` is a URL in a URL; of the backslashes in `\\\\n`, JSON in JSON, all but the last are dropped.
#: Each alternative begins with one certain character: then it takes 1 s for 100 MB and not 7.
_ESCAPE = re.compile(
    rb"%(?:25)*(?P<percent>[0-9A-Fa-f]{2})"
    rb"|\\(?:(?P<units>u[0-9A-Fa-f]{4}(?:\\{1,31}u[0-9A-Fa-f]{4})*)|x(?P<byte>[0-9A-Fa-f]{2})|(?P<control>[bfnrt]))"
    rb"|&(?:amp;)*(?:(?P<entity>amp|lt|gt|quot|apos)|#0*(?P<decimal>\d{1,3})|#[xX]0*(?P<hex>[0-9A-Fa-f]{1,2}));"
)
_ESCAPE_OR_DROPPED = re.compile(_ESCAPE.pattern + rb"|(?P<dropped>[ \t\r\n\v\f\0]+|\\)")
_DROPPED_ONLY = re.compile(rb"(?P<dropped>[ \t\r\n\v\f\0\\]+)")

#: Bytes of whole lines that are traced at once.
_BLOCK = 2048

_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_ENTITIES = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


def folded(text: bytes) -> bytes:
    return text.translate(_ONE_ALPHABET, _DROPPED)


def decoded(text: bytes) -> bytes:
    return folded(_ESCAPE.sub(_meaning, text))


def decoded_if_escaped(text: bytes) -> bytes | None:
    """Return the decoded view, or None when there is no escape in the text and the two views are the same."""
    plain, times = _ESCAPE.subn(_meaning, text)
    return folded(plain) if times else None


def _meaning(escape: re.Match[bytes]) -> bytes:
    kind, text = str(escape.lastgroup), escape[str(escape.lastgroup)]
    if kind in ("percent", "byte", "hex"):
        return bytes((int(text, 16),))
    if kind == "units":
        units = b"".join(bytes.fromhex(each.decode()) for each in re.findall(rb"u([0-9A-Fa-f]{4})", text))
        return units.decode("utf-16-be", errors="surrogatepass").encode(errors="replace")
    if kind == "decimal":
        return chr(int(text)).encode()
    return {"control": _CONTROLS, "entity": _ENTITIES}[kind][text]


@dataclass(frozen=True)
class Trace:
    """Which bytes of a text a view of it came from, in pieces: where each begins in the view and in the text, and where it ends there.

    A piece whose two lengths differ is an escape, and each byte of it came from the whole escape.
    """

    text: bytes
    view: bytes
    begins: list[int]
    pieces: list[tuple[int, int]]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the bytes of the view from `start` to `end` stand in the text."""
        return self._origin(start)[0], self._origin(end - 1)[1]

    def _origin(self, at: int) -> tuple[int, int]:
        nth = bisect_right(self.begins, at) - 1
        first, last = self.pieces[nth]
        length = (self.begins[nth + 1] if nth + 1 < len(self.begins) else len(self.view)) - self.begins[nth]
        within = at - self.begins[nth]
        return (first + within, first + within + 1) if last - first == length else (first, last)


def trace(text: bytes, *, decode: bool) -> Trace:
    """Make a view again and keep track. Takes a hundred times as long as the view alone."""
    begins: list[int] = []
    pieces: list[tuple[int, int]] = []
    made: list[bytes] = []
    length = 0

    def add(view: bytes, first: int, last: int) -> None:
        nonlocal length
        if view:
            begins.append(length)
            pieces.append((first, last))
            made.append(view)
            length += len(view)

    at = 0
    for match in (_ESCAPE_OR_DROPPED if decode else _DROPPED_ONLY).finditer(text):
        add(folded(text[at : match.start()]), at, match.start())
        if match["dropped"] is None:
            add(folded(_meaning(match)), match.start(), match.end())
        at = match.end()
    add(folded(text[at:]), at, len(text))
    return Trace(text, b"".join(made), begins, pieces)


class Origins:
    """Leads from a view of a long text back to the text, and traces only those lines of it that it is asked about.

    No escape goes over the end of a line, so a view is made of the views of its lines.
    """

    def __init__(self, text: bytes, *, decode: bool) -> None:
        self._text = text
        self._decode = decode
        self._traces: dict[int, Trace] = {}
        self._texts, self._views = [0], [0]
        while (at := self._texts[-1]) < len(text):
            end = text.find(b"\n", at + _BLOCK) + 1 or len(text)
            block = text[at:end]
            self._texts.append(end)
            self._views.append(self._views[-1] + len(decoded(block) if decode else folded(block)))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the bytes of the view from `start` to `end` stand in the text."""
        return self._origin(start)[0], self._origin(end - 1)[1]

    def _origin(self, at: int) -> tuple[int, int]:
        nth = bisect_right(self._views, at) - 1
        if nth not in self._traces:
            self._traces[nth] = trace(self._text[self._texts[nth] : self._texts[nth + 1]], decode=self._decode)
        first, last = self._traces[nth].span(at - self._views[nth], at - self._views[nth] + 1)
        return self._texts[nth] + first, self._texts[nth] + last


def spellings(written: bytes, *, decode: bool) -> list[str]:
    """Say how a value is written that was found: nothing when it stands there as it is. `decode`: found in the decoded view only."""
    found = ["split over lines"] if re.search(rb"[\r\n]|\\n" if decode else rb"[\r\n]", written) else []
    if not decode:
        return found
    groups = {name for match in _ESCAPE.finditer(written) for name in (str(match.lastgroup),)}
    found += ["URL-encoded"] if "percent" in groups else []
    found += ["HTML-escaped"] if groups & {"entity", "decimal", "hex"} else []
    found += ["JSON-escaped"] if groups & {"units", "byte", "control"} else []
    return found
