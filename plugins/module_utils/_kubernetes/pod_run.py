# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Runs a program once in a pod of its own and takes the pod away again, whatever happens."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils import _signals
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import pod
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import CONTAINER, LABEL, Program
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources

#: Seconds between two looks at the pod. A look costs the API server one read.
PAUSE = 0.2

#: How often to read a log again that still grows after its program's end.
SETTLING_TRIES = 10

#: More than this of output is no answer but a mistake.
MOST = 4 << 20

#: Seconds that a namespace may take to get its service account, without which it takes no pod.
_NEW_NAMESPACE = 10

#: Seconds in which a node may find out that the pod's own Secret is there, though it was not when it looked first.
_OWN_SECRET = 5


@dataclass(frozen=True)
class Ended:
    """What the program wrote, to either output, and its exit code. `seconds` count from the pod's creation."""

    output: str
    code: int
    seconds: float


def run(resources: Resources, program: Program) -> Ended:
    """Run the program and wait for its end. Raises ApiError when it could not be run or took too long."""
    name = f"{program.name}-{uuid.uuid4().hex[:8]}"
    manifest = pod.manifest(program, name)
    started = time.monotonic()
    with _signals.raised():
        try:
            created = _create(resources, program, manifest)
            if program.hidden:
                resources.create(pod.own_secret(program, created))
            _remove_leftovers(resources, program, created["metadata"]["creationTimestamp"])
            code = _wait(resources, program, manifest, started)
            return Ended(_output(resources, program.namespace, name), code, round(time.monotonic() - started, 3))
        finally:
            _remove(resources, manifest, hidden=bool(program.hidden))


def _output(resources: Resources, namespace: str, name: str) -> str:
    """Read the log until it stays the same: on a busy node the last lines come to it after the news that the program has ended."""
    output = resources.output(namespace, name, CONTAINER, MOST)
    for _each in range(SETTLING_TRIES):
        time.sleep(PAUSE)
        before, output = output, resources.output(namespace, name, CONTAINER, MOST)
        if output == before:
            break
    return output


def _create(resources: Resources, program: Program, manifest: Mapping[str, Any]) -> dict[str, Any]:
    since = time.monotonic()
    while True:
        try:
            return resources.create(manifest)
        except ApiError as error:
            # A namespace is there a moment before the service account that each pod in it is given.
            is_new = error.status == 403 and "serviceaccount" in error.message and time.monotonic() - since < _NEW_NAMESPACE
            if not is_new:
                raise _refused(program, error) from None
        time.sleep(PAUSE)


def _refused(program: Program, error: ApiError) -> ApiError:
    if error.is_missing_namespace:
        message = f"There is no namespace {program.namespace} to run {program.argv[0]} in"
    elif error.status == 0:
        message = error.message
    else:
        message = f"The pod that was to run {program.argv[0]} in namespace {program.namespace} was refused: {error.message}"
    return ApiError(error.status, error.reason, message, error.missing_kind)


def _wait(resources: Resources, program: Program, manifest: Mapping[str, Any], started: float) -> int:
    """Return the program's exit code."""
    where = f"{program.argv[0]} in namespace {program.namespace}"
    while True:
        found = resources.get(manifest)
        if found is None:
            raise ApiError(0, "Gone", f"The pod that ran {where} was removed by somebody else")
        state = pod.state(found)
        if state.code is not None:
            return state.code
        # The pod's own Secret can only be made after the pod it belongs to: a node that was faster looks again by itself.
        if state.failure and not (program.hidden and time.monotonic() - started < _OWN_SECRET):
            raise ApiError(0, "PodFailed", f"The pod that was to run {where} failed: {state.failure}")
        if time.monotonic() - started > program.timeout:
            raise ApiError(0, "Timeout", f"{where} did not end in {program.timeout} s: {state.waits_for}")
        time.sleep(PAUSE)


def _remove_leftovers(resources: Resources, program: Program, now: str) -> None:
    """Take away what runs left that were killed in a way that nothing can be done about. Whoever may not, need not."""
    try:
        found = resources.list_of("v1", "pods", program.namespace, LABEL)
        for name in pod.leftovers(found, now):
            resources.delete({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": program.namespace, "name": name}})
    except ApiError:
        return


def _remove(resources: Resources, manifest: Mapping[str, Any], *, hidden: bool) -> None:
    """Also when nobody knows whether it was made. It ends by itself, so a failure here hides no other."""
    try:
        if hidden:
            resources.delete({**manifest, "kind": "Secret"})
        resources.delete(manifest)
    except ApiError:
        return
