# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What shall be in a Secret, and the smallest change that brings it there: plain data in, plain data out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import PlaceholderRule

#: The API server's limit for the sum of a Secret's values (k8s.io/api/core/v1, MaxSecretSize).
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Recipe:
    """How to make a value: `length` random characters behind `prefix`."""

    length: int
    prefix: str = ""


@dataclass(frozen=True)
class Wanted:
    """What the caller asks of a Secret's keys. A key that is in none of these is not the caller's and stays as it is.

    `values` are to be there as they are; `generate` are made when there is none yet; `absent` are to be gone; `required` must be there with
    a real value, whoever wrote it; `untouched` were named without a value: they stay as they are and count in the checksum.
    """

    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    generate: Mapping[str, Recipe] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    untouched: frozenset[str] = frozenset()
    allow_placeholders: frozenset[str] = frozenset()
    rule: PlaceholderRule = field(default_factory=PlaceholderRule)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key the caller named, sorted."""
        return tuple(sorted({*self.values, *self.generate, *self.absent, *self.required, *self.untouched}))

    def refuses(self, key: str, value: bytes) -> str | None:
        """Return why `value` must not be under `key`, or None. `allow_placeholders` allows a fixed word, never an empty value."""
        why = self.rule.why(value)
        return None if why and why != "is empty" and key in self.allow_placeholders else why


@dataclass(frozen=True)
class Plan:
    """`actions` per named key; `changes` to send, None to remove; `after` the named keys' values once that is done."""

    actions: Mapping[str, str]
    changes: Mapping[str, bytes | None] = field(repr=False)
    after: Mapping[str, bytes] = field(repr=False)


def find_problems(wanted: Wanted) -> Iterator[str]:
    """Yield why a given value must not be in any Secret: one sentence each, naming the key and never the value."""
    for key in sorted(wanted.values):
        if why := wanted.refuses(key, wanted.values[key]):
            yield f"{key} {why}"


def make_plan(wanted: Wanted, current: Mapping[str, bytes], make: Callable[[str, Recipe], bytes]) -> Plan:
    """Compare `wanted` with the Secret's `current` values. `make` makes the value of a key to generate."""
    actions: dict[str, str] = {}
    changes: dict[str, bytes | None] = {}
    for key in wanted.keys:
        if key in wanted.values:
            if current.get(key) == wanted.values[key]:
                actions[key] = "unchanged"
            else:
                actions[key] = "updated" if key in current else "added"
                changes[key] = wanted.values[key]
        elif key in wanted.generate and (key not in current or wanted.refuses(key, current[key])):
            # A stand-in that an older deployment left there is as good as nothing.
            actions[key] = "generated"
            changes[key] = make(key, wanted.generate[key])
        elif key in wanted.absent and key in current:
            actions[key] = "removed"
            changes[key] = None
        else:
            actions[key] = "unchanged"
    after = {key: value for key, value in {**current, **changes}.items() if value is not None}
    return Plan(actions, changes, {key: after[key] for key in wanted.keys if key in after})


def find_shortcomings(wanted: Wanted, plan: Plan, current: Mapping[str, bytes]) -> Iterator[str]:
    """Yield why the Secret would not be right even after the plan: one sentence each."""
    for key in sorted(wanted.required):
        if key not in plan.after:
            yield f"{key} is required and not there"
        elif key not in wanted.values and (why := wanted.refuses(key, plan.after[key])):
            yield f"{key} is required and {why}"
    size = _size({**current, **plan.changes}.values())
    if plan.changes and size > MAX_BYTES:
        yield f"its values would be {size} bytes together, more than the {MAX_BYTES} a Secret can hold"


def _size(values: Iterable[bytes | None]) -> int:
    return sum(len(value) for value in values if value is not None)
