# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Which fields of a LiteLLM config hold a secret, and whether it is a reference or stands there in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

REFERENCE = "os.environ/"

#: What people write for a backend that asks for no key; LiteLLM's openai client refuses an empty one.
NO_KEY = frozenset({"", "none", "sk-none", "no-key", "not-needed", "dummy", "sk-dummy", "empty"})

# Names of fields in litellm_params and in the settings: api_key, master_key, aws_secret_access_key, vertex_credentials, redis_password …
# but not the counts that end alike (max_tokens) nor the names of things (key_name).
_FIELD = re.compile(
    r"(?:^|_)(?:(?:api|master|salt|access|secret|private|public|encryption)_?key|password|secret|token|credentials?|webhook_url)$",
    re.IGNORECASE,
)
_URL_WITH_PASSWORD = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@\s:]*:[^/@\s]+@", re.IGNORECASE)


def is_secret(field: str, value: Any) -> bool:
    """Whether this field holds a secret in plain text."""
    if not isinstance(value, str) or value.startswith(REFERENCE):
        return False
    return bool(_URL_WITH_PASSWORD.match(value)) or (bool(_FIELD.search(field)) and value.lower() not in NO_KEY)


def inline_secrets(value: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted path of each plain-text secret."""
    for field, item in _fields(value, path):
        if is_secret(field.rpartition(".")[2], item):
            yield field


def inline_values(value: Any) -> set[str]:
    """The plain-text secrets themselves, for masking. Short ones would mask half of every message, and are refused anyway."""
    found = ((field.rpartition(".")[2], item) for field, item in _fields(value, ""))
    return {item for field, item in found if is_secret(field, item) and len(item) >= 6}


def references(value: Any) -> tuple[str, ...]:
    """Names of the environment variables that `os.environ/NAME` values refer to, each once, in order."""
    found = (item.removeprefix(REFERENCE) for _field, item in _fields(value, "") if isinstance(item, str) and item.startswith(REFERENCE))
    return tuple(dict.fromkeys(found))


def _fields(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _fields(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _fields(item, path)
    else:
        yield path, value
