# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Fallback chains of a LiteLLM config, as plain data: which model groups a request may reach, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

#: Fallback list per model group; `*` stands for every group that has no list of its own.
Fallbacks = Mapping[str, Sequence[str]]

#: LiteLLM's `max_fallbacks` unless set: how deep one request may walk (constants.py, ROUTER_MAX_FALLBACKS).
MAX_FALLBACKS = 5

ANY = "*"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a model group; `message` says what to change."""

    model_group: str
    message: str

    def __str__(self) -> str:
        return f"{self.model_group} {self.message}"


@dataclass(frozen=True)
class Step:
    """A model group that is tried, and the one whose list names it (None for the requested)."""

    model_group: str
    listed_by: str | None


def walk(fallbacks: Fallbacks, requested: str, max_fallbacks: int = MAX_FALLBACKS) -> tuple[str, ...]:
    """Return the model groups that LiteLLM tries for a request to `requested`, in order, `requested` first."""
    return tuple(step.model_group for step in steps(fallbacks, requested, max_fallbacks))


def steps(fallbacks: Fallbacks, requested: str, max_fallbacks: int = MAX_FALLBACKS) -> Iterator[Step]:
    """Yield what LiteLLM tries, in order.

    A fallback that fails is answered by its own list before its next sibling, and by the requested group's list when it has none.
    No group is tried twice in one request. Each attempt counts as one fallback, siblings included, and the walk stops going
    deeper once `max_fallbacks` have been made; what is left of the lists already entered is still tried.
    Source: litellm 1.106.2, router_utils/fallback_event_handlers.py: run_async_fallback, fallback_lookup_groups.
    """
    attempted: set[str] = set()

    def enter(failed: str, made: int) -> Iterator[Step]:
        if made >= max_fallbacks:
            return
        attempted.add(failed)
        owner, targets = _list_for(fallbacks, failed, requested)
        for target in targets:
            if target in attempted:
                continue
            attempted.add(target)
            yield Step(target, owner)
            made += 1
            yield from enter(target, made)

    yield Step(requested, None)
    yield from enter(requested, 0)


def _list_for(fallbacks: Fallbacks, failed: str, requested: str) -> tuple[str, Sequence[str]]:
    """The list that answers a failure, and whose it is: the group's own, else the requested group's, else the one for `*`."""
    for model_group in (failed, requested):
        # LiteLLM also takes the key without the provider: `qwen` answers for the group `openai/qwen`.
        for key in (model_group, model_group.partition("/")[2]):
            if key and key != ANY and key in fallbacks:
                return model_group, fallbacks[key]
    return requested, fallbacks.get(ANY, ())


def tree(fallbacks: Fallbacks, model_groups: Iterable[str], max_fallbacks: int = MAX_FALLBACKS) -> str:
    """Draw the chain of each model group that has one: a line per attempt, set in below the one whose list names it."""
    lines: list[str] = []
    for requested in dict.fromkeys(model_groups):
        below: dict[str, list[str]] = {}
        for step in steps(fallbacks, requested, max_fallbacks):
            below.setdefault(step.listed_by or "", []).append(step.model_group)
        if len(below) > 1:
            lines += [requested, *_branches(below, requested, "")]
    return "\n".join(lines)


def _branches(below: Mapping[str, Sequence[str]], model_group: str, indent: str) -> Iterator[str]:
    targets = below.get(model_group, ())
    for position, target in enumerate(targets, 1):
        last = position == len(targets)
        yield f"{indent}{'└─' if last else '├─'} {target}"
        yield from _branches(below, target, indent + ("   " if last else "│  "))


def find_problems(
    fallbacks: Fallbacks, model_groups: Iterable[str], explicit_only: Iterable[str] = (), max_fallbacks: int = MAX_FALLBACKS
) -> Iterator[Problem]:
    """Yield what would make a chain fail, or answer from where it must not, in the order of `fallbacks`.

    `model_groups` are the names in `model_list`; `explicit_only` those that a client may ask for by name only.
    """
    served, reserved = set(model_groups), set(explicit_only)
    for name in sorted(reserved - served):
        yield Problem(name, "is explicit_only but not in model_list: add the model or drop the name")
    for model_group, targets in fallbacks.items():
        if model_group != ANY and model_group not in served and not any(name.partition("/")[2] == model_group for name in served):
            yield Problem(model_group, "has fallbacks but is not in model_list: LiteLLM will never use them")
        for target in dict.fromkeys(targets):
            if target == model_group:
                yield Problem(model_group, "falls back to itself: remove it from its own list")
            elif target not in served:
                yield Problem(model_group, f"falls back to '{target}', which is not in model_list")
    yield from _cycles(fallbacks)
    # A list for `*` makes a chain of every group, listed or not.
    for model_group in [*fallbacks, *(sorted(served - set(fallbacks)) if ANY in fallbacks else ())]:
        if model_group != ANY:
            yield from _wrong_ends(fallbacks, model_group, reserved, len(served), max_fallbacks)


def _wrong_ends(fallbacks: Fallbacks, model_group: str, reserved: set[str], groups: int, max_fallbacks: int) -> Iterator[Problem]:
    """Yield whom the chain reaches and must not, and whom it should and never does."""
    tried = walk(fallbacks, model_group, max_fallbacks)
    reached = [name for name in tried[1:] if name in reserved]
    if reached:
        yield Problem(model_group, f"reaches {', '.join(reached)}, which is explicit_only: remove it from every list on the way")
    # Each attempt counts, and none is made twice: as many as there are groups is no limit.
    missed = [name for name in walk(fallbacks, model_group, groups + 1) if name not in tried]
    if missed:
        yield Problem(
            model_group,
            f"never gets to {', '.join(missed)}: LiteLLM stops after {max_fallbacks} fallbacks. "
            "Shorten the chain or raise router_settings.max_fallbacks",
        )


def _cycles(fallbacks: Fallbacks) -> Iterator[Problem]:
    """Yield each cycle once. LiteLLM would not loop in it, but such a list says less than its author thinks."""
    done: set[str] = set()

    def visit(model_group: str, path: tuple[str, ...]) -> Iterator[Problem]:
        if model_group in path:
            cycle = path[path.index(model_group) :]
            if len(cycle) > 1:  # one that names itself is told apart already
                yield Problem(cycle[0], f"is in a cycle ({' → '.join([*cycle, model_group])}): take one of these steps out")
        elif model_group not in done:
            for target in fallbacks.get(model_group, ()):
                yield from visit(target, (*path, model_group))
            done.add(model_group)

    for model_group in fallbacks:
        yield from visit(model_group, ())
