# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The whole way of a config, from the text there is to the text there shall be."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._litellm import chain, failover, first_token, mermaid
from ansible_collections.homelab.llm.plugins.module_utils._litellm.budget import NO_BUDGET, Budget, over, tiers_of
from ansible_collections.homelab.llm.plugins.module_utils._litellm.check import LeftOut, find_problems, leave_out, model_groups
from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import Told, fallbacks_of, identify, max_fallbacks_of, merge
from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import load, rewrite

#: First line of a config that is made, not edited.
HEADER = (
    "# Made by homelab.llm.litellm_model, which keeps what it is not told of: comments, entries and settings of your own may stay here.\n"
)


@dataclass(frozen=True)
class Wanted:
    """What the caller tells, and what is known of the place. `known_names` is None when nobody knows the pods' environment."""

    told: Told
    explicit_only: Sequence[str] = ()
    known_names: Collection[str] | None = None
    environment: str = "the environment"
    leave_out_without_key: bool = False
    budget: Budget = NO_BUDGET
    over_budget_fails: bool = True


@dataclass(frozen=True)
class Result:
    """The text a config becomes, what that means, and what is wrong with it (then it must not be written)."""

    text: str
    problems: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    models: tuple[str, ...]
    chains: dict[str, list[str]]
    tree: str
    failover: tuple[failover.Chain, ...] = ()
    over_budget: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    flowchart: str = ""


def converge(text: str, wanted: Wanted) -> Result:
    """Return what `text` becomes. Raises DocumentError when it cannot be read or edited."""
    current, told = load(text), wanted.told
    left_out: tuple[LeftOut, ...] = ()
    dropped: tuple[str, ...] = ()
    if wanted.leave_out_without_key and wanted.known_names is not None and not told.absent:
        told, left_out = leave_out(told, wanted.known_names)
        # An entry whose key is gone would be asked, fail and cost time in every chain it is in: it goes too, if it is there.
        without = merge(current, Told(models=[each.entry for each in left_out], absent=True))
        current, dropped = without.data, without.removed
    outcome = merge(current, told)
    served = model_groups(outcome.data)
    explicit_only = [name for name in wanted.explicit_only if name in served or name not in {each.model_name for each in left_out}]
    problems = [*outcome.problems]
    if not problems:
        problems += find_problems(outcome.data, told, explicit_only, wanted.known_names, wanted.environment)
    # What chains cost can be told only of chains that work.
    estimated = () if problems else failover.estimate(outcome.data)
    over_budget = tuple(over(estimated, wanted.budget))
    if wanted.over_budget_fails:
        problems += over_budget
    if problems:
        return Result(text, tuple(dict.fromkeys(problems)), (), (), (), left_out, (), {}, "")
    fallbacks, deepest = fallbacks_of(outcome.data), max_fallbacks_of(outcome.data, chain.MAX_FALLBACKS)
    return Result(
        text=rewrite(text if text.strip() else HEADER, outcome.data, identify) if outcome.data else text,
        problems=(),
        added=outcome.added,
        changed=outcome.changed,
        removed=(*dropped, *outcome.removed),
        left_out=left_out,
        models=tuple(served),
        chains={group: list(chain.walk(fallbacks, group, deepest)) for group in served},
        tree=chain.tree(fallbacks, served, deepest),
        failover=estimated,
        over_budget=over_budget,
        warnings=() if told.absent else tuple(first_token.find_warnings(told.models, outcome.data)),
        flowchart=mermaid.flowchart(
            fallbacks, served, explicit_only, {tier.model_group: tier.worst.worst for tier in tiers_of(estimated)}, deepest
        ),
    )
