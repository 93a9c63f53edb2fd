# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a config becomes when it is told of models, fallbacks and settings: plain data in, plain data out."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml
from ansible_collections.homelab.llm.plugins.module_utils._litellm.entry import address, entry_id, in_order, label, shape_problem

#: The sections that `settings` may hold.
SECTIONS = ("router_settings", "litellm_settings", "general_settings")


@dataclass(frozen=True)
class Told:
    """What the caller wants to be there (or, with `absent`, not to be there). `purge` removes what it does not name."""

    models: Sequence[Mapping[str, Any]] = ()
    fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    absent: bool = False
    purge: bool = False


@dataclass(frozen=True)
class Outcome:
    """The config as data, and which model groups' entries changed how."""

    data: dict[str, Any]
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def identify(path: tuple[str, ...], element: Any) -> Hashable:
    """Which element of a list is which, for an edit of the text; None where the content alone decides."""
    if path == ("model_list",):
        return entry_id(element) or address(element) if isinstance(element, Mapping) else repr(element)
    if path[-1:] == ("fallbacks",):
        return tuple(element) if isinstance(element, Mapping) else repr(element)
    return None


def merge(current: Mapping[str, Any], told: Told) -> Outcome:
    """Return what `current` becomes. Applying the same twice gives the same, and what was not told of stays."""
    problems = [problem for entry in told.models if (problem := shape_problem(entry)) and not (told.absent and _named(entry))]
    if not isinstance(current.get("model_list") or [], list):
        problems.append("model_list is no list")
    if problems:
        return Outcome(dict(current), problems=tuple(problems))
    data = copy.deepcopy(dict(current))
    models = _without(data.get("model_list") or [], told) if told.absent else _with(data.get("model_list") or [], told, problems)
    if models["entries"] or data.get("model_list"):
        data["model_list"] = models["entries"]
    for section, wanted in told.settings.items():
        _merge_settings(data, section, wanted, told.absent)
    _merge_fallbacks(data, told, problems)
    ordered = {"model_list": data.pop("model_list")} if "model_list" not in current and "model_list" in data else {}
    added, changed, removed = (tuple(models[how]) for how in ("added", "changed", "removed"))
    return Outcome({**ordered, **data}, added, changed, removed, tuple(problems))


def fallbacks_of(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """The fallback lists in force: one in router_settings hides one in litellm_settings (router.py, `fallbacks or litellm.fallbacks`)."""
    router, plain = (data.get(section) or {} for section in ("router_settings", "litellm_settings"))
    found = {
        key: [_target(each) for each in targets]
        for pair in router.get("fallbacks") or plain.get("fallbacks") or []
        for key, targets in pair.items()
    }
    default = router.get("default_fallbacks") or plain.get("default_fallbacks")
    return {**found, "*": list(default)} if default else found


def max_fallbacks_of(data: Mapping[str, Any], default: int) -> int:
    for section in ("router_settings", "litellm_settings"):
        value = (data.get(section) or {}).get("max_fallbacks")
        if isinstance(value, int):
            return value
    return default


def _named(entry: Any) -> bool:
    return isinstance(entry, Mapping) and bool(entry.get("model_name") or entry_id(entry))


def _target(target: Any) -> str:
    """A fallback may carry request parameters: `{model: name, …}`."""
    return str(target.get("model")) if isinstance(target, Mapping) else str(target)


def _with(entries: Sequence[Any], told: Told, problems: list[str]) -> dict[str, list[Any]]:
    result = list(entries)
    index_of = _Index(result)
    how: dict[str, list[Any]] = {"added": [], "changed": [], "removed": []}
    matched: set[int] = set()
    for wanted in map(in_order, told.models):
        found = index_of.find(wanted)
        if len(found) > 1:
            problems.append(f"{label(wanted)} matches {len(found)} entries of model_list: give each a model_info.id to tell them apart")
        elif not found:
            index_of.add(wanted)
            matched.add(len(result) - 1)
            how["added"].append(wanted["model_name"])
        elif found[0] in matched:
            problems.append(
                f"{label(wanted)} is told twice (same id, or same model_name, model and api_base): give each a model_info.id of its own"
            )
        else:
            matched.add(found[0])
            if not _yaml.same(result[found[0]], wanted):
                result[found[0]] = wanted
                how["changed"].append(wanted["model_name"])
    if told.purge:
        how["removed"] = [_name(each) for index, each in enumerate(result) if index not in matched]
        result = [each for index, each in enumerate(result) if index in matched]
    return {"entries": result, **how}


class _Index:
    """Finds entries in a list in constant time: a thousand told against a thousand there are a million comparisons otherwise."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = entries
        self._ids: dict[str, list[int]] = {}
        self._addresses: dict[tuple[str, str, str], list[int]] = {}
        for position, each in enumerate(entries):
            self._note(position, each)

    def _note(self, position: int, entry: Any) -> None:
        if isinstance(entry, Mapping):
            if (own := entry_id(entry)) is not None:
                self._ids.setdefault(own, []).append(position)
            self._addresses.setdefault(address(entry), []).append(position)

    def add(self, entry: Any) -> None:
        self._entries.append(entry)
        self._note(len(self._entries) - 1, entry)

    def find(self, wanted: Mapping[str, Any]) -> list[int]:
        """Positions of the entries that `wanted` describes: by id, else by address, so that an entry may be given an id later."""
        own = entry_id(wanted)
        if own is not None and own in self._ids:
            return self._ids[own]
        there = self._addresses.get(address(wanted), [])
        return there if own is None else [position for position in there if entry_id(self._entries[position]) is None]


def _without(entries: Sequence[Any], told: Told) -> dict[str, list[Any]]:
    """Drop what is told: by id, by address, or, when no backend is named, all entries of the model group."""

    def is_told(each: Any) -> bool:
        return isinstance(each, Mapping) and any(
            entry_id(each) == entry_id(wanted)
            if entry_id(wanted) is not None
            else address(each) == address(wanted)
            if wanted.get("litellm_params")
            else each.get("model_name") == wanted.get("model_name")
            for wanted in told.models
        )

    kept = [each for each in entries if not is_told(each)]
    return {"entries": kept, "added": [], "changed": [], "removed": [_name(each) for each in entries if is_told(each)]}


def _name(entry: Any) -> str:
    return str(entry.get("model_name")) if isinstance(entry, Mapping) else "?"


def _merge_settings(data: dict[str, Any], section: str, wanted: Mapping[str, Any], absent: bool) -> None:
    """Mappings are merged key by key, anything else replaced; None (or `absent`) takes a key out."""

    def into(target: dict[str, Any], source: Mapping[str, Any]) -> None:
        for key, value in source.items():
            if isinstance(value, Mapping) and isinstance(target.get(key, {}), dict) and (value or not absent):
                inner = target.get(key) or {}
                into(inner, value)
                if inner or not absent:
                    target[key] = inner
                else:
                    target.pop(key, None)
            elif value is None or absent:
                target.pop(key, None)
            else:
                target[key] = copy.deepcopy(value)

    result = data.get(section) or {}
    into(result, wanted)
    if result or data.get(section) is not None:
        data[section] = result


def _merge_fallbacks(data: dict[str, Any], told: Told, problems: list[str]) -> None:
    """Edit the list where it is; a new one goes into router_settings, the place LiteLLM documents."""
    there = [section for section in ("router_settings", "litellm_settings") if (data.get(section) or {}).get("fallbacks")]
    if len(there) == 2:
        problems.append(
            "there are fallbacks in router_settings and in litellm_settings, and LiteLLM ignores the latter: "
            "remove one, for example by settings: {litellm_settings: {fallbacks: null}}"
        )
        return
    section = there[0] if there else "router_settings"
    pairs = list((data.get(section) or {}).get("fallbacks") or [])
    if any(not isinstance(pair, Mapping) or len(pair) != 1 for pair in pairs):
        problems.append(f"{section}.fallbacks has an item that is not one model group with its list: LiteLLM would not start")
        return
    wanted = {key: [] if told.absent else list(targets) for key, targets in told.fallbacks.items()}
    result = [
        {key: wanted.get(key, targets)} for pair in pairs for key, targets in pair.items() if not told.purge or told.absent or key in wanted
    ]
    known = {key for pair in result for key in pair}
    result += [{key: targets} for key, targets in wanted.items() if key not in known]
    result = [pair for pair in result if any(pair.values())]
    if result != pairs:
        data[section] = {
            key: value for key, value in {**(data.get(section) or {}), "fallbacks": result}.items() if key != "fallbacks" or result
        }
