# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Which part of a secret value is no secret: what all values of its kind have in common."""

from __future__ import annotations

import re

from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import provider_prefix

#: The header of a JSON Web Token says how it is signed.
_JWT_HEADER = re.compile(rb"eyJ[\w-]+\.(?=[\w-]+\.)")
_ARMOUR = re.compile(rb"-----(?:BEGIN|END) [A-Z0-9 ]+-----")

#: `postgresql://user:` and `@host:port/name` around the password.
_BEFORE_PASSWORD, _AFTER_PASSWORD = re.compile(rb"[a-z][-+.a-z0-9]*://[^\s/:@]*:(?=[^\s/]*@)"), re.compile(rb"@[^@\s]*\Z")


def public_mask(value: bytes) -> bytes:
    """Return a byte for each of the value's: 1 where it is public, else 0."""
    mask = bytearray(len(value))
    for start, end in _spans(value):
        mask[start:end] = b"\1" * (end - start)
    return bytes(mask)


def _spans(value: bytes) -> list[tuple[int, int]]:
    spans = [match.span() for match in _ARMOUR.finditer(value)]
    spans.append((0, len(provider_prefix(value.decode("latin-1")))))
    if header := _JWT_HEADER.match(value):
        spans.append(header.span())
    text = value.strip()
    if (before := _BEFORE_PASSWORD.match(text)) and (after := _AFTER_PASSWORD.search(text, before.end())):
        shift = value.find(text)
        spans += [(0, before.end() + shift), (after.start() + shift, len(value))]
    return spans
