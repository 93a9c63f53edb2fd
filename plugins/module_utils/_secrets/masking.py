# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""All forms in which a value may turn up in an output, so that each can be hidden there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

#: Hiding a shorter text would tear holes in every result ("ml" in a namespace), and its base64 in other base64.
SHORTEST_MASKED = 6


def masked_forms(values: Iterable[bytes]) -> set[str]:
    """Return the texts to hide for `values`: as they are, stripped, and as base64, URL and JSON spell them."""
    forms: set[str] = set()
    for value in values:
        for variant in (value, value.strip()):
            encoded = base64.b64encode(variant).decode()
            forms |= {encoded, encoded.rstrip("="), base64.urlsafe_b64encode(variant).decode()}
            try:
                text = variant.decode()
            except UnicodeDecodeError:
                continue
            forms |= {text, quote(text, safe=""), json.dumps(text)[1:-1]}
    return {form for form in forms if len(form) >= SHORTEST_MASKED}


def redact(text: str, values: Iterable[bytes]) -> str:
    """Return `text`, which somebody else wrote, without any of `values` in any form."""
    # The longest first: a short form may be a part of a longer one.
    for form in sorted(masked_forms(values), key=len, reverse=True):
        text = text.replace(form, "********")
    return text
