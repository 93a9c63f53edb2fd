# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-sent events out of bytes that come in pieces of any size (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Events:
    """Takes bytes, gives the data of each event that is complete with them."""

    def __init__(self) -> None:
        """Begin a stream."""
        self._rest = b""
        self._data: list[bytes] = []
        self._begun = False

    def feed(self, piece: bytes) -> list[str]:
        """Return the data of the events that end in this piece. Comments and other fields are none."""
        found = []
        for line in self._lines(piece):
            if not line:
                found += self._take()
                continue
            name, _colon, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
        return found

    def end(self) -> list[str]:
        """Return what the end of the stream completes: servers are seen that leave out the last blank line."""
        return [*self.feed(b"\n"), *self._take()]

    def _take(self) -> list[str]:
        # Decoded only here: a character's bytes may come in different pieces, but never in different events.
        data = [b"\n".join(self._data).decode("utf-8", "replace")] if self._data else []
        self._data = []
        return data

    def _lines(self, piece: bytes) -> list[bytes]:
        text = self._rest + piece
        if not self._begun:
            if len(text) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(text):
                self._rest = text
                return []
            text, self._begun = text.removeprefix(_BYTE_ORDER_MARK), True
        # A CR at the very end may be the first half of a CRLF.
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, last = _LINE_END.split(text[: len(text) - len(held)])
        self._rest = last + held
        return lines
