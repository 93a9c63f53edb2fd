# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Which fields of which objects each fault changes: a function each, from the objects as they are. No cluster.

| fault | Deployment | Service | besides |
|---|---|---|---|
| scale | replicas 0 | | |
| refuse, blackhole, hang, reset, cut, status, slow | replicas 0 | selector: the stand-in | a pod that stands in |
| secret | (restart: an annotation of its pods) | | the Secret's key; the right value in a backup Secret |
| egress | (journal only) | | a NetworkPolicy for the clients' pods, and one for the probe's |
| internet | | | the rules of a NetworkPolicy that lead to addresses |
| http, and scale with `url` | (journal only; replicas 0) | | a request to an admin API |

A Service alone would not do: LiteLLM keeps its connections, and connection tracking keeps them translated to the old pod. So the backend
goes too, which ends them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import change
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Edit, Object, Ref
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault, Fault
from ansible_collections.homelab.llm.plugins.module_utils._suspend.note import suspended_by

#: The label that a stand-in carries, and a Service looks for; its value is the run.
STAND_IN = "homelab.llm/failover-probe-stand-in"
#: In the template of the pods that read a spoilt Secret: another value makes other pods.
RESTART = "homelab.llm/failover-probe-restart"
#: What a key is spoilt with: no provider accepts it, and who reads it knows why.
INVALID = "sk-invalid-by-failover-probe"


@dataclass(frozen=True)
class Step:
    """One object, and what becomes of it."""

    ref: Ref
    edits: tuple[Edit, ...]


def refs(fault: Fault, namespace: str) -> list[Ref]:
    """Return every object that a fault changes, in the order in which it does: Services lead to the stand-in before the backend goes."""
    found = [change.service(namespace, each.service) for each in fault.backends if fault.scales or fault.kind == "egress"]
    if fault.kind == "secret":
        found.append(change.secret(namespace, fault.secret))
    if fault.kind == "internet":
        found.append(change.network_policy(namespace, fault.policy))
    names = [*(each.deployment for each in fault.backends if fault.kind != "secret"), *fault.restart, *fault.clients]
    return found + [change.deployment(namespace, name) for name in names]


def steps(fault: Fault, run: str, objects: Mapping[Ref, Object]) -> list[Step]:
    """Return what to do. Raises BadFault where that is impossible or would show nothing; nothing is broken then."""
    return list(_steps(fault, run, objects))


def _steps(fault: Fault, run: str, objects: Mapping[Ref, Object]) -> Iterator[Step]:
    for ref, found in objects.items():
        if ref.kind == "Service":
            yield from _of_service(fault, run, ref, found)
        elif ref.kind == "Secret":
            yield Step(ref, (_spoilt(fault, ref, found),))
        elif ref.kind == "NetworkPolicy":
            yield Step(ref, (_without_internet(ref, found),))
        elif fault.scales:
            yield Step(ref, (_scaled(ref, found),))
        elif fault.kind == "secret":
            path = ("spec", "template", "metadata", "annotations", RESTART)
            yield Step(ref, (Edit(path, change.value_at(found, path), run),))
        elif ref.name not in fault.clients:
            yield Step(ref, ())


def _scaled(ref: Ref, found: Object) -> Edit:
    replicas = change.value_at(found, ("spec", "replicas"))
    if not replicas:
        if note := suspended_by(found):
            raise BadFault(f"{ref} has 0 replicas already: it is {note}. Resume it first, with homelab.llm.backend_suspend")
        raise BadFault(f"{ref} has 0 replicas already: nothing is there to fail. Scale it up first")
    return Edit(("spec", "replicas"), replicas, 0)


def _of_service(fault: Fault, run: str, ref: Ref, found: Object) -> Iterator[Step]:
    spec = found.get("spec") or {}
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        raise BadFault(f"{ref} has no address of its own (headless or ExternalName), so nothing can stand in behind it")
    if not spec.get("selector"):
        raise BadFault(f"{ref} has no selector: its endpoints are made by somebody else")
    if fault.stands_in:
        yield Step(ref, (Edit(("spec", "selector"), spec["selector"], {STAND_IN: run}),))


def _without_internet(ref: Ref, found: Object) -> Edit:
    """What one policy allows no other takes away: so the policy that lets the pods out is changed itself."""
    spec = found.get("spec") or {}
    rules = spec.get("egress") or []
    if "Egress" not in (spec.get("policyTypes") or ()):
        raise BadFault(f"{ref} says nothing about where its pods may go, so there is nothing to take from it")
    inside = [rule for rule in rules if not any("ipBlock" in peer for peer in rule.get("to") or ())]
    anywhere = [rule for rule in inside if not rule.get("to") and {port.get("port") for port in rule.get("ports") or [{}]} != {53}]
    if len(inside) == len(rules) or anywhere:
        raise BadFault(f"{ref} has {'a rule that lets its pods everywhere' if anywhere else 'no rule that leads to addresses'}")
    if not inside:
        raise BadFault(f"{ref} would have no rule left, not even one to a name server")
    return Edit(("spec", "egress"), rules, inside)


def _spoilt(fault: Fault, ref: Ref, found: Object) -> Edit:
    if found.get("immutable"):
        raise BadFault(f"{ref} is immutable")
    if not (found.get("data") or {}).get(fault.key):
        raise BadFault(f"{ref} has no key {fault.key} with a value")
    return Edit(("data", fault.key), None, base64.b64encode(INVALID.encode()).decode(), in_backup=True)


def ports(found: Object) -> list[tuple[str, int]]:
    """Return name and number of what a stand-in for this Service has to listen on. A name's number is free to choose."""
    wanted = []
    for place, port in enumerate(found["spec"].get("ports") or ()):
        target = port.get("targetPort") or port["port"]
        wanted.append((target, 18000 + place) if isinstance(target, str) else ("", int(target)))
    return wanted
