# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.behind import targets
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import deployment, service
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault

FRONT, BACK = service("ml", "vllm-api"), deployment("ml", "vllm-server")
POD = {"status": {"podIPs": [{"ip": "10.244.0.5"}, {"ip": "fd00::5"}]}}


def front(address: str = "10.96.0.7") -> dict[str, Any]:
    return {"spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80, "targetPort": 8000}]}}


def slice_of(*addresses: str, ready: bool = True, family: str = "IPv4") -> dict[str, Any]:
    endpoints = [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses]
    return {"addressType": family, "ports": [{"name": "other", "port": 9}, {"name": "http", "port": 8000}], "endpoints": endpoints}


def test_the_service_is_watched_and_each_pod_behind_it() -> None:
    found = targets(FRONT, BACK, front(), [slice_of("10.244.0.5")], [POD])
    assert [each["url"] for each in found] == ["http://10.96.0.7:80", "http://10.244.0.5:8000"]


def test_of_two_families_the_service_s_own_counts() -> None:
    slices = [slice_of("10.244.0.5"), slice_of("fd00::5", family="IPv6")]
    found = targets(FRONT, BACK, front("fd00::7"), slices, [POD])
    assert [each["url"] for each in found] == ["http://[fd00::7]:80", "http://[fd00::5]:8000"]


@pytest.mark.parametrize("slices", [[], [slice_of()], [slice_of("10.244.0.5", ready=False)]])
def test_a_service_without_a_ready_endpoint_is_refused(slices: list[dict[str, Any]]) -> None:
    with pytest.raises(BadFault, match="has no ready endpoint"):
        targets(FRONT, BACK, front(), slices, [POD])


def test_a_service_that_leads_to_somebody_else_too_is_refused() -> None:
    with pytest.raises(BadFault, match=r"leads to 10\.244\.0\.9 too, which is no pod of Deployment ml/vllm-server"):
        targets(FRONT, BACK, front(), [slice_of("10.244.0.5", "10.244.0.9")], [POD])
