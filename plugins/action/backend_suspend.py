# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suspends a backend from the controller: it takes minutes until a model is loaded again, and a person wants to see how far it is."""

from __future__ import annotations

import getpass
import socket
import uuid
from datetime import UTC, datetime
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import access, discovery, options
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._probe import vantage as vantages
from ansible_collections.homelab.llm.plugins.module_utils._probe import vantage_pod
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import myself, now_text
from ansible_collections.homelab.llm.plugins.module_utils._probe.observation import Observation
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import KEY_ENV, BadTask
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Lost
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage_pod import InPod
from ansible_collections.homelab.llm.plugins.module_utils._suspend import backend, leftover, telling
from ansible_collections.homelab.llm.plugins.module_utils._suspend.backend import Backend
from ansible_collections.homelab.llm.plugins.module_utils._suspend.course import Switch, Unverified
from ansible_collections.homelab.llm.plugins.module_utils._suspend.decision import Refused
from ansible_collections.homelab.llm.plugins.module_utils._suspend.note import Note, Unreadable
from ansible_collections.homelab.llm.plugins.module_utils._suspend.task import Asked, asked_of
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import OnlyInController

SPECIFICATION = dict(
    argument_spec=dict(
        **options.argument_spec(),
        state=dict(type="str", choices=["suspended", "resumed", "reported"], required=True),
        namespace=dict(type="str", required=True),
        deployment=dict(type="str", required=True),
        service=dict(type="str"),
        replicas=dict(type="int"),
        model=dict(type="str", required=True),
        fallbacks=dict(type="list", elements="str", required=True),
        url=dict(type="str", required=True),
        key_secret=dict(
            type="dict",
            no_log=False,
            options={"name": dict(type="str", required=True), "key": dict(type="str", required=True, no_log=False)},
        ),
        image=dict(type="str", required=True),
        vantage_namespace=dict(type="str"),
        labels=dict(type="dict", default={}),
        rate=dict(type="float", default=2),
        max_tokens=dict(type="int", default=8),
        patience=dict(type="float", default=60),
        timeout=dict(type="float", default=600),
    ),
)


class ActionModule(OnlyInController):
    specification = SPECIFICATION

    def work(self, module: Module) -> None:
        try:
            asked = asked_of(module.params)
            told, problems = self._switched(module, asked)
        except (BadTask, Refused, Unreadable, Lost, Unverified, ApiError) as error:
            message = error.message if isinstance(error, ApiError) else str(error)
            if not message.partition(" ")[0].endswith(":"):  # the name of an option stays as it is
                message = message[:1].upper() + message[1:]
            module.fail_json(msg=message, changed=isinstance(error, Unverified) and error.changed)
        if problems and asked.state != "reported":
            module.fail_json(**told)
        module.exit_json(**told)

    def _say(self, text: str) -> None:
        self._display.display(f"  {text}")

    def _switched(self, module: Module, asked: Asked) -> tuple[dict[str, Any], list[str]]:
        params = module.params
        connection = discovery.from_params(params)
        transport = Transport(connection)
        resources, client = Resources(transport), Client(lambda: transport)
        namespace = params["vantage_namespace"] or asked.namespace
        _refuse_without_rights(transport, asked, namespace)
        run = uuid.uuid4().hex[:8]
        new = Note(1, now_text(datetime.now(UTC)), _who(), run)
        target = Backend(client, resources, asked.namespace, asked.deployment, asked.service)
        mine = {leftover.HOLDER: leftover.label(myself())}
        program = vantage_pod.program(params, namespace, asked.longest, leftover.PROGRAM, mine)
        vantage = InPod(connection, resources, program, f"{leftover.PROGRAM}-{run}")
        switch = Switch(asked, new, target, Observation(asked.clients, vantage, self._say), self._say)
        switch.examine()
        leftover.clear(resources, namespace)
        wish = "" if asked.state == "reported" else f"to be {asked.state}; "
        self._say(f"{asked.name}: {wish}asks {asked.model} at {asked.clients.url}, {params['rate']:g} times a second")
        look = vantages.look(asked.clients.url, KEY_ENV if params["key_secret"] else "", asked.longest)
        outcome = switch.run(look, check_mode=module.check_mode)
        for text in [*outcome.remarks, *telling.warnings(asked, outcome), *client.warnings]:
            module.warn(text)
        told = telling.result(asked, outcome)
        self._say(told["msg"])
        if module._diff:
            told["diff"] = telling.diff(asked, outcome)
        return told, outcome.problems


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"somebody@{socket.gethostname()}"


def _refuse_without_rights(transport: Transport, asked: Asked, namespace: str) -> None:
    """Raise Refused unless all of it is allowed, so that nothing fails in the middle."""
    needed = backend.rights(asked.namespace, asked.deployment, asked.service, writes=asked.state != "reported")
    if missing := access.denied(transport, [*needed, *vantage_pod.rights(namespace)]):
        raise Refused(f"These credentials may not {', '.join(map(str, missing))}")
