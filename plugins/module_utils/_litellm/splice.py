# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The difference between a YAML text and wanted data, as the fewest splices of that text.

A dump of the whole document would re-wrap, re-indent and re-quote what nobody asked to change, and takes seconds for a large config.
So the parser's positions say which span of text a value occupies, and only spans whose value differs are replaced.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml
from ansible_collections.homelab.llm.plugins.module_utils._litellm.layout import Layout, block_lines

_COLON = re.compile(r"\s*:")


class UnsupportedError(Exception):
    """This node cannot be edited inside; its parent renders it anew."""


@dataclass(frozen=True)
class Splice:
    """Replace text[start:end] by `text`."""

    start: int
    end: int
    text: str


def apply(text: str, splices: Iterable[Splice]) -> str:
    """Return `text` with the splices done. Insertions at one place keep their order."""
    parts: list[str] = []
    position = 0
    for splice in sorted(splices, key=lambda each: (each.start, each.end)):
        if splice.start < position:
            raise UnsupportedError
        parts += text[position : splice.start], splice.text
        position = splice.end
    return "".join([*parts, text[position:]])


class Editor:
    """Finds the splices. `whole_sections` renders a changed top-level key anew instead of editing inside it."""

    def __init__(self, text: str, identify: Callable[[tuple[str, ...], Any], Hashable] | None, whole_sections: bool = False) -> None:
        self._text = text
        self._identify = identify
        self._whole_sections = whole_sections
        self._layout = Layout(text)

    def edit(self, root: Any, old: Any, new: dict[str, Any]) -> list[Splice]:
        if root is None or not isinstance(old, dict) or not old:
            if root is not None:
                raise UnsupportedError
            return [self._insert(len(self._text), block_lines(new, 0, self._layout.offset))]
        return self._inside(root, old, new, ())

    def _change(self, path: tuple[str, ...], node: Any, old: Any, new: Any, anew: Callable[[], list[Splice]]) -> list[Splice]:
        if _yaml.same(old, new):
            return []
        if self._whole_sections:
            return anew()
        try:
            return self._inside(node, old, new, path)
        except UnsupportedError:
            return anew()

    def _inside(self, node: Any, old: Any, new: Any, path: tuple[str, ...]) -> list[Splice]:
        if _yaml.is_mapping(node) and isinstance(old, dict) and isinstance(new, dict) and new and node.value:
            return (self._block_mapping if _yaml.is_block_collection(node) else self._flow_mapping)(node, old, new, path)
        if _yaml.is_sequence(node) and isinstance(old, list) and isinstance(new, list) and new and node.value:
            return (self._block_sequence if _yaml.is_block_collection(node) else self._flow_sequence)(node, old, new, path)
        raise UnsupportedError

    # Mappings

    def _pairs(self, node: Any) -> dict[Any, tuple[Any, Any]]:
        pairs = {_yaml.key_of(key): (key, value) for key, value in node.value}
        if len(pairs) != len(node.value):  # a key twice, or two merges: the last would win, and it is not clear which was meant
            raise UnsupportedError
        pairs.pop(None, None)
        return pairs

    def _block_mapping(self, node: Any, old: dict[Any, Any], new: dict[Any, Any], path: tuple[str, ...]) -> list[Splice]:
        pairs, column = self._pairs(node), node.value[0][0].start_mark.column
        splices: list[Splice] = []
        for position, (key, (key_node, value)) in enumerate(pairs.items()):
            if key not in new:
                start = self._layout.own_line(key_node.start_mark.index)
                if start is None:
                    raise UnsupportedError
                end = self._value_end(key_node, value, column)
                splices.append(Splice(self._layout.with_comments_above(start, column) if position else start, end, ""))
                continue
            alias = value.start_mark.index < key_node.end_mark.index
            if alias and not _yaml.same(old[key], new[key]):
                raise UnsupportedError
            if not alias:
                anew = functools.partial(self._new_value, key_node, value, new[key], column)
                splices += self._change((*path, str(key)), value, old[key], new[key], anew)
        if any(key in old and key not in pairs for key in old.keys() - new.keys()):
            raise UnsupportedError  # it comes from a merge, so it cannot be taken out here
        merged = {key for key in old if key not in pairs and key in new and not _yaml.same(old[key], new[key])}
        added = {key: value for key, value in new.items() if key not in old or key in merged}
        if added:
            last_key, last_value = node.value[-1]
            place = self._value_end(last_key, last_value, column)
            splices.append(self._insert(place, block_lines(added, column, self._layout.offset)))
        return splices

    def _value_end(self, key: Any, value: Any, column: int) -> int:
        """Where the lines of `key: value` end."""
        if value.start_mark.index < key.end_mark.index:  # an alias: its node lies where the anchor is
            return self._layout.line_end(key.end_mark.index)
        return self._layout.end_of(value, column)

    def _new_value(self, key: Any, value: Any, new: Any, column: int) -> list[Splice]:
        """Render the value of a block mapping's key anew."""
        colon = _COLON.match(self._text, key.end_mark.index)
        if colon is None:
            raise UnsupportedError
        start, end = value.start_mark.index, value.end_mark.index
        block = _yaml.is_block_collection(value)
        if isinstance(new, (dict, list)) and new and not (_yaml.is_flow_collection(value) and value.value):
            lines = block_lines(new, column + (self._layout.offset if isinstance(new, list) else 2), self._layout.offset)
            first = self._layout.line_start(start)
            if block and first > colon.end():  # comments between the key and its block stay
                return [Splice(first, self._layout.end_of(value, column), lines)]
            if block or _yaml.is_block_scalar(value):
                return [Splice(colon.end(), self._layout.end_of(value, column), "\n" + lines)]
            return [Splice(colon.end(), end, ""), self._insert(self._layout.line_end(end), lines)]
        if block:
            return [Splice(colon.end(), self._layout.end_of(value, column), f" {_yaml.inline(new)}\n")]
        return [Splice(start, end, (" " if start == end else "") + self._instead_of(value, new))]

    def _instead_of(self, node: Any, new: Any) -> str:
        """`new` on one line for the span of a scalar or flow collection; that of a `|` scalar includes its last line break."""
        ends_line = _yaml.is_block_scalar(node) and self._text[node.end_mark.index - 1] == "\n"
        return _yaml.inline(new) + ("\n" if ends_line else "")

    def _flow_mapping(self, node: Any, old: dict[Any, Any], new: dict[Any, Any], path: tuple[str, ...]) -> list[Splice]:
        pairs = self._pairs(node)
        if old.keys() - new.keys() or old.keys() != pairs.keys():
            raise UnsupportedError
        splices: list[Splice] = []
        for key, (key_node, value) in pairs.items():
            if not _yaml.same(old[key], new[key]):
                splices += self._flow_value((*path, str(key)), value, old[key], new[key], key_node.end_mark.index)
        added = {key: item for key, item in new.items() if key not in old}
        if added:
            splices.append(self._append_in_flow(node.value[-1][1], node.value[-1][0].end_mark.index, _yaml.inline(added)[1:-1]))
        return splices

    # Lists

    def _block_sequence(self, node: Any, old: list[Any], new: list[Any], path: tuple[str, ...]) -> list[Splice]:
        column = node.start_mark.column
        old_keys, new_keys = ([self._key(path, each) for each in items] for items in (old, new))
        splices: list[Splice] = []
        for what, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old_keys, new_keys, autojunk=False).get_opcodes():
            # Elements that are not the same one but stand in for each other are edited in place too, when it is clear which for which.
            clear = i2 - i1 == j2 - j1 or self._identify_is_content(path)
            pairs = min(i2 - i1, j2 - j1) if what in ("equal", "replace") and clear else 0
            for step in range(pairs):
                splices += self._item(node, i1 + step, column, old[i1 + step], new[j1 + step], path)
            for index in range(i1 + pairs, i2):
                start = self._dash(node, index, column)
                if index:
                    start = self._layout.with_comments_above(start, column)
                splices.append(Splice(start, self._item_end(node, index, column), ""))
            if j1 + pairs < j2:
                place = self._item_end(node, i2 - 1, column) if i2 else self._dash(node, 0, column)
                splices.append(self._insert(place, block_lines(new[j1 + pairs : j2], column, self._layout.offset)))
        return splices

    def _key(self, path: tuple[str, ...], element: Any) -> Hashable:
        return _yaml.canonical(element) if self._identify_is_content(path) else self._identify(path, element)  # type: ignore[misc]

    def _identify_is_content(self, path: tuple[str, ...]) -> bool:
        return self._identify is None or self._identify(path, None) is None

    def _item(self, node: Any, index: int, column: int, old: Any, new: Any, path: tuple[str, ...]) -> list[Splice]:
        if _yaml.same(old, new):
            return []
        self._dash(node, index, column)
        value = node.value[index]

        def anew() -> list[Splice]:
            start, end = value.start_mark.index, value.end_mark.index
            grows = isinstance(new, (dict, list)) and new and not _yaml.is_flow_collection(value)
            if start == end or grows or _yaml.is_block_collection(value):
                dash = self._dash(node, index, column)
                return [Splice(dash, self._item_end(node, index, column), block_lines([new], column, self._layout.offset))]
            return [Splice(start, end, self._instead_of(value, new))]

        return self._change(path, value, old, new, anew)

    def _dash(self, node: Any, index: int, column: int) -> int:
        """Start of the line on which an item begins."""
        item = node.value[index]
        if item.start_mark.index < node.start_mark.index:  # an alias
            raise UnsupportedError
        start = self._layout.dash_line(item.start_mark.index, column, node.start_mark.index)
        if start is None:
            raise UnsupportedError
        return start

    def _item_end(self, node: Any, index: int, column: int) -> int:
        item = node.value[index]
        if item.start_mark.index < node.start_mark.index:
            raise UnsupportedError
        return self._layout.end_of(item, column)

    def _flow_sequence(self, node: Any, old: list[Any], new: list[Any], path: tuple[str, ...]) -> list[Splice]:
        if len(new) < len(old):
            raise UnsupportedError
        splices: list[Splice] = []
        for item, before, after in zip(node.value, old, new, strict=False):
            if not _yaml.same(before, after):
                splices += self._flow_value(path, item, before, after, node.start_mark.index)
        if len(new) > len(old):
            splices.append(self._append_in_flow(node.value[-1], node.start_mark.index, ", ".join(map(_yaml.inline, new[len(old) :]))))
        return splices

    def _flow_value(self, path: tuple[str, ...], node: Any, old: Any, new: Any, after: int) -> list[Splice]:
        start, end = node.start_mark.index, node.end_mark.index
        if start < after or start == end:  # an alias, or nothing written
            raise UnsupportedError
        return self._change(path, node, old, new, lambda: [Splice(start, end, _yaml.inline(new))])

    def _append_in_flow(self, last: Any, after: int, text: str) -> Splice:
        start, end = last.start_mark.index, last.end_mark.index
        if start < after or start == end:
            raise UnsupportedError
        return Splice(end, end, f", {text}")

    def _insert(self, place: int, lines: str) -> Splice:
        at_line_start = place == 0 or self._text[place - 1] == "\n"
        return Splice(place, place, lines if at_line_start else "\n" + lines)
