# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a drill is asked to do, checked before it begins: the parameters of the module `failover_probe` as plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe import catalogue
from ansible_collections.homelab.llm.plugins.module_utils._probe.catalogue import BadCatalogue
from ansible_collections.homelab.llm.plugins.module_utils._probe.counting import Meter, meter_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import (
    BadExpectation,
    Chain,
    Expectation,
    Minimum,
    Threshold,
    threshold_of,
)
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault, Fault, fault_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.gateway import URL as GATEWAY_URL
from ansible_collections.homelab.llm.plugins.module_utils._probe.gateway import Gateway
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import BadLoad, Load, Plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import Tier

KEY_ENV = "FAILOVER_PROBE_KEY"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_SHAPE = ("rate", "stream", "prompt_tokens", "prompt_suffix", "max_tokens", "turn")
#: A turn is judged as a whole, and one person takes one after the other. A page streams whatever it asks.
_USUAL: Mapping[str, Mapping[str, Any]] = {
    "openai": {"stream": "both"},
    "open_webui": {"stream": "true"},
    "openclaw": {"stream": "false", "rate": 1.0},
}
_TIER = frozenset({"model_group", "name", "api_base", "models", "says", "same_server_as"})


class BadTask(ValueError):
    """The drill cannot be run as asked; the message says what to change. Nothing was broken."""


@dataclass(frozen=True)
class Durations:
    """Seconds: to look before, of the fault from its effect on, to look afterwards; longest until the effect, and until the return."""

    steady: float
    fault: float
    recovery: float
    effect: float
    ready: float

    @property
    def longest(self) -> float:
        """More than all of it can take: what is still broken then was forgotten."""
        return self.steady + self.effect + self.fault + self.ready + self.recovery + 180


@dataclass(frozen=True)
class Asked:
    """One model, its load, and its chain as far as it was told."""

    load: Load
    chain: tuple[Mapping[str, Any], ...]

    @property
    def groups(self) -> list[str]:
        return [str(tier["model_group"]) for tier in self.chain]


@dataclass(frozen=True)
class Task:
    """A drill."""

    name: str
    title: str
    namespace: str
    url: str
    asked: tuple[Asked, ...]
    direct: tuple[Load, ...]
    fault: Fault
    down: frozenset[str]
    durations: Durations
    thresholds: tuple[Threshold, ...]
    patience: float
    minimum: Minimum
    backend_path: str
    clean_errors: bool
    meters: tuple[Meter, ...] = ()
    gateway: Gateway | None = None
    email: str = ""

    @property
    def front(self) -> str:
        """Who is asked."""
        return str(self.gateway) if self.gateway else f"{'Open-WebUI' if self.email else 'LiteLLM'} at {self.url}"

    def plan(self, *, ca_file: str | None, verify: bool) -> Plan:
        loads = [*(each.load for each in self.asked), *self.direct]
        return Plan(loads, seconds=self.durations.longest, timeout_s=self.patience, ca_file=ca_file, verify=verify)

    def expectation(self, tiers: Mapping[str, Sequence[Mapping[str, str]]]) -> Expectation:
        """Return what is expected; `tiers` is what whoever is asked told of its model groups. Raises BadExpectation."""
        chains = [
            Chain(
                each.load.model,
                tuple(_tier(tier, tiers.get(tier["model_group"], ())) for tier in each.chain),
                frozenset(_name(tier) for tier in each.chain if {_name(tier), tier["model_group"]} & self.down),
            )
            for each in self.asked
        ]
        chains = list(dict.fromkeys(chains))  # a model may have several loads
        known = {tier.model_group for chain in chains for tier in chain.tiers}
        others = tuple(_tier({"model_group": name}, told) for name, told in tiers.items() if name not in known)
        direct = frozenset(load.name for load in self.direct)
        return Expectation(tuple(chains), self.thresholds, others, direct, minimum=self.minimum, clean_errors=self.clean_errors)

    def unserved(self, served: Sequence[str]) -> list[str]:
        """Return the models that are asked or fallen back to and that are not served."""
        wanted = dict.fromkeys(name for each in self.asked for name in (each.load.model, *each.groups))
        return [name for name in wanted if name not in served]


def _name(tier: Mapping[str, Any]) -> str:
    return str(tier.get("name") or tier["model_group"])


def _tier(given: Mapping[str, Any], told: Sequence[Mapping[str, str]]) -> Tier:
    group = str(given["model_group"])
    bases = {each["api_base"] for each in told}
    return Tier(
        name=_name(given),
        model_group=group,
        # Deployments at several addresses: the group's name alone tells who answered.
        api_base=str(given.get("api_base") or (next(iter(bases)) if len(bases) == 1 else "")),
        models=tuple(given.get("models") or dict.fromkeys(each["model"] for each in told)),
        says=str(given.get("says") or ""),
        same_server_as=str(given.get("same_server_as") or ""),
    )


def task_of(params: Mapping[str, Any]) -> Task:
    """Return the drill that the module's parameters ask for. Raises BadTask with everything that can be seen without a cluster."""
    try:
        return _task_of(params)
    except (BadFault, BadLoad, BadExpectation, BadCatalogue) as error:
        raise BadTask(str(error)) from None


def _task_of(params: Mapping[str, Any]) -> Task:
    name = params["name"]
    if not _NAME.fullmatch(name):
        raise BadTask(f"name: '{name}' must be at most 40 small letters, digits and hyphens: reports and pods are named after it")
    protocol = params.get("protocol") or "openai"
    gateway = _gateway(params) if protocol == "openclaw" else None
    url = GATEWAY_URL if gateway else params.get("url")
    if not url and protocol == "open_webui":
        raise BadTask("url: say where Open-WebUI is, for example http://open-webui.apps.svc.cluster.local")
    if not url:
        raise BadTask("url: say where LiteLLM is, for example http://litellm.ml.svc.cluster.local:4000/v1")
    if all(each.get("url") for each in params.get("models") or ()):
        raise BadTask("models: name at least one to ask")
    fault = fault_of(params.get("fault") or {})
    elsewhere = params.get("vantage") == "controller" or params.get("vantage_namespace") not in (None, params["namespace"])
    if fault.kind == "egress" and (elsewhere or gateway):
        raise BadTask("fault egress: only a pod in the namespace of the backends sees that the way is gone: ask from there")
    if fault.kind == "internet" and not gateway:
        raise BadTask("fault internet: only OpenClaw's own pod sees that the way is gone: it is for the protocol openclaw")
    key_env = KEY_ENV if params.get("key_secret") or params.get("key") else ""
    email = params.get("email") or ""
    if email and protocol != "open_webui":
        raise BadTask("email: only for the protocol open_webui, where somebody signs in")
    asked = tuple(_asked(each, url, key_env, protocol, email) for each in params["models"] if not each.get("url"))
    straight = [each for each in params["models"] if each.get("url")]
    direct = tuple(_load(each, each["url"], "", each.get("name") or f"direct-{each['model']}") for each in straight)
    task = Task(
        name=name,
        title=params.get("title") or name,
        namespace=params["namespace"],
        url=url,
        asked=asked,
        direct=direct,
        fault=fault,
        down=_down(params.get("down"), asked, fault),
        durations=_durations(params["durations"]),
        thresholds=_thresholds(params, name),
        patience=float(params["patience"]),
        minimum=Minimum(**(params.get("minimum") or {})),
        backend_path=params["backend_path"],
        clean_errors=bool(params.get("clean_errors")),
        meters=tuple(meter_of(each) for each in params.get("counters") or ()),
        gateway=gateway,
        email=email,
    )
    # What is wrong with loads and chains is said now, not when a pod runs.
    task.plan(ca_file=None, verify=True)
    task.expectation({})
    return task


def _gateway(params: Mapping[str, Any]) -> Gateway:
    """Where OpenClaw is, whose turns are asked from within it: what else says where to ask from, or with which key, has no meaning."""
    if given := [name for name in ("url", "key_secret", "vantage_namespace", "ca_file") if params.get(name)]:
        raise BadTask(f"{', '.join(given)}: not for the protocol openclaw, whose turns are taken in the gateway's own container")
    if any(each.get("url") for each in params.get("models") or ()):
        raise BadTask("models: url: not for the protocol openclaw; what a backend does alone is another drill")
    where = {name: value for name, value in (params.get("gateway") or {}).items() if value}
    return Gateway(**{"namespace": params["namespace"], **where})


def _thresholds(params: Mapping[str, Any], name: str) -> tuple[Threshold, ...]:
    """The limits that were given, and those that the catalogue has for a drill of this name."""
    given = tuple(threshold_of({k: v for k, v in each.items() if v is not None}) for each in params.get("thresholds") or ())
    entries = params.get("catalogue")
    return given + (catalogue.of_drill(catalogue.load(entries), params.get("proves") or name) if entries else ())


def _asked(given: Mapping[str, Any], url: str, key_env: str, protocol: str, email: str) -> Asked:
    chain = [{"model_group": each} if isinstance(each, str) else dict(each) for each in given.get("chain") or [given["model"]]]
    for tier in chain:
        if unknown := set(tier) - _TIER:
            raise BadTask(f"models: {given['model']}: a tier has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_TIER))}")
        if not tier.get("model_group"):
            raise BadTask(f"models: {given['model']}: a tier of its chain has no model_group")
    return Asked(_load(given, url, key_env, given.get("name") or given["model"], protocol, email), tuple(chain))


def _load(given: Mapping[str, Any], url: str, key_env: str, name: str, protocol: str = "openai", email: str = "") -> Load:
    usual = _USUAL[protocol]
    told = {each: given[each] for each in _SHAPE if given.get(each) is not None}
    shape = {**usual, **told}
    if protocol != "openclaw" and "turn" in told:
        raise BadTask(f"models: {given['model']}: turn is for the protocol openclaw")
    shape["stream"] = {"true": True, "false": False, "both": "both"}[shape["stream"]]
    return Load(name=name, url=url, model=given["model"], key_env=key_env, protocol=protocol, email=email, **shape)


def _down(given: Sequence[str] | None, asked: Sequence[Asked], fault: Fault) -> frozenset[str]:
    """The model groups, or tiers by their names, that the fault takes away: the first of each chain unless told."""
    known = {name for each in asked for tier in each.chain for name in (_name(tier), str(tier["model_group"]))}
    if given is not None:
        if unknown := sorted(set(given) - known):
            raise BadTask(f"down: {', '.join(unknown)} is in no chain; there are {', '.join(sorted(known))}")
        return frozenset(given)
    return frozenset(each.groups[0] for each in asked) if fault.kind != "none" else frozenset()


def _durations(given: Mapping[str, Any]) -> Durations:
    durations = Durations(**{name: float(given[name]) for name in ("steady", "fault", "recovery", "effect", "ready")})
    wrong = [name for name in ("steady", "effect", "ready") if getattr(durations, name) <= 0]
    wrong += [name for name in ("fault", "recovery") if getattr(durations, name) < 0]
    if wrong:
        raise BadTask(f"durations: {', '.join(wrong)} must be a number of seconds above 0")
    return durations
