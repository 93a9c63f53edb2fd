# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A config text as it may be shown: every plain-text secret in it replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml
from ansible_collections.homelab.llm.plugins.module_utils._litellm.secret_fields import is_secret

MASK = "********"


def mask(text: str) -> str:
    """Return `text` with its plain-text secrets masked where they stand. A text that cannot be read is not shown at all."""
    try:
        root, _data = _yaml.parse(text)
    except _yaml.ParseError:
        return "(not readable as YAML, so not shown: it may hold keys)\n"
    if root is None:
        return text
    parts: list[str] = []
    position = 0
    for start, end in sorted(set(_secret_spans(root, "", set()))):
        parts += text[position:start], MASK + ("\n" if text[end - 1] == "\n" else "")
        position = end
    shown = "".join([*parts, text[position:]])
    # A comment is no node: what was commented out may still be a key.
    return "\n".join(_mask_comment(line) for line in shown.split("\n"))


def _secret_spans(node: Any, field: str, seen: set[int]) -> Iterator[tuple[int, int]]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if _yaml.is_mapping(node):
        for key, value in node.value:
            yield from _secret_spans(value, str(key.value), seen)
    elif _yaml.is_sequence(node):
        for item in node.value:
            yield from _secret_spans(item, field, seen)
    elif is_secret(field, node.value):
        yield node.start_mark.index, node.end_mark.index


def _mask_comment(line: str) -> str:
    head, hash_sign, comment = line.partition("#")
    name, colon, value = comment.partition(":")
    field = name.strip(" #-{\"'").split(" ")[-1]
    if hash_sign and colon and is_secret(field, value.strip().strip("\"'")):
        return f"{head}#{name}: {MASK}"
    return line
