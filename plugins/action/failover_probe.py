# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a drill from the controller: it lasts minutes, shows a line each second, and must restore whatever happens to it."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils import _signals
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import access, discovery, options
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.access import Right
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._probe import (
    admin_call,
    catalogue,
    checks,
    circumstances,
    injection,
    outcome,
    reports,
    result,
    vantage_gateway,
    vantage_pod,
)
from ansible_collections.homelab.llm.plugins.module_utils._probe import vantage as vantages
from ansible_collections.homelab.llm.plugins.module_utils._probe.drill import Breaker, Drill, Drilled
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import egress, plan, undo
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault, Fault, fault_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.undo import Held, NotRestored
from ansible_collections.homelab.llm.plugins.module_utils._probe.injection import Injection
from ansible_collections.homelab.llm.plugins.module_utils._probe.judgement import judge
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import KEY_ENV, BadTask, Task, task_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Controller, Lost, Vantage
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage_gateway import InGateway
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage_pod import InPod
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import InController

_LOAD = {
    "model": dict(type="str", required=True),
    "name": dict(type="str"),
    "url": dict(type="str"),
    "rate": dict(type="float"),
    "stream": dict(type="str", choices=["true", "false", "both"]),
    "turn": dict(type="str", choices=["full", "light"]),
    "prompt_tokens": dict(type="int"),
    "prompt_suffix": dict(type="str"),
    "max_tokens": dict(type="int"),
}
_FAULT = {
    "kind": dict(type="str", default="none"),
    "backends": dict(type="list", elements="dict", options={"deployment": dict(type="str", required=True), "service": dict(type="str")}),
    "where": dict(type="str"),
    "after_tokens": dict(type="int"),
    "status": dict(type="int"),
    "body": dict(type="str"),
    "first_token": dict(type="float"),
    "tokens_per_second": dict(type="float"),
    "grace": dict(type="int"),
    "secret": dict(type="str", no_log=False),
    "key": dict(type="str", no_log=False),
    "restart": dict(type="list", elements="str"),
    "clients": dict(type="list", elements="str"),
    "policy": dict(type="str"),
    "hosts": dict(type="list", elements="str"),
    "url": dict(type="str"),
    "method_on": dict(type="str"),
    "body_on": dict(type="str"),
    "method_off": dict(type="str"),
    "body_off": dict(type="str"),
}
_THRESHOLD = {
    "id": dict(type="str"),
    "metric": dict(type="str"),
    "limit": dict(type="float"),
    "unit": dict(type="str"),
    "inclusive": dict(type="bool"),
    "aim": dict(type="float"),
    "sentence": dict(type="str"),
}
_COUNTER = {
    "tier": dict(type="str", required=True),
    "url": dict(type="str", required=True),
    "metric": dict(type="str"),
    "path": dict(type="list", elements="str"),
}
_CHECK = {
    "id": dict(type="str", required=True),
    "measured": dict(type="float"),
    "complete": dict(type="bool", default=True),
    "by": dict(type="str", required=True),
    "details": dict(type="list", elements="str", default=[]),
}
_DURATIONS = {
    "steady": dict(type="float", default=15),
    "fault": dict(type="float", default=30),
    "recovery": dict(type="float", default=20),
    "effect": dict(type="float", default=60),
    "ready": dict(type="float", default=300),
}
_MINIMUM = {"steady": dict(type="int", default=5), "fault": dict(type="int", default=10), "recovery": dict(type="int", default=3)}

SPECIFICATION = dict(
    argument_spec=dict(
        **options.argument_spec(),
        state=dict(type="str", choices=["measured", "restored", "reported"], default="measured"),
        force=dict(type="bool", default=False),
        name=dict(type="str", default="drill"),
        title=dict(type="str"),
        namespace=dict(type="str"),
        protocol=dict(type="str", choices=["openai", "open_webui", "openclaw"], default="openai"),
        email=dict(type="str"),
        gateway=dict(
            type="dict",
            options={"namespace": dict(type="str"), "deployment": dict(type="str"), "container": dict(type="str")},
        ),
        vantage=dict(type="str", choices=["pod", "controller"], default="pod"),
        vantage_namespace=dict(type="str"),
        image=dict(type="str"),
        labels=dict(type="dict", default={}),
        url=dict(type="str"),
        key_secret=dict(
            type="dict",
            no_log=False,
            options={"name": dict(type="str", required=True), "key": dict(type="str", required=True, no_log=False)},
        ),
        ca_file=dict(type="path"),
        verify=dict(type="bool", default=True),
        models=dict(type="list", elements="dict", default=[], options={**_LOAD, "chain": dict(type="list", elements="raw")}),
        down=dict(type="list", elements="str"),
        fault=dict(type="dict", default={}, options=_FAULT),
        durations=dict(type="dict", apply_defaults=True, options=_DURATIONS),
        counters=dict(type="list", elements="dict", default=[], options=_COUNTER),
        minimum=dict(type="dict", apply_defaults=True, options=_MINIMUM),
        thresholds=dict(type="list", elements="dict", default=[], options=_THRESHOLD),
        proves=dict(type="str"),
        catalogue=dict(type="list", elements="dict", default=[]),
        drills=dict(type="list", elements="str", default=[]),
        checks=dict(type="list", elements="dict", default=[], options=_CHECK),
        earlier=dict(type="path"),
        patience=dict(type="float", default=60),
        backend_path=dict(type="str", default="/v1/models"),
        clean_errors=dict(type="bool", default=False),
        report=dict(type="path"),
    ),
    required_if=[("state", "measured", ["namespace"]), ("state", "restored", ["namespace"]), ("state", "reported", ["report"])],
)


class ActionModule(InController):
    specification = SPECIFICATION

    def work(self, module: Module) -> None:
        try:
            told = {"restored": self._restored, "measured": self._measured, "reported": self._reported}[module.params["state"]](module)
        except NotRestored as error:
            module.fail_json(msg=f"THE RESTORE FAILED, THE CLUSTER IS NOT AS IT WAS: {error}", not_restored=True)
        except (BadTask, BadFault, Held, Lost, ApiError) as error:
            message = error.message if isinstance(error, ApiError) else str(error)
            module.fail_json(msg=message[:1].upper() + message[1:], not_restored=False)
        module.exit_json(**told)

    def _say(self, text: str) -> None:
        self._display.display(f"  {text}")

    def _restored(self, module: Module) -> dict[str, Any]:
        params = module.params
        resources = Resources(Transport(discovery.from_params(params)))
        namespace = params["namespace"]
        fault = _fault_of(params)
        refs = plan.refs(fault, namespace) or undo.broken_in(resources, namespace)
        if module.check_mode:
            found = [str(ref) for ref in refs if undo.is_broken(resources, ref)]
            return {"changed": bool(found), "restored": found}
        with _signals.raised():
            undone = undo.clear(resources, refs, admin_call.caller(resources, namespace), self._say, force=params["force"])
            undo.sweep(resources, {namespace, _asks_from(params)})
        return {"changed": bool(undone.what), "restored": undone.what, "notes": undone.notes}

    def _measured(self, module: Module) -> dict[str, Any]:
        params = module.params
        task = task_of(params)
        _earlier(params)
        if module.check_mode:
            self._say("check mode: nothing is broken, this only observes")
        connection = discovery.from_params(params)
        transport = Transport(connection)
        resources = Resources(transport)
        _refuse_without_rights(transport, task, params)
        run = uuid.uuid4().hex[:8]
        call = admin_call.caller(resources, task.namespace)
        image = params["image"] or ""
        # In check mode the fault is looked at, so that what is wrong with it is said, and not made.
        injected = Injection(resources, task.fault, task.namespace, run, image, task.durations.longest, call)
        refs = plan.refs(task.fault, task.namespace)
        cleared = undo.Undone()
        if not module.check_mode:
            with _signals.raised():
                cleared = undo.clear(resources, refs, call, self._say)
                undo.sweep(resources, {task.namespace, _asks_from(params)})
                if cleared.what:
                    injected.wait_until_back(task.durations.ready)
        in_pod = params["vantage"] == "pod"
        # Beside the gateway there is somebody who sees what leads out of that pod, and nobody who asks backends.
        watches = task.fault.kind == "internet" if task.gateway else in_pod
        targets = [{**each, "url": each["url"] + task.backend_path} for each in injected.examine(watches)]
        vantage = self._vantage(connection, resources, task, params, run)
        breaker: Breaker = Breaker() if module.check_mode else injected
        trust: dict[str, Any] = {"ca_file": None if in_pod else params["ca_file"], "verify": params["verify"]}
        tasks_plan = task.plan(**trust)
        counters = [meter.spec() for meter in task.meters]
        key_env = KEY_ENV if params["key_secret"] else ""
        look = vantages.look(task.url, key_env, task.durations.longest, targets=targets, counters=counters, email=task.email, **trust)
        self._announce(task, module.check_mode)
        drilled = Drill(task, vantage, breaker, self._say).run(tasks_plan, look)
        described = {"loads": tasks_plan.described(), "environment": _environment(params, task, drilled, _cluster_version(transport))}
        return self._told(module, task, drilled, cleared, described)

    def _reported(self, module: Module) -> dict[str, Any]:
        """Join the reports of several drills."""
        params = module.params
        folder = Path(params["report"])
        try:
            found = [drill for name in params["drills"] for drill in reports.read(folder / f"{name}.json")["drills"]]
            requirements = catalogue.load(params["catalogue"]) if params["catalogue"] else ()
            checked = checks.checks_of(params["checks"], requirements)
            joined = checks.with_checks(result.report_of(found, params["title"] or params["name"], datetime.now(UTC)), checked)
            paths = reports.write(folder, params["name"], joined, (), _earlier(params))
            table = outcome.outcomes(requirements, joined["drills"], checked)
        except (OSError, ValueError) as error:
            module.fail_json(msg=f"The report cannot be made: {error}", not_restored=False)
        for line in outcome.table(table) if table else ():
            self._say(line)
        return {"changed": False, "verdict": joined["verdict"], "report": paths, "requirements": [asdict(row) for row in table]}

    def _announce(self, task: Task, check_mode: bool) -> None:
        asked = ", ".join(each.load.described() for each in task.asked)
        self._say(f"{task.title}: asks {asked} at {task.gateway or task.url}")
        if task.fault.kind != "none" and not check_mode:
            times = task.durations
            what = f"{task.fault.described()} of {task.fault.target(task.namespace)}"
            self._say(f"will break after {times.steady:g} s: {what}, for {times.fault:g} s; then restores it")

    def _vantage(self, connection: Connection, resources: Resources, task: Task, params: Mapping[str, Any], run: str) -> Vantage:
        if task.gateway:
            return InGateway(connection, resources, task.gateway)
        secret, namespace = params["key_secret"], _asks_from(params)
        if params["vantage"] == "controller":
            return Controller(KEY_ENV if secret else "", _key(resources, namespace, secret) if secret else "")
        program = vantage_pod.program(params, namespace, task.durations.longest, "failover-probe", {egress.RUN: run})
        return InPod(connection, resources, program, f"failover-probe-{run}")

    def _told(self, module: Module, task: Task, drilled: Drilled, cleared: undo.Undone, described: dict[str, Any]) -> dict[str, Any]:
        recorded = (drilled.recording, drilled.phases, drilled.expectation, drilled.counters, drilled.clock_error)
        verdict = judge(*recorded)
        about = result.About(
            name=task.name,
            title=task.title,
            fault="none" if module.check_mode else task.fault.kind,
            target=task.fault.target(task.namespace),
            how=task.fault.described(),
            restored_how=", ".join(drilled.undone.what),
            **described,
        )
        full = result.result_of(about, verdict, *recorded)
        report = result.report_of([full], task.title, datetime.now(UTC))
        paths = {}
        if folder := module.params["report"]:
            try:
                paths = reports.write(Path(folder), task.name, report, drilled.lines, _earlier(module.params))
            except OSError as error:
                module.warn(f"The reports could not be written to {folder}: {error.strerror}")
        for note in [*cleared.notes, *drilled.notes]:
            module.warn(note)
        self._say(f"{full['verdict'].upper()}: {full['headline']}")
        for reason in full["reasons"]:
            self._say(f"{reason['code']}: {reason['text']}")
        told = {"verdict": full["verdict"], "drill": result.summary(full), "report": paths, "restored": cleared.what}
        if drilled.phases.restore_error:
            raise NotRestored(drilled.phases.restore_error)
        return {"changed": bool(cleared.what), **told}


def _asks_from(params: Mapping[str, Any]) -> str:
    """The namespace of the pod that asks, and of the key it asks with."""
    return str(params["vantage_namespace"] or params["namespace"])


def _fault_of(params: Mapping[str, Any]) -> Fault:
    given = {name: value for name, value in (params["fault"] or {}).items() if value is not None}
    return fault_of(given) if given.get("kind", "none") != "none" else Fault("none")


def _refuse_without_rights(transport: Transport, task: Task, params: Mapping[str, Any]) -> None:
    """Raise BadTask unless all that the drill does is allowed, so that nothing fails in the middle."""
    needed = injection.rights(task.fault, task.namespace)
    namespace = _asks_from(params)
    if task.gateway:
        needed += vantage_gateway.rights(task.gateway)
    elif params["vantage"] == "pod":
        if not params["image"]:
            raise BadTask("image: name one with python3 that is on the node, for the pod that asks")
        needed += vantage_pod.rights(namespace)
    elif params["key_secret"]:
        needed.append(Right(namespace, "", "secrets", "get", params["key_secret"]["name"]))
    if missing := access.denied(transport, needed):
        raise BadTask(f"these credentials may not {', '.join(map(str, missing))}: a drill that fails in the middle is worse than none")


def _earlier(params: Mapping[str, Any]) -> dict[str, Any] | None:
    if not params["earlier"]:
        return None
    try:
        return reports.read(Path(params["earlier"]))
    except (OSError, ValueError) as error:
        raise BadTask(f"earlier: {error}") from None


def _key(resources: Resources, namespace: str, secret: Mapping[str, str]) -> str:
    found = resources.get({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": secret["name"]}})
    value = ((found or {}).get("data") or {}).get(secret["key"])
    if not value:
        raise BadTask(f"key_secret: Secret {namespace}/{secret['name']} has no key {secret['key']}")
    return base64.b64decode(value).decode().strip()


def _environment(params: Mapping[str, Any], task: Task, drilled: Drilled, cluster: str) -> dict[str, str]:
    requests = drilled.recording.requests
    asked_from = f"a pod in {_asks_from(params)}" if params["vantage"] == "pod" else "the controller"
    return {
        "OpenClaw" if task.gateway else "LiteLLM": circumstances.versions(requests),
        **({"Open-WebUI": str(drilled.look.get("version") or "unknown")} if task.email else {}),
        **circumstances.settings_of(drilled.expectation, drilled.look.get("tiers") or {}),
        **({"failed before somebody answered": circumstances.attempts_of(requests)} if task.gateway else {}),
        "Kubernetes": cluster,
        "homelab.llm": _own_version(),
        "asked from": str(task.gateway) if task.gateway else asked_from,
        "image of the probe": params["image"] or "none",
    }


def _cluster_version(transport: Transport) -> str:
    try:
        return str(transport.request("GET", "/version").get("gitVersion") or "unknown")
    except ApiError:
        return "unknown"


def _own_version() -> str:
    """A checkout has a galaxy.yml, an installed collection a MANIFEST.json."""
    root = Path(__file__).parents[2]
    for name, pattern in (("galaxy.yml", r"(?m)^version: *(\S+)"), ("MANIFEST.json", r'"version": *"([^"]+)"')):
        if (root / name).is_file() and (found := re.search(pattern, (root / name).read_text())):
            return found[1]
    return "unknown"
