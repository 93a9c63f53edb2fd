# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import (
    Object,
    Ref,
    deployment,
    network_policy,
    secret,
    service,
)
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import KINDS, STAND_IN, BadFault, fault_of

BACKENDS = [{"deployment": "vllm-server", "service": "vllm-api"}]
DEPLOYMENT, SERVICE = deployment("ml", "vllm-server"), service("ml", "vllm-api")


def objects(**changes: Any) -> dict[Ref, Object]:
    front = {"clusterIP": "10.96.0.7", "selector": {"app": "vllm-server"}, "ports": [{"port": 8000}], **changes.pop("service", {})}
    back = {"replicas": 2, **changes.pop("deployment", {})}
    return {SERVICE: {"kind": "Service", "spec": front}, DEPLOYMENT: {"kind": "Deployment", "spec": back}}


def edits(kind: str, **changes: Any) -> dict[str, list[tuple[Any, Any]]]:
    fault = fault_of({"kind": kind, "backends": BACKENDS})
    steps = plan.steps(fault, "r1", objects(**changes))
    return {step.ref.kind: [(edit.before, edit.during) for edit in step.edits] for step in steps}


def test_a_scale_changes_the_replicas_and_leaves_the_service_alone() -> None:
    assert edits("scale") == {"Deployment": [(2, 0)]}


@pytest.mark.parametrize("kind", sorted(STAND_IN))
def test_a_stand_in_takes_the_service_and_the_backend_goes_for_its_connections_must_end(kind: str) -> None:
    assert edits(kind) == {"Service": [({"app": "vllm-server"}, {plan.STAND_IN: "r1"})], "Deployment": [(2, 0)]}


def test_the_service_leads_to_the_stand_in_before_the_backend_goes() -> None:
    assert plan.refs(fault_of({"kind": "hang", "backends": BACKENDS}), "ml") == [SERVICE, DEPLOYMENT]


def test_a_way_is_taken_without_changing_backend_service_or_client() -> None:
    fault = fault_of({"kind": "egress", "backends": BACKENDS, "clients": ["litellm"]})
    client = deployment("ml", "litellm")
    assert plan.refs(fault, "ml") == [SERVICE, DEPLOYMENT, client]
    steps = plan.steps(fault, "r1", {**objects(), client: {"kind": "Deployment", "spec": {"replicas": 1}}})
    assert [(step.ref, step.edits) for step in steps] == [(DEPLOYMENT, ())], "it carries the journal"


NAMES = {"ports": [{"port": 53, "protocol": "UDP"}]}
OUTSIDE = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}
LITELLM = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 4000}]}
INTERNET = fault_of({"kind": "internet", "policy": "openclaw", "hosts": ["api.anthropic.com"]})
POLICY = network_policy("apps", "openclaw")


def test_the_internet_is_taken_out_of_the_policy_that_lets_the_pods_there_and_the_rest_stays() -> None:
    assert plan.refs(INTERNET, "apps") == [POLICY]
    spec = {"policyTypes": ["Ingress", "Egress"], "egress": [NAMES, OUTSIDE, LITELLM]}
    (step,) = plan.steps(INTERNET, "r1", {POLICY: {"kind": "NetworkPolicy", "spec": spec}})
    assert [(edit.path, edit.before, edit.during) for edit in step.edits] == [
        (("spec", "egress"), [NAMES, OUTSIDE, LITELLM], [NAMES, LITELLM])
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"policyTypes": ["Ingress"]}, "says nothing about where its pods may go"),
        ({"policyTypes": ["Egress"], "egress": [NAMES, LITELLM]}, "no rule that leads to addresses"),
        ({"policyTypes": ["Egress"], "egress": [NAMES, OUTSIDE, {}]}, "lets its pods everywhere"),
        ({"policyTypes": ["Egress"], "egress": [OUTSIDE]}, "no rule left"),
    ],
)
def test_a_policy_that_cannot_take_the_internet_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(BadFault, match=message):
        plan.steps(INTERNET, "r1", {POLICY: {"kind": "NetworkPolicy", "spec": spec}})


def test_a_backend_can_go_and_an_admin_api_be_asked_at_once() -> None:
    fault = fault_of({"kind": "scale", "backends": BACKENDS, "url": "http://admin/fault", "body_on": "{}"})
    assert fault.described() == "scale, and PUT http://admin/fault {}"
    assert [step.ref for step in plan.steps(fault, "r1", objects())] == [DEPLOYMENT]


def test_a_secret_is_spoilt_and_its_readers_are_made_anew_afterwards() -> None:
    fault = fault_of({"kind": "secret", "secret": "keys", "key": "KEY", "restart": ["litellm"]})
    assert plan.refs(fault, "ml") == [secret("ml", "keys"), deployment("ml", "litellm")]
    found = {secret("ml", "keys"): {"data": {"KEY": "cmlnaHQ="}}, deployment("ml", "litellm"): {"spec": {"template": {"metadata": {}}}}}
    spoilt, restarted = plan.steps(fault, "r1", found)
    (edit,) = spoilt.edits
    assert (edit.before, edit.in_backup) == (None, True)
    assert restarted.edits[0].during == "r1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deployment": {"replicas": 0}}, "has 0 replicas already"),
        ({"service": {"selector": None}}, "has no selector"),
        ({"service": {"clusterIP": "None"}}, "headless"),
    ],
)
def test_what_cannot_fail_or_be_stood_in_for_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadFault, match=message):
        edits("hang", **changes)


@pytest.mark.parametrize(
    ("found", "message"), [({}, "no key KEY"), ({"data": {"KEY": ""}}, "no key KEY"), ({"immutable": True}, "is immutable")]
)
def test_a_secret_that_cannot_be_spoilt_is_refused(found: Object, message: str) -> None:
    fault = fault_of({"kind": "secret", "secret": "keys", "key": "KEY"})
    with pytest.raises(BadFault, match=message):
        plan.steps(fault, "r1", {secret("ml", "keys"): found})


def test_a_stand_in_listens_where_the_service_leads_to() -> None:
    found = {"spec": {"ports": [{"port": 80, "targetPort": 8000}, {"port": 81, "targetPort": "metrics"}, {"port": 9000}]}}
    assert plan.ports(found) == [("", 8000), ("metrics", 18001), ("", 9000)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "melt"}, "'melt' is no fault; there are none, scale"),
        ({"kind": "scale"}, "must name the Deployment"),
        ({"kind": "scale", "backends": [{"deployment": "a"}]}, "must name the Service of each"),
        ({"kind": "scale", "backends": BACKENDS * 2}, "named twice"),
        ({"kind": "scale", "backends": BACKENDS, "status": 500}, "status is not for it; it takes grace"),
        ({"kind": "hang", "backends": BACKENDS, "where": "somewhere"}, "where must be one of"),
        ({"kind": "reset", "backends": BACKENDS, "where": "after_headers"}, "before_headers or mid_stream"),
        ({"kind": "status", "backends": BACKENDS, "status": 200}, "from 300 to 599"),
        ({"kind": "egress", "backends": BACKENDS}, "clients must name the Deployments whose pods lose their way"),
        ({"kind": "egress", "backends": [{"deployment": "a"}], "clients": ["b"]}, "must name the Service of each"),
        ({"kind": "secret", "secret": "s"}, "which value to spoil"),
        ({"kind": "internet", "policy": "openclaw"}, "hosts whom they lose"),
        ({"kind": "internet", "policy": "openclaw", "hosts": ["h"], "backends": BACKENDS, "url": "http://x"}, "url is not for it"),
        ({"kind": "scale", "backends": BACKENDS, "url": "ftp://x"}, "is no http"),
        ({"kind": "http", "backends": BACKENDS, "url": "ftp://x"}, "is no http"),
        ({"kind": "http", "backends": BACKENDS, "url": "http://u:p@x"}, "without a password"),
        ({"kind": "http", "backends": BACKENDS, "url": "http://x", "method_on": "GET"}, "a method must be one of"),
    ],
)
def test_a_wrong_fault_is_one_clear_error(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadFault, match=message):
        fault_of(given)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("none", "secret", "egress", "internet", "http")])
def test_every_fault_can_be_asked_for_with_its_backends_alone(kind: str) -> None:
    assert fault_of({"kind": kind, "backends": BACKENDS, "where": None}).kind == kind
