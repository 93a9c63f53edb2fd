# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What is behind a Service before it is broken: the addresses to watch, and whether the fault would take all of them. No cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Object, Ref
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault


def targets(front: Ref, back: Ref, service: Object, slices: Sequence[Mapping[str, Any]], pods: Sequence[Object]) -> list[dict[str, str]]:
    """Return what to watch, {name, url}: the Service and each pod that answers behind it. Raises BadFault.

    `slices`: the Service's EndpointSlices; `pods`: the Deployment's, those that run.
    """
    spec = service["spec"]
    # One of two families is enough: both lead to the same pods.
    family = "IPv6" if ":" in spec["clusterIP"] else "IPv4"
    ready = [
        (address, _number(each, spec["ports"][0].get("name", "")))
        for each in slices
        if each.get("addressType") == family
        for endpoint in each.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    ]
    if not ready:
        raise BadFault(f"{front} has no ready endpoint: nothing answers behind it that could fail")
    own = {each["ip"] for pod in pods for each in (pod.get("status") or {}).get("podIPs") or ()}
    if strangers := sorted({address for address, _port in ready} - own):
        raise BadFault(f"{front} leads to {', '.join(strangers)} too, which is no pod of {back}: it would go on answering")
    found = [{"name": f"service {front.name}", "url": _url(spec["clusterIP"], spec["ports"][0]["port"])}]
    return found + [{"name": f"pod {address}", "url": _url(address, port)} for address, port in ready]


def _number(endpoint_slice: Mapping[str, Any], name: str) -> int:
    return next(int(port["port"]) for port in endpoint_slice.get("ports") or () if (port.get("name") or "") == name)


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
