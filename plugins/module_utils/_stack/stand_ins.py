# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Who answers in the place of a tier whose key is not there, so that a client may ask for it all the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_REFERENCE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True)
class StandIns:
    """The variables that each skipped model group lacks, and the group that is asked in its place, where there is one."""

    lacking: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]

    def fallbacks(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """What is left of fallback lists, with one for each name that another group stands in for: LiteLLM looks for a chain by the name
        that was asked for, and with none of its own a stand-in that fails would be the end.
        """
        served = {group: [name for name in targets if name not in self.lacking] for group, targets in wanted.items()}
        found = {group: targets for group, targets in served.items() if group not in self.lacking}
        return found | {name: served[group] for name, group in self.aliases.items() if served.get(group)}

    @property
    def messages(self) -> list[str]:
        """One sentence for each skipped model group."""
        return [
            f"{name} is skipped, there is no {', '.join(names)}: "
            + (f"{self.aliases[name]} answers in its place" if name in self.aliases else "nobody answers in its place")
            for name, names in self.lacking.items()
        ]


def find(models: Sequence[Mapping[str, Any]], order: Sequence[str], known: Collection[str]) -> StandIns:
    """Look for model groups of which no deployment has all its keys.

    Its stand-in is the next of `order` that has, or, behind the last one, the nearest before it. A group out of the order has none.
    """
    lacks: dict[str, list[tuple[str, ...]]] = {}
    for each in models:
        read = dict.fromkeys(_REFERENCE.findall(str(each.get("litellm_params"))))
        lacks.setdefault(each["model_name"], []).append(tuple(name for name in read if name not in known))
    lacking = {group: found[0] for group, found in lacks.items() if all(found)}
    aliases = {}
    for group in lacking:
        if group not in order:
            continue
        place = list(order).index(group)
        candidates = [name for name in (*order[place + 1 :], *reversed(order[:place])) if name in lacks and name not in lacking]
        if candidates:
            aliases[group] = candidates[0]
    return StandIns(lacking, aliases)
