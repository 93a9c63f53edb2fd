# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A page of Open-WebUI's admin settings: what it would be with what was asked for, and what is wrong with that. Plain data."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """`name` is the module's option. The page is read at `read` and written as a whole at `write`."""

    name: str
    read: str
    write: str


#: In the order in which they are written: sign-up is closed before anything else is touched.
SECTIONS = (
    Section("admin", "/api/v1/auths/admin/config", "/api/v1/auths/admin/config"),
    Section("models", "/api/v1/configs/models", "/api/v1/configs/models"),
    Section("tasks", "/api/v1/tasks/config", "/api/v1/tasks/config/update"),
)

#: Lists that Open-WebUI keeps as one text with commas.
_WITH_COMMAS = frozenset({"DEFAULT_MODELS", "DEFAULT_PINNED_MODELS"})


def as_kept(wanted: Settings) -> dict[str, Any]:
    """Return what was asked for in the form in which Open-WebUI keeps it."""
    return {
        name: ",".join(map(str, value)) if name in _WITH_COMMAS and isinstance(value, list) else value for name, value in wanted.items()
    }


def overlay(current: Any, wanted: Any) -> Any:
    """Return `current` with `wanted` in it: keys of dictionaries that are not named stay, everything else is replaced."""
    if not isinstance(wanted, Mapping) or not isinstance(current, Mapping):
        return wanted
    return {**current, **{name: overlay(current.get(name), value) for name, value in wanted.items()}}


def differing(current: Settings, wanted: Settings) -> list[str]:
    """Return the names in `wanted` whose value is another one in `current`."""
    return [name for name, value in wanted.items() if not same(current.get(name), overlay(current.get(name), value))]


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON. For Python, 1 is True."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def find_problems(section: Section, current: Settings, wanted: Settings, version: str) -> Iterator[str]:
    """Yield a sentence for each setting that this version of Open-WebUI does not have, or has as something else."""
    for name, value in wanted.items():
        if name not in current:
            close = difflib.get_close_matches(name, current, n=3, cutoff=0.6)
            nearest = f": did you mean {' or '.join(close)}?" if close else f", which has {', '.join(sorted(current))}"
            yield f"there is no {section.name}.{name} in Open-WebUI {version}{nearest}"
        elif current[name] is not None and isinstance(current[name], bool) != isinstance(value, bool):
            kind = "true or false" if isinstance(current[name], bool) else f"{type(current[name]).__name__}, neither true nor false"
            yield f"{section.name}.{name} is {kind} in Open-WebUI {version}, and {value!r} was asked for"
