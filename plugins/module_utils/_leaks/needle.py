# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What is looked for: the texts that show a secret value, and which pieces of them tell it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._leaks.public_part import public_mask
from ansible_collections.homelab.llm.plugins.module_utils._leaks.spelling import decoded, folded

#: A fragment of this many characters is a leak. A shorter value cannot be told from what happens to look like it.
SHORTEST = 12

#: So many characters of base64 are the same at each alignment for any twelve bytes.
SHORTEST_BASE64 = 15

#: An index entry for each character of each form takes some hundred bytes of memory.
LONGEST = 32 << 10

#: A fragment of fewer different characters is a line of dashes, or zeros.
_LEAST_DIFFERENT = 4


@dataclass(frozen=True)
class Needle:
    """One form of one value, in the spelling that is looked through.

    `value` is the value's number. A piece of `least` characters is a leak when `telling` has a 1 where it begins.
    """

    value: int
    form: str
    text: bytes
    least: int
    telling: bytes

    def tells(self, start: int, end: int) -> bool:
        """Whether the piece from `start` to `end` is a leak."""
        return end - start >= self.least and self.telling.find(1, start, end - self.least + 1) >= 0

    def part(self, start: int, end: int) -> str:
        """Say which part of the value that piece is."""
        if end == len(self.text):
            return "whole" if start == 0 else "end"
        return "start" if start == 0 else "middle"


def why_not(value: bytes) -> str | None:
    """Say why a value cannot be looked for, a phrase to follow its key's name, or None."""
    if len(value) > LONGEST:
        return f"is longer than {LONGEST >> 10} KiB"
    mask = public_mask(value)
    whole, secret = len(folded(value)), len(folded(_secret_bytes(value, mask)))
    if secret < SHORTEST:
        much = "has" if secret == whole else "has, without what all values of its kind begin or end with,"
        return f"{much} fewer than {SHORTEST} characters"
    if not any(1 in needle.telling for needle in needles_of(0, value)):
        return "repeats the same few characters"
    return None


def needles_of(number: int, value: bytes, public: Iterable[bytes] = ()) -> list[Needle]:
    """Return all forms of a value. A fragment that is in one of the texts `public` is no leak."""
    mask = public_mask(value)
    known = [folded(text) for text in public]
    needles = [_plain(number, folded, value, mask, known)]
    # What an HTML form makes of a space.
    spaced = value.strip().replace(b" ", b"+")
    for variant in (value, spaced) if spaced != value else (value,):
        if decoded(variant) != needles[0].text:
            needles.append(_plain(number, decoded, variant, public_mask(variant), known))
    needles += [_base64(number, value, mask, known, alignment) for alignment in range(3)]
    return [needle for needle in needles if 1 in needle.telling]


def _secret_bytes(value: bytes, mask: bytes) -> bytes:
    return bytes(byte for byte, public in zip(value, mask, strict=True) if not public)


def _plain(number: int, spell: Callable[[bytes], bytes], value: bytes, mask: bytes, known: list[bytes]) -> Needle:
    text = spell(value)
    flags = b"".join(public * len(spell(piece)) for piece, public in _pieces(value, mask))
    if len(flags) != len(text):
        flags = bytes(len(text))  # an escape goes across the seam of two pieces: nothing is taken for public
    telling = bytes(_is_telling(text[at : at + SHORTEST], flags[at : at + SHORTEST], known) for at in range(len(text) - SHORTEST + 1))
    return Needle(number, "plain", text, SHORTEST, telling)


def _base64(number: int, value: bytes, mask: bytes, known: list[bytes], alignment: int) -> Needle:
    """Return those characters that depend on nothing but the value, when `alignment` bytes stand before it in its group of three."""
    encoded = base64.b64encode(bytes(alignment) + value)
    first, last = -(-8 * alignment // 6), 8 * (alignment + len(value)) // 6
    text = folded(encoded[first:last])

    def touched(at: int, length: int) -> slice:
        start = (first + at) * 6 // 8 - alignment
        return slice(max(0, start), -(-(first + at + length) * 6 // 8) - alignment)

    flags = bytes(min(mask[touched(at, 1)], default=0) for at in range(len(text)))
    telling = bytes(
        _is_telling(folded(value[touched(at, SHORTEST_BASE64)]), flags[at : at + SHORTEST_BASE64], known)
        for at in range(len(text) - SHORTEST_BASE64 + 1)
    )
    return Needle(number, f"base64+{alignment}", text, SHORTEST_BASE64, telling)


def _is_telling(window: bytes, flags: bytes, known: list[bytes]) -> bool:
    return 0 in flags and len(set(window)) >= _LEAST_DIFFERENT and not any(window in text for text in known)


def _pieces(value: bytes, mask: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the runs of public and of secret bytes, each with its flag."""
    start = 0
    for at in range(1, len(value) + 1):
        if at == len(value) or mask[at] != mask[start]:
            yield value[start:at], mask[start : start + 1]
            start = at
