# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The chains as a Mermaid flowchart, which GitHub and most forges draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.homelab.llm.plugins.module_utils._litellm import chain

#: Mermaid reads these in a label as markup, or as its end. It decodes `#35;` back into a character.
_ENTITIES = {ord(character): f"#{ord(character)};" for character in '"#<>&`\n\r'}


def flowchart(
    fallbacks: chain.Fallbacks,
    model_groups: Sequence[str],
    explicit_only: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
    max_fallbacks: int = chain.MAX_FALLBACKS,
) -> str:
    """Draw who is asked when who fails: an edge from a model group to each of its fallbacks, numbered in the order of the tries.

    `seconds` are those that a model group takes at most to fail over; they stand on its first edge. Model groups in no chain stand
    in a box of their own, those that only answer by name in another.
    """
    walks = {group: list(chain.steps(fallbacks, group, max_fallbacks)) for group in dict.fromkeys(model_groups)}
    edges: dict[tuple[str, str], str] = {}
    for group, steps in walks.items():
        # Each list is drawn once, from its owner: what a longer chain adds to it is its owner's own order.
        own = [step.model_group for step in steps[1:] if step.listed_by == group]
        for position, target in enumerate(own, 1):
            bound = f", {seconds[group]:g} s" if position == 1 and seconds and group in seconds else ""
            edges[group, target] = f"{position}{bound}"
    names = list(dict.fromkeys([*walks, *(target for _group, target in edges)]))
    ids = {name: f"m{number}" for number, name in enumerate(names)}
    chained = {name for edge in edges for name in edge}
    lines = ["flowchart LR"]
    lines += [f"  {_node(ids, name)}" for name in names if name in chained]
    lines += [f'  {ids[group]} -->|"{label}"| {ids[target]}' for (group, target), label in edges.items()]
    reserved = [name for name in names if name not in chained and name in explicit_only]
    alone = [name for name in names if name not in chained and name not in explicit_only]
    for number, (title, members) in enumerate((("only by its name, in no chain", reserved), ("no fallback", alone))):
        if members:
            lines += [f'  subgraph s{number}["{title}"]', *(f"    {_node(ids, name)}" for name in members), "  end"]
    return "\n".join(lines)


def _node(ids: Mapping[str, str], name: str) -> str:
    return f'{ids[name]}["{name.translate(_ENTITIES)}"]'
