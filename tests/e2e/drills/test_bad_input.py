# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be drilled is one clear error, before anything on the cluster is changed. And check mode, which changes nothing either."""

from __future__ import annotations

import time
from typing import Any

import drilled_site
import pytest
from drills import Job, Site
from playing import Ran

pytestmark = pytest.mark.cluster


def on(**backend: str) -> dict[str, Any]:
    return {"fault": {"kind": "scale", "backends": [backend]}}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"fault": {"kind": "melt"}}, "'melt' is no fault; there are none, scale,"),
    ({"models": [{"model": "gone", "chain": ["gone", "one-next"]}]}, "gone is not served at"),
    ({"url": "http://nobody.default.svc.cluster.local:4000/v1"}, "cannot be reached"),
    ({"thresholds": [{"id": "NFR65", "metric": "worst_wait", "limit": 5}]}, "NFR65: has no unit"),
    ({"thresholds": [{"metric": "worst_wait", "limit": 5, "unit": "s"}]}, "has no id"),
    (on(deployment="nothing", service="one"), "There is no Deployment"),
    (on(deployment="one", service="two"), "which is no pod of Deployment"),
    (on(deployment="asleep", service="asleep"), "has 0 replicas already"),
    (on(deployment="one", service="blind"), "has no ready endpoint"),
    ({"impersonate_user": "nobody"}, "may not"),
    (
        {"fault": {"kind": "egress", "clients": ["fenced"], "backends": [{"deployment": "one", "service": "one"}]}},
        "NetworkPolicy fence says already",
    ),
    (
        {
            "fault": {"kind": "egress", "clients": ["litellm"], "backends": [{"deployment": "one", "service": "one"}]},
            "vantage": "controller",
        },
        "only a pod in the namespace of the backends",
    ),
]


def tried(change: dict[str, Any]) -> Job:
    return Job(lambda site, _place: site.run({**site.params("one", {"kind": "scale"}), **change}), place=str(change))


JOBS = [pytest.param(tried(change), message, id=message) for change, message in BAD]
OBSERVED = Job(lambda site, _place: site.run(site.params("one", {"kind": "scale"}), check=True), place="check mode")


@pytest.fixture(scope="module")
def useless(site: Site) -> None:
    asleep = drilled_site.deployment("asleep", {"image": drilled_site.SIMULATOR})
    fenced = drilled_site.deployment("fenced", {"image": drilled_site.SIMULATOR})
    asleep["spec"]["replicas"] = fenced["spec"]["replicas"] = 0
    objects = [asleep, fenced, drilled_site.service("asleep"), drilled_site.service("blind")]
    drilled_site.create(site.core.api_client, site.namespace, objects)
    fence = {"podSelector": {"matchLabels": {"app": "fenced"}}, "policyTypes": ["Egress"], "egress": [{}]}
    site.networking.create_namespaced_network_policy(site.namespace, {"metadata": {"name": "fence"}, "spec": fence})
    # What is new is looked at by its controllers first.
    time.sleep(2)


@pytest.fixture(scope="module")
def before(site: Site, useless: None) -> dict[str, Any]:
    del useless
    return everything(site)


def everything(site: Site) -> dict[str, Any]:
    """How often each object was written by anybody but its controller, and which there are."""
    listed = [
        *site.apps.list_namespaced_deployment(site.namespace).items,
        *site.core.list_namespaced_service(site.namespace).items,
        *site.core.list_namespaced_secret(site.namespace).items,
        *site.networking.list_namespaced_network_policy(site.namespace).items,
    ]
    return {f"{each.metadata.uid} {each.metadata.name}": each.metadata.resource_version for each in listed}


@pytest.mark.parametrize(("job", "message"), JOBS)
def test_bad_input_is_one_clear_error_and_nothing_is_changed(
    before: dict[str, Any], outcome: Ran, site: Site, job: Job, message: str
) -> None:
    del job
    assert outcome.failed
    assert message in outcome.message
    assert "\n" not in outcome.message
    assert "Traceback" not in outcome.output
    assert not outcome.result["not_restored"]
    assert everything(site) == before
    assert site.pods_of_the_probe() == []


@pytest.mark.parametrize("job", [OBSERVED])
def test_check_mode_observes_only(before: dict[str, Any], outcome: Ran, site: Site, job: Job) -> None:
    del job
    assert not outcome.failed, outcome.output
    assert outcome.result["drill"]["fault"]["kind"] == "none"
    assert everything(site) == before
