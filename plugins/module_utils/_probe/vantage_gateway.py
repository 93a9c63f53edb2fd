# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Clients in OpenClaw's own container: from elsewhere the gateway's token alone carries no right to take turns, and there it is already."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.access import Right
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.conversation import Conversation
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe import load
from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Exchange
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import deployment
from ansible_collections.homelab.llm.plugins.module_utils._probe.gateway import Gateway, program, spec
from ansible_collections.homelab.llm.plugins.module_utils._probe.sighting import running_pods
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Lost

PINGS, PATIENCE = 8, 5.0
#: Lines that are the watcher's, where a watcher is a program of its own.
_WATCHED = frozenset({"look", "count", "state"})


class InGateway:
    """One program, beside the gateway. It ends with the connection to it, so nothing goes on asking."""

    watches = True

    def __init__(self, connection: Connection, resources: Resources, gateway: Gateway) -> None:
        self._connection, self._resources, self._gateway = connection, resources, gateway
        self._program: Conversation | None = None
        self._worker: list[str] = []
        self._watcher: list[str] = []
        self._pongs: dict[str, float] = {}
        self._error = ""

    def start(self, plan: load.Plan, look: dict[str, Any]) -> None:
        argv = ["node", "--input-type=module", "-e", program(), spec(plan, look)]
        self._program = Conversation(self._connection, self._gateway.namespace, self._pod(), self._gateway.container, argv)

    def _pod(self) -> str:
        ref = deployment(self._gateway.namespace, self._gateway.deployment)
        found = running_pods(self._resources, ref, self._resources.get(ref.manifest))
        here = [pod for pod in found if not pod["metadata"].get("deletionTimestamp") and _is_ready(pod)]
        if not here:
            raise Lost(f"{self._gateway} has no pod that is ready")
        return str(here[0]["metadata"]["name"])

    def worker_lines(self) -> list[str]:
        self._take(0.0)
        found, self._worker = self._worker, []
        return found

    def watcher_lines(self) -> list[str]:
        self._take(0.0)
        found, self._watcher = self._watcher, []
        return found

    def _take(self, timeout: float) -> None:
        if not self._program:
            return
        try:
            lines = self._program.heard(timeout)
        except ApiError as error:
            raise Lost(f"{error.message}: was {self._gateway} started anew?") from None
        for line in lines:
            self._sort(line)

    def _sort(self, line: str) -> None:
        try:
            fields = json.loads(line)
            kind = fields["kind"]
        except (ValueError, LookupError, TypeError):
            self._worker.append(line)  # the judgement counts what cannot be read
            return
        if kind == "pong":
            self._pongs[fields["id"]] = float(fields["t_mono"])
        elif kind == "error":
            self._error = str(fields["text"])
        (self._watcher if kind in _WATCHED else self._worker).append(line)

    def exchanges(self) -> list[Exchange]:
        found: list[Exchange] = []
        with contextlib.suppress(Lost):
            for _number in range(PINGS):
                sent = time.monotonic()
                name = f"{sent:.6f}"
                self._tell(f"ping {name}")
                while name not in self._pongs and time.monotonic() < sent + PATIENCE:
                    self._take(PATIENCE)
                received = time.monotonic()
                if name in self._pongs:
                    found.append(Exchange(sent, self._pongs[name], received))
        return found

    def check(self) -> None:
        if self._program and not self._program.is_open:
            said = self._error or self._program.complaints().strip()[-300:] or "it said nothing, was the gateway started anew?"
            raise Lost(f"its program in {self._gateway} ended: {said}")

    def stop(self) -> None:
        self._tell("stop")

    def _tell(self, line: str) -> None:
        if not self._program:
            return
        try:
            self._program.tell(line)
        except ApiError as error:
            raise Lost(error.message) from None

    def close(self) -> None:
        if self._program:
            with contextlib.suppress(Exception):  # whatever is wrong with the connection, its end is what was wanted
                self._program.close()


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def rights(gateway: Gateway) -> list[Right]:
    """Return what that needs of whoever does it."""
    where = gateway.namespace
    return [
        Right(where, "apps", "deployments", "get", gateway.deployment),
        Right(where, "", "pods", "list"),
        Right(where, "", "pods", "get"),
        Right(where, "", "pods/exec", "get"),
    ]
