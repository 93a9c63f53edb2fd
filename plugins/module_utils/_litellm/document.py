# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A LiteLLM config as text: read it, and rewrite it so that only what must change does.

PyYAML reads it, because LiteLLM does (`yaml.safe_load` in proxy_server.py): YAML 1.1, where an unquoted `on` is a boolean and
2024-02-15 a date. A YAML 1.2 reader would see another config than the proxy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml
from ansible_collections.homelab.llm.plugins.module_utils._litellm.splice import Editor, UnsupportedError, apply

#: Tells which element of a list is which across an edit: (path of the list, element) -> something comparable.
Identify = Callable[[tuple[str, ...], Any], Hashable]


class DocumentError(Exception):
    """The text cannot be read or edited. The message quotes no line of it: a line may hold a key."""


def load(text: str) -> dict[str, Any]:
    """Return the config as data; an empty text is an empty config. Raises DocumentError."""
    data = _parse(text)[1]
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise DocumentError(f"is a YAML {_yaml.kind(data)}, but a LiteLLM config is a mapping with model_list and settings")
    return data


def rewrite(text: str, wanted: dict[str, Any], identify: Identify | None = None) -> str:
    """Return `text` edited so that it reads as `wanted`; every byte that need not change stays.

    Comments and order are kept, in lists by the elements' identity. A removed element takes the comment directly above it along.
    The result is read again before it is returned, so an edit that anchors or rare syntax would spoil raises DocumentError.
    """
    root, data = _parse(text)
    if _yaml.same(data if data is not None else {}, wanted):
        return text
    for editor in (Editor(text, identify), Editor(text, identify, whole_sections=True)):
        try:
            edited = apply(text, editor.edit(root, data, wanted))
            if _yaml.same(_parse(edited)[1] or {}, wanted):
                return edited
        except (UnsupportedError, DocumentError):
            continue
    raise DocumentError(
        "uses YAML that cannot be edited in place (an anchor that other parts refer to, most likely): write those parts out in full"
    )


def checksum(text: str) -> str:
    """SHA-256 of the config text in hex, for the annotation that rolls the pods."""
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(text: str) -> tuple[Any, Any]:
    try:
        return _yaml.parse(text)
    except _yaml.ParseError as error:
        raise DocumentError(f"is not readable as YAML: {error}") from None
