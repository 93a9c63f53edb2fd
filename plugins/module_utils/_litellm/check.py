# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Everything that can be known to be wrong before a config is written, and what to do without the models whose key is absent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm import chain, entry, first_token
from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import Told, fallbacks_of, max_fallbacks_of
from ansible_collections.homelab.llm.plugins.module_utils._litellm.secret_fields import inline_secrets, references

#: The ways to give what a model reads. The last two are the role's.
GIVE_THE_KEY = (
    "add it there first, with homelab.llm.k8s_secret_patch or, with the role litellm, in litellm_provider_keys_extra "
    "(or in the environment of whoever runs the play, for those that litellm_provider_keys takes from there)"
)


@dataclass(frozen=True)
class LeftOut:
    """A model that is not configured because the pods would not have its key."""

    model_name: str
    missing: tuple[str, ...]
    entry: Mapping[str, Any]


def leave_out(told: Told, known_names: Collection[str], served_without_them: Collection[str] = ()) -> tuple[Told, tuple[LeftOut, ...]]:
    """Return what is told without the models that read an environment variable not in `known_names`, and those models.

    A model group that is left out as a whole leaves the fallback lists too. `served_without_them` are groups the config has anyway.
    """
    left: list[LeftOut] = []
    kept: list[Mapping[str, Any]] = []
    for each in told.models:
        missing = tuple(name for name in entry.env_names(each) if name not in known_names) if entry.shape_problem(each) is None else ()
        if missing:
            left.append(LeftOut(each["model_name"], missing, each))
        else:
            kept.append(each)
    if not left:
        return told, ()
    gone = {each.model_name for each in left} - {str(each.get("model_name")) for each in kept} - set(served_without_them)
    fallbacks = {
        group: [target for target in targets if target not in gone] for group, targets in told.fallbacks.items() if group not in gone
    }
    return replace(told, models=kept, fallbacks=fallbacks), tuple(left)


def find_problems(
    data: Mapping[str, Any], told: Told, explicit_only: Sequence[str], known_names: Collection[str] | None, where: str
) -> Iterator[str]:
    """Yield what is wrong with the config `data` that `told` led to. `known_names` is None when nobody knows the pods' environment.

    The chains are checked as a whole, entries and settings only as far as the caller told of them.
    """
    if not told.absent:
        for each in told.models:
            yield from entry.find_problems(each)
            yield from _unknown(entry.label(each), entry.env_names(each), known_names, where)
        for section, values in told.settings.items():
            for field in inline_secrets(values):
                yield f"{section}.{field} is in plain text: put the value into the Secret and write os.environ/NAME here"
            yield from _unknown(section, references(values), known_names, where)
    # All of them, told or not: for any of them LiteLLM would not start.
    for each in data.get("model_list") or []:
        if isinstance(each, Mapping) and entry.shape_problem(each) is None:
            yield from (f"{entry.label(each)} {problem}" for problem in first_token.find_problems(each, data))
    # `groq/*` serves whatever begins so: names that only such a pattern covers count as served.
    # So does a name that stands for a model group: its own chain is the only one that LiteLLM looks up for it.
    groups = [*model_groups(data), *((data.get("router_settings") or {}).get("model_group_alias") or {})]
    fallbacks = fallbacks_of(data)
    patterns = tuple(group.removesuffix("*") for group in groups if group.endswith("*") and group != "*")
    named = {name for targets in fallbacks.values() for name in targets} | set(fallbacks)
    covered = [name for name in sorted(named) if patterns and name.startswith(patterns)]
    for problem in chain.find_problems(fallbacks, [*groups, *covered], explicit_only, max_fallbacks_of(data, chain.MAX_FALLBACKS)):
        yield f"model group '{problem.model_group}' {problem.message}"


def model_groups(data: Mapping[str, Any]) -> list[str]:
    """The names in model_list, each once, in order."""
    return list(dict.fromkeys(str(each.get("model_name")) for each in data.get("model_list") or [] if isinstance(each, Mapping)))


def _unknown(subject: str, names: Sequence[str], known_names: Collection[str] | None, where: str) -> Iterator[str]:
    for name in names:
        if known_names is not None and name not in known_names:
            yield f"{subject} reads {name}, which {where} does not have: {GIVE_THE_KEY}"
