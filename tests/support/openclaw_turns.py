# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Full turns of a gateway one after another, as the failover probe takes them, and every way in which Claude can fail meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openclaw_site import OpenclawSite

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._probe.gateway import URL, Gateway
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import Load, Plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Request, request_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import look
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage_gateway import InGateway

#: What the simulator of api.anthropic.com is told, by its name for people.
FAULTS: dict[str, dict[str, Any]] = {
    "401": {"kind": "status", "status": 401},
    "403": {"kind": "status", "status": 403},
    "429": {"kind": "status", "status": 429},
    "429, retry-after 5": {"kind": "status", "status": 429, "retry_after": 5},
    "500": {"kind": "status", "status": 500},
    "529": {"kind": "status", "status": 529},
    "refused": {"kind": "refuse"},
    "reset": {"kind": "reset", "where": "before_headers"},
    "hang before headers": {"kind": "hang", "where": "before_headers"},
    "hang after headers": {"kind": "hang", "where": "after_headers"},
    "hang in mid-stream": {"kind": "hang", "where": "mid_stream"},
    "blackhole": {"kind": "blackhole", "connections": "silent"},
}


class Turns:
    """One person with one conversation, who goes on asking."""

    def __init__(self, vantage: InGateway) -> None:
        self._vantage = vantage

    def take(self, count: int) -> list[Request]:
        """Return the next turns that begin after this moment: the sandbox's clock is this machine's."""
        since, found = time.monotonic(), list[Request]()
        while len(found) < count:
            for line in self._vantage.worker_lines():
                fields = json.loads(line)
                if fields["kind"] == "request" and fields["t_start"] > since:
                    found.append(request_of(fields))
            self._vantage.check()
            time.sleep(0.02)
        return found[:count]


@contextmanager
def person(site: OpenclawSite, limit: float) -> Iterator[Turns]:
    """Asks until the end of `with`, and waits for an answer for `limit` seconds."""
    connection = discovery.from_params({})
    vantage = InGateway(connection, Resources(Transport(connection)), Gateway(site.namespace))
    load = Load("turns", URL, "anthropic/claude-opus-4-5", rate=2, stream=False, protocol="openclaw")
    vantage.start(Plan([load], seconds=3600, timeout_s=limit, grace_s=0), look(URL, "", 3600))
    try:
        yield Turns(vantage)
    finally:
        vantage.close()
