# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import egress

CLIENTS = {"matchLabels": {"app": "litellm"}}
labels = st.dictionaries(st.sampled_from(["app", "tier", "x"]), st.sampled_from(["a", "b", "c"]))


def peers(selectors: list[dict[str, str]], addresses: list[str] | None = None) -> list[dict[str, Any]]:
    made = egress.policy("p", "ml", CLIENTS, selectors, addresses or [])
    assert (made["spec"]["podSelector"], made["spec"]["policyTypes"]) == (CLIENTS, ["Egress"])
    (rule,) = made["spec"]["egress"]
    assert list(rule) == ["to"], "every port"
    return list(rule["to"])


@settings(deadline=None)
@given(pod=labels, selectors=st.lists(labels.filter(bool), min_size=1, max_size=3))
def test_of_the_namespaces_pods_exactly_the_backends_are_out_of_reach(pod: dict[str, str], selectors: list[dict[str, str]]) -> None:
    allowed = any(egress.selects(peer["podSelector"], pod) for peer in peers(selectors) if "podSelector" in peer)
    is_backend = any(selector.items() <= pod.items() for selector in selectors)
    assert allowed == (not is_backend)


@pytest.mark.parametrize(("address", "allowed"), [("10.244.0.7", False), ("10.96.0.7", False), ("10.244.0.8", True), ("fd00::7", False)])
def test_of_all_addresses_those_of_the_backends_are_out_of_reach(address: str, allowed: bool) -> None:
    blocks = [peer["ipBlock"] for peer in peers([{"app": "vllm"}], ["10.244.0.7", "10.96.0.7", "fd00::7"]) if "ipBlock" in peer]
    reached = [
        block
        for block in blocks
        if ipaddress.ip_address(address) in ipaddress.ip_network(block["cidr"])
        and not any(ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in block.get("except", ()))
    ]
    assert bool(reached) == allowed


def test_other_namespaces_stay_in_reach_so_that_names_are_found() -> None:
    (found,) = [peer["namespaceSelector"] for peer in peers([{"app": "vllm"}]) if "namespaceSelector" in peer]
    assert egress.selects(found, {"kubernetes.io/metadata.name": "kube-system"})
    assert not egress.selects(found, {"kubernetes.io/metadata.name": "ml"})


@pytest.mark.parametrize(
    ("spec", "is_in_the_way"),
    [
        ({"podSelector": {}, "policyTypes": ["Egress"]}, True),
        ({"podSelector": CLIENTS, "egress": [{}]}, True),
        ({"podSelector": CLIENTS, "policyTypes": ["Ingress"]}, False),
        ({"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Egress"]}, False),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "policyTypes": ["Egress"]}, True),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, "policyTypes": ["Egress"]}, False),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["litellm"]}]}, "policyTypes": ["Egress"]}, True),
    ],
)
def test_a_policy_that_allows_the_clients_something_already_is_found(spec: dict[str, Any], is_in_the_way: bool) -> None:
    policies = [{"metadata": {"name": "theirs"}, "spec": spec}]
    assert egress.find_in_the_way(policies, {"app": "litellm"}) == (["theirs"] if is_in_the_way else [])
