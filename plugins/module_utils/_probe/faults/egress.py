# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""NetworkPolicies that take the way to backends from some pods and leave every other way open. Plain data, no cluster.

A policy can only allow, and what one allows no other takes away: so it allows all but the backends, twice over. By address, for what is
outside the cluster, and by label, because networks differ in whether an address may stand for a pod.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Object

VERSION, KIND = "networking.k8s.io/v1", "NetworkPolicy"
#: On the pods that ask and watch: the run they belong to, so that its policy finds them.
RUN = "homelab.llm/failover-probe-run"


def policy(name: str, namespace: str, pods: Mapping[str, Any], selectors: Sequence[Mapping[str, str]], addresses: Sequence[str]) -> Object:
    """Return a policy for `pods`, a label selector. `selectors`: labels of each backend; `addresses`: of them and their Services."""
    return {
        "apiVersion": VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "homelab.llm"}},
        "spec": {
            "podSelector": dict(pods),
            "policyTypes": ["Egress"],
            "egress": [{"to": [*_elsewhere(namespace), *_other_pods(selectors), *_other_addresses(addresses)]}],
        },
    }


def _elsewhere(namespace: str) -> Iterator[Object]:
    yield {"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [namespace]}]}}


def _other_pods(selectors: Sequence[Mapping[str, str]]) -> Iterator[Object]:
    """Who is none of the backends lacks, for each of them, one of its labels at least."""
    for lacking in itertools.product(*(selector.items() for selector in selectors)):
        values: dict[str, list[str]] = {}
        for key, value in lacking:
            values.setdefault(key, []).append(value)
        yield {"podSelector": {"matchExpressions": [{"key": key, "operator": "NotIn", "values": each} for key, each in values.items()]}}


def _other_addresses(addresses: Sequence[str]) -> Iterator[Object]:
    for whole, length, is_of in (("0.0.0.0/0", 32, lambda each: ":" not in each), ("::/0", 128, lambda each: ":" in each)):
        excepted = sorted(f"{each}/{length}" for each in addresses if is_of(each))
        yield {"ipBlock": {"cidr": whole, **({"except": excepted} if excepted else {})}}


def find_in_the_way(policies: Sequence[Object], labels: Mapping[str, str]) -> list[str]:
    """Return the names of policies that say already where pods with these labels may go: what they allow stays allowed."""
    found = []
    for each in policies:
        spec = each.get("spec") or {}
        types = spec.get("policyTypes") or (["Egress"] if "egress" in spec else [])
        if "Egress" in types and selects(spec.get("podSelector") or {}, labels):
            found.append(str(each["metadata"]["name"]))
    return found


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector finds a pod with these labels."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or ()
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]
