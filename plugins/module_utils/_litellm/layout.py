# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Which lines of a YAML text belong to a value, comments included, and how new lines look beside them."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml

_FIRST_LIST = re.compile(r"^[A-Za-z_]+:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*( *)- ", re.MULTILINE)


def block_lines(value: Any, column: int, offset: int) -> str:
    """Render a collection that is not empty in block style; a list inside a mapping is set in by `offset`."""
    pad, lines = " " * column, []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                inner = column + (2 if isinstance(item, dict) else offset)
                lines.append(f"{pad}{_yaml.inline(key)}:\n{block_lines(item, inner, offset)}")
            else:
                lines.append(f"{pad}{_yaml.inline(key)}: {_yaml.on_its_line(item)}\n")
    else:
        for item in value:
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}- {block_lines(item, column + 2, offset).lstrip(' ')}")
            else:
                lines.append(f"{pad}- {_yaml.on_its_line(item)}\n")
    return "".join(lines)


class Layout:
    """Lines and indents of one text. Offsets are characters from its start; a line's end is the start of the next."""

    def __init__(self, text: str) -> None:
        self._text = text
        first = _FIRST_LIST.search(text)
        #: How far this author sets a list in below its key.
        self.offset = min(len(first[1]), 2) if first else 2

    def line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def line_end(self, index: int) -> int:
        newline = self._text.find("\n", index)
        return len(self._text) if newline < 0 else newline + 1

    def own_line(self, index: int) -> int | None:
        """Start of the line when nothing but space stands before `index` in it."""
        start = self.line_start(index)
        return start if not self._text[start:index].strip(" ") else None

    def dash_line(self, index: int, column: int, first: int) -> int | None:
        """Start of the line with the dash at `column` that introduces the item at `index`; not before the list's start, `first`."""
        start, earliest = self.line_start(index), self.line_start(first)
        while start >= earliest:
            line = self._text[start : self.line_end(start)]
            if line[column : column + 1] == "-" and not line[:column].strip(" "):
                return start
            if line.strip() and not line.lstrip().startswith("#") and start != self.line_start(index):
                return None
            if start == 0:
                return None
            start = self.line_start(start - 1)
        return None

    def with_comments_above(self, start: int, column: int) -> int:
        """Move `start` up over the comment lines directly above, as long as they begin at `column`."""
        while start:
            above = self.line_start(start - 1)
            line = self._text[above:start]
            if not (line.startswith(" " * column + "#")):
                break
            start = above
        return start

    def end_of(self, node: Any, column: int) -> int:
        """End of the last line of `node`, which sits in a collection at `column`, with the deeper comments below it."""
        end = self._content_end(node)
        position = end
        while position < len(self._text) and (position == 0 or self._text[position - 1] == "\n"):
            after = self.line_end(position)
            line = self._text[position:after]
            bare = line.lstrip(" ")
            if bare.startswith("#") and len(line) - len(bare) > column:
                end = after
            elif bare.strip():
                break
            position = after
        return end

    def _content_end(self, node: Any) -> int:
        index = node.end_mark.index
        start = self.line_start(index)
        if _yaml.is_block_scalar(node):
            return index if index == start else self.line_end(index)
        if not _yaml.is_block_collection(node):
            return self.line_end(index)
        if self._text[start:index].strip():  # the text ends without a newline
            return self.line_end(index)
        # A block ends where the next token begins: go back over what lies between, but never into a `|` text with a `#` line.
        floor = self._last_leaf_end(node)
        while start > floor:
            above = self.line_start(start - 1)
            line = self._text[above:start].strip()
            if line and not line.startswith("#"):
                break
            start = above
        return start

    def _last_leaf_end(self, node: Any) -> int:
        while _yaml.is_block_collection(node) and node.value:
            last = node.value[-1]
            key, last = last if isinstance(last, tuple) else (None, last)
            if last.start_mark.index < node.start_mark.index:  # an alias: the anchor is elsewhere
                return int(key.end_mark.index if key else node.start_mark.index)
            node = last
        return int(node.end_mark.index)
