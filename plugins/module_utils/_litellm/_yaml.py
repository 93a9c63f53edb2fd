# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The one place that touches PyYAML: nodes with their positions, values rendered as text, values compared."""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any

try:
    import yaml
except ImportError:  # reported by the module through missing_required_lib
    yaml = None  # type: ignore[assignment]

AVAILABLE = yaml is not None

#: Wide enough that PyYAML never folds a line: a folded scalar cannot be indented as a block of lines.
_NEVER_FOLD = 1 << 30


class ParseError(Exception):
    """What is wrong and where, without the offending line: it may hold a key."""


def parse(text: str) -> tuple[Any, Any]:
    """Return (root node, data) of the only document in `text`; both None when it is empty.

    libyaml when PyYAML has it: 1,000 entries take 0.15 s instead of 2 s.
    """
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)  # safe: nothing in the text can name a Python type
        try:
            root = loader.get_single_node()
            data = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
        if "<<" in text:  # constructing writes merged keys into the nodes: take fresh ones
            root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return root, data
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ParseError(f"{error.problem or error.context}{f', line {mark.line + 1}, column {mark.column + 1}' if mark else ''}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ParseError(type(error).__name__) from None


def is_mapping(node: Any) -> bool:
    return isinstance(node, yaml.MappingNode)


def is_sequence(node: Any) -> bool:
    return isinstance(node, yaml.SequenceNode)


def is_block_collection(node: Any) -> bool:
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def is_flow_collection(node: Any) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def is_block_scalar(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")


def key_of(node: Any) -> Any:
    """The mapping key a key node stands for; None for `<<`, whose keys belong to another mapping."""
    if node.tag == "tag:yaml.org,2002:str":
        return node.value
    if node.tag == "tag:yaml.org,2002:merge" or not isinstance(node, yaml.ScalarNode):
        return None
    return yaml.safe_load(node.value)


def inline(value: Any) -> str:
    """Render a value on one line, safe in block and in flow context."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{inline(key)}: {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return _scalar(type(value).__name__, value, True)


def on_its_line(value: Any) -> str:
    """Render a scalar, or an empty collection, for a line of its own, where less needs quotes than inside brackets."""
    return inline(value) if isinstance(value, (dict, list, tuple)) else _scalar(type(value).__name__, value, False)


@lru_cache(maxsize=4096)
def _scalar(_kind: str, value: Any, flow: bool) -> str:
    # The type is part of the cache's key because 1 == True == 1.0. Inside a list, so that no end of document is written.
    dumped: str = yaml.dump(
        [value],
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        default_flow_style=flow,
        default_style='"' if isinstance(value, str) and not value.isprintable() else None,
        width=_NEVER_FOLD,
        allow_unicode=True,
    )
    return dumped.strip()[1:-1] if flow else dumped.removeprefix("- ").removesuffix("\n")


def same(left: Any, right: Any) -> bool:
    """Equal in value and type: True is not 1, and LiteLLM reads them differently."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and (left == right or repr(left) == repr(right))  # .nan is not equal to itself


def canonical(value: Any) -> Any:
    """A hashable stand-in that is equal exactly when `same` says so."""
    if isinstance(value, dict):
        return ("map", frozenset((key, canonical(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("seq", tuple(canonical(item) for item in value))
    return (type(value).__name__, repr(value))


def kind(value: Any) -> str:
    """What a person calls it."""
    if isinstance(value, dict):
        return "mapping"
    if isinstance(value, (list, tuple)):
        return "list"
    return "date" if isinstance(value, datetime.date) else "text" if isinstance(value, str) else type(value).__name__
