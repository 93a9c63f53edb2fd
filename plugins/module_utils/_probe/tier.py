# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Who answered: an answer's headers and body against the tiers that a chain has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Request

#: Why an answer is nobody's: from the primary's server by another name; by a tier but another model; from nobody known.
Problem = Literal["", "same_server", "wrong_model", "unknown"]


@dataclass(frozen=True)
class Tier:
    """One step of a chain, the primary being the first. What is empty is not compared; something must identify it.

    `name` for people. `model_group` as LiteLLM's header and `api_base` as its header say them. `models`: what an answer's `model` may be
    beside the group itself (LiteLLM 1.106.2: the model group, or after a fallback, whole, the provider's own name). `says`: a text of every
    answer of this tier, for backends that tell who they are: LiteLLM writes the asked name over a backend's wrong `model`.
    `same_server_as`: the tier whose server this one is allowed to share.
    """

    name: str
    model_group: str = ""
    api_base: str = ""
    models: tuple[str, ...] = ()
    says: str = ""
    same_server_as: str = ""


@dataclass(frozen=True)
class Served:
    """The tier's name, or "" and why; `claimed` is what the answer says of itself."""

    tier: str
    problem: Problem = ""
    claimed: str = ""


def server_of(api_base: str) -> str:
    """Return an address without what may be written differently for the same server: scheme's case, path, default port."""
    scheme, _colon, rest = api_base.lower().partition("://")
    host = rest.partition("/")[0]
    port = {"http": ":80", "https": ":443"}.get(scheme, "")
    return host.removesuffix(port) if port else host


def _is_of(request: Request, tier: Tier) -> bool:
    """Whether all that identifies the tier and that the answer tells agrees, and there is such a thing."""
    pairs = [
        (tier.model_group, request.model_group),
        (server_of(tier.api_base), server_of(request.api_base)),
    ]
    told = [(expected, found) for expected, found in pairs if expected and found]
    if told:
        return all(expected == found for expected, found in told)
    # Asked without LiteLLM there are no headers: the body's model is all there is.
    return request.model in tier.models


def _may_be_called(request: Request, tier: Tier, tried: Sequence[Tier]) -> bool:
    names = {tier.model_group, *tier.models} - {""}
    names |= {name.partition("/")[2] for name in tier.models if "/" in name}
    if request.fallbacks in ("", "0"):
        names.add(request.asked)
    elif request.stream:
        # A stream that a tier began, and that LiteLLM let the next one give before a word of it was sent, keeps the name of the former.
        names |= {each.model_group for each in tried} - {""}
    return request.model in names


def served_by(request: Request, tiers: Sequence[Tier]) -> Served:
    """Return which of `tiers` answered a request that was answered."""
    claimed = " ".join(
        part for part in (request.model_group or request.model, "at " + request.api_base if request.api_base else "") if part
    )
    same = _other_name_of(request, tiers)
    if same:
        return Served("", "same_server", claimed)
    found = [tier for tier in tiers if _is_of(request, tier)]
    # Tiers of one group, such as those behind LiteLLM for OpenClaw, are told apart by what they say.
    found = [tier for tier in found if tier.says in request.said] if len(found) > 1 and all(tier.says for tier in found) else found
    if len(found) != 1:
        return Served("", "unknown", claimed)
    tier = found[0]
    if not _may_be_called(request, tier, tiers[: tiers.index(tier)]):
        return Served("", "wrong_model", f"{request.model} from {tier.name}")
    if tier.says and tier.says not in request.said:
        return Served("", "wrong_model", f"'{request.said}' from {tier.name}")
    return Served(tier.name, "", claimed)


def _other_name_of(request: Request, tiers: Sequence[Tier]) -> bool:
    """Whether another group than the one that owns this server answered, without leave."""
    server = server_of(request.api_base)
    if not server or not request.model_group:
        return False
    # An alias: `order` within one group has the group's name on each tier, so only a differing name counts.
    owners = [tier for tier in tiers if tier.model_group and server_of(tier.api_base) == server]
    if not owners or any(tier.model_group == request.model_group for tier in owners):
        return False
    return any(tier.model_group == request.model_group for tier in tiers)
