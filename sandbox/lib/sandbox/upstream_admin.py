"""The simulator's admin API from a program's side; standard library only, so that tests and tools can use this file alone."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

TIMEOUT_SECONDS = 5.0


class UpstreamError(Exception):
    """The simulator refused; its text says why."""


@dataclass(frozen=True)
class Admin:
    """One simulator, by the address of its admin API."""

    address: str
    port: int

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"content-type": "application/json"})
            answer = connection.getresponse()
            document = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status >= 400:
            raise UpstreamError(document.get("error", f"the simulator answered {answer.status}"))
        return document

    def hosts(self) -> list[dict[str, Any]]:
        """Return its hosts: name, protocol, port, models, fault."""
        return list(self._call("GET", "/hosts"))

    def set_fault(self, host: str, fault: dict[str, Any] | None) -> None:
        """Set a fault, as upstream/README.md describes them, or clear it with None."""
        self._call("DELETE" if fault is None else "PUT", f"/hosts/{quote(host)}/fault", fault)

    def counters(self) -> dict[str, Any]:
        """Return the counters by host."""
        return dict(self._call("GET", "/counters"))

    def log(self, host: str | None = None, since: float = 0.0, limit: int = 1000) -> list[dict[str, Any]]:
        """Return the last requests, oldest first."""
        query = {"since": since, "limit": limit} | ({"host": host} if host else {})
        return list(self._call("GET", f"/log?{urlencode(query)}"))

    def reset(self) -> None:
        """Clear counters, log and faults."""
        self._call("POST", "/reset")
