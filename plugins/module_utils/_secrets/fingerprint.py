# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Short marks that tell whether a secret value is the same as before, without telling the value."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

#: 48 bits: two of a Secret's few values will not meet by chance, and the line stays readable.
FINGERPRINT_DIGITS = 12


def fingerprint(secret_uid: str, key: str, value: bytes) -> str:
    """Return the mark of one value.

    It is an HMAC keyed by the Secret's uid over key and value: the same value has another mark under another key or in another Secret, and
    no table of marks of likely values can be made beforehand. Whoever knows the uid can still try values: it protects keys, not PINs.
    """
    return _hmac(secret_uid, key, value).hexdigest()[:FINGERPRINT_DIGITS]


def checksum(secret_uid: str, values: Mapping[str, bytes]) -> str:
    """Return one mark for all of `values`, for a pod template's annotation: it changes when a value, or which keys there are, does."""
    digest = hmac.new(secret_uid.encode(), digestmod=hashlib.sha256)
    for key in sorted(values):
        digest.update(_hmac(secret_uid, key, values[key]).digest())
    return digest.hexdigest()


def _hmac(secret_uid: str, key: str, value: bytes) -> hmac.HMAC:
    # No Secret key holds a NUL, so no two pairs run together to the same bytes.
    return hmac.new(secret_uid.encode(), key.encode() + b"\0" + value, hashlib.sha256)
