# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The ways to an Open-WebUI: from inside its container, or by its address from here."""

from __future__ import annotations

import inspect
import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import rollout
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.conversation import Conversation
from ansible_collections.homelab.llm.plugins.module_utils._open_webui import relay
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import NotThereYet, Trouble

#: Seconds that a line may take to the container and back, beside what Open-WebUI takes.
_WAY = 15


@dataclass(frozen=True)
class Answer:
    """`status` is 0 when none came; then `text` says why. Header names are in lower case."""

    status: int
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Reach(Protocol):
    """A way to an Open-WebUI. `where` is for people."""

    where: str

    def send(self, method: str, path: str, headers: Mapping[str, str], body: str | None) -> Answer:
        """Send a request and return what came back. Raises Trouble or ApiError when the way itself is broken."""


class ByUrl:
    def __init__(self, url: str, ca: str, timeout: float) -> None:
        self.where = url.rstrip("/")
        self._timeout = timeout
        try:
            context = ssl.create_default_context(cafile=ca or None)
        except (OSError, ssl.SSLError) as error:
            raise Trouble(f"url_ca: {ca} holds no CA certificate that can be read: {error}") from None
        self._via = relay.opener([urllib.request.HTTPSHandler(context=context)])

    def send(self, method: str, path: str, headers: Mapping[str, str], body: str | None) -> Answer:
        told = {"method": method, "path": path, "headers": dict(headers), "body": body}
        return Answer(**relay.ask(self._via, self.where, self._timeout, told))


class InPod:
    """Talks with a small program in the container, which ends with the connection to it."""

    def __init__(self, program: Conversation, where: str, timeout: float) -> None:
        self.where = where
        self._program = program
        self._timeout = timeout

    def send(self, method: str, path: str, headers: Mapping[str, str], body: str | None) -> Answer:
        told = json.dumps({"method": method, "path": path, "headers": dict(headers), "body": body})
        line = self._program.ask(told, self._timeout + _WAY)
        try:
            return Answer(**json.loads(line))
        except (ValueError, TypeError):
            said = self._program.complaints().strip().splitlines()[-1:] or ["it said nothing"]
            raise Trouble(
                f"The program that asks Open-WebUI in {self.where} ended, which takes python3 in the container: {said[0]}"
            ) from None


@contextmanager
def in_pod(connection: Connection, client: Client, place: Mapping[str, Any], timeout: float) -> Iterator[InPod]:
    """`place` has namespace, selector, container (or None) and port. Raises NotThereYet when there is no such pod."""
    namespace, selector = place["namespace"], place["selector"]
    pod = newest_ready(client.list_of("pods", namespace, selector), namespace, selector)
    container = place["container"] or pod["spec"]["containers"][0]["name"]
    name = pod["metadata"]["name"]
    argv = ["python3", "-c", inspect.getsource(relay), f"http://127.0.0.1:{place['port']}", str(timeout)]
    with Conversation(connection, namespace, name, container, argv) as program:
        yield InPod(program, f"pod {namespace}/{name}", timeout)


def newest_ready(pods: list[dict[str, Any]], namespace: str, selector: str) -> dict[str, Any]:
    """Return the newest pod that is ready and stays: after a rollout it has the environment that was asked for last."""
    staying = [each for each in pods if not each["metadata"].get("deletionTimestamp")]
    ready = [each for each in staying if rollout.is_ready(each)]
    if ready:
        return max(ready, key=lambda each: str(each["metadata"].get("creationTimestamp")))
    if not staying:
        raise NotThereYet(
            f"No pod in namespace {namespace} has the labels {selector}: install Open-WebUI, or correct namespace or selector"
        )
    names = ", ".join(sorted(each["metadata"]["name"] for each in staying))
    raise NotThereYet(f"No pod of Open-WebUI in namespace {namespace} is ready ({names}): see what `kubectl describe pod` says about it")
