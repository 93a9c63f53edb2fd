# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Clients in a pod of the cluster, so that names, network policies and connections are a real client's."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import exec as executor
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import pod
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.access import Right
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.conversation import Conversation
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.follow import Follower
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import CONTAINER, Program, SecretKey
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe import load
from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Exchange
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import journal
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import KEY_ENV
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Lost, drained, watcher_program

WATCHER = "watch"
#: Seconds that a pod may take to run. Its image is best on the node.
START = 60.0
#: Any process of the pod has its clock: this one says what it is, for each line it is given.
_CLOCK = "import sys, time\nfor _ in sys.stdin: print(time.monotonic(), flush=True)"
PINGS = 8


def program(params: Mapping[str, Any], namespace: str, seconds: float, name: str, own: Mapping[str, str]) -> Program:
    """Return where and as whom InPod runs: the options image, key_secret and labels of a module, with `own` labels beside those."""
    secret = params["key_secret"]
    keys = {KEY_ENV: SecretKey(secret["name"], secret["key"])} if secret else {}
    labels = {**{label: str(value) for label, value in params["labels"].items()}, **own}
    return Program(namespace, params["image"], (), int(seconds), name, env_keys=keys, labels=labels)


class InPod:
    """Two containers of one pod: one clock, one address."""

    watches = True

    def __init__(self, connection: Connection, resources: Resources, program: Program, name: str) -> None:
        """`program`: where, on which image, with which key and labels; its `argv` is not used."""
        self._connection, self._resources, self._program, self._name = connection, resources, program, name
        self._manifest: dict[str, Any] = {}
        self._followers: list[Follower] = []

    def start(self, plan: load.Plan, look: dict[str, Any]) -> None:
        self._manifest = manifest(self._program, self._name, plan.spec(), look)
        self._resources.create(self._manifest)
        since, state = time.monotonic(), pod.State(waits_for="it is not started yet")
        while state.waits_for != "the program runs":
            if time.monotonic() - since > START:
                raise Lost(f"its pod {self._name} did not start in {START:.0f} s: {state.waits_for}")
            time.sleep(0.1)
            state = pod.state(self._resources.get(self._manifest) or {})
            if state.failure:
                raise Lost(f"its pod {self._name} in namespace {self._program.namespace} failed: {state.failure}")
            if state.code is not None:
                raise Lost(f"its worker ended with {state.code}: {self._last_words()}")
        self._followers = [Follower(self._connection, self._program.namespace, self._name, each) for each in (CONTAINER, WATCHER)]

    def worker_lines(self) -> list[str]:
        return drained(self._followers[0].lines)

    def watcher_lines(self) -> list[str]:
        return drained(self._followers[1].lines)

    def exchanges(self) -> list[Exchange]:
        found: list[Exchange] = []
        with (
            contextlib.suppress(ApiError),
            Conversation(self._connection, self._program.namespace, self._name, WATCHER, ["python3", "-u", "-c", _CLOCK]) as clock,
        ):
            for number in range(PINGS + 1):
                sent = time.monotonic()
                theirs = clock.ask("ping", 5.0)
                received = time.monotonic()
                if number and theirs:  # the first waits for Python to start
                    found.append(Exchange(sent, float(theirs), received))
        return found

    def check(self) -> None:
        try:
            found = self._resources.get(self._manifest)
        except ApiError:
            return  # an API server that is away says nothing about the pod
        if found is None:
            raise Lost(f"its pod {self._name} was removed by somebody")
        state = pod.state(found)
        if state.failure or state.code is not None:
            raise Lost(f"its pod {self._name} ended: {state.failure or self._last_words()}")

    def stop(self) -> None:
        # A pod's deletion would take its log along.
        with contextlib.suppress(ApiError):
            stop = ["python3", "-c", "import os, signal; os.kill(1, signal.SIGTERM)"]
            executor.run(self._connection, self._program.namespace, self._name, CONTAINER, stop, 10)

    def close(self) -> None:
        for follower in self._followers:
            follower.close()
        if self._manifest:
            with contextlib.suppress(ApiError):  # it ends by itself
                self._resources.delete(self._manifest, grace=0)

    def _last_words(self) -> str:
        lines = self._resources.log(self._program.namespace, self._name, CONTAINER, 3).strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"


def manifest(program: Program, name: str, spec: str, look: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod with the worker and, beside it, the watcher."""
    made = pod.manifest(program, name)
    made["metadata"]["annotations"] = journal.note()
    (container,) = made["spec"]["containers"]
    # A worker without a share of its own measures who else computes.
    share = {**container["resources"], "requests": {"cpu": "100m", "memory": "32Mi"}}
    worker = {**container, "command": ["python3", "-u", "-c", load.program()], "resources": share}
    worker["env"] = [*container["env"], {"name": "FAILOVER_PROBE_SPEC", "value": spec}]
    watch = {**container, "name": WATCHER, "command": ["python3", "-u", "-c", watcher_program(), json.dumps(look)]}
    made["spec"]["containers"] = [worker, watch]
    return made


def rights(namespace: str) -> list[Right]:
    """Return what such a pod needs of who makes it."""
    needed = [Right(namespace, "", "pods", verb) for verb in ("create", "delete", "get")]
    return [*needed, Right(namespace, "", "pods/log", "get"), Right(namespace, "", "pods/exec", "get")]
