# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program in a pod of its own, from the controller: a module process would cost more than most programs."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, options, pod_run
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import Program, SecretKey
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._secrets import masking
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import OnlyInController

SPECIFICATION = dict(
    argument_spec=dict(
        **options.argument_spec(),
        namespace=dict(type="str", required=True),
        image=dict(type="str", required=True),
        argv=dict(type="list", elements="str", required=True),
        env=dict(type="dict", default={}),
        env_keys=dict(
            type="list",
            elements="dict",
            default=[],
            no_log=False,
            options={
                "name": dict(type="str", required=True),
                "secret": dict(type="str", required=True, no_log=False),
                "key": dict(type="str", no_log=False),
            },
        ),
        env_secrets=dict(type="list", elements="str", default=[], no_log=False),
        env_given=dict(type="dict", default={}, no_log=True),
        env_copied=dict(
            type="list",
            elements="dict",
            default=[],
            no_log=False,
            options={
                "name": dict(type="str", required=True),
                "from_namespace": dict(type="str", required=True),
                "from_name": dict(type="str", required=True, no_log=False),
                "from_key": dict(type="str", no_log=False),
            },
        ),
        labels=dict(type="dict", default={}),
        name=dict(type="str", default="run"),
        user=dict(type="int", default=10001),
        memory=dict(type="str", default="256Mi"),
        image_pull_policy=dict(type="str", choices=["Always", "IfNotPresent", "Never"], default="IfNotPresent"),
        timeout=dict(type="int", default=60),
    )
)


class ActionModule(OnlyInController):
    _supports_check_mode = False

    specification = SPECIFICATION

    def work(self, module: Module) -> None:
        # Ansible would search the result for whatever a parameter without a log holds: for "a" too, and not for its base64.
        module.no_log_values = {module.params["api_key"]} - {None, ""}
        if not module.params["argv"]:
            module.fail_json(msg="argv is empty: name the program to run")
        hidden: dict[str, bytes] = {}
        try:
            resources = Resources(Transport(discovery.from_params(module.params)))
            hidden = _hidden(resources, module.params)
            program = _program(module.params, hidden)
            ended = pod_run.run(resources, program)
        except ApiError as error:
            module.fail_json(msg=masking.redact(error.message, hidden.values()), missing_namespace=error.is_missing_namespace)
        output = masking.redact(ended.output, hidden.values())
        result = {"changed": True, "stdout": output, "rc": ended.code, "seconds": ended.seconds}
        if ended.code:
            last = (output.strip().splitlines() or ["it wrote nothing"])[-1]
            where = f"{program.argv[0]} in a pod of namespace {program.namespace}"
            module.fail_json(msg=f"{where} ended with {ended.code}: {last}", missing_namespace=False, **result)
        module.exit_json(**result)


def _hidden(resources: Resources, params: dict[str, Any]) -> dict[str, bytes]:
    """What was given, and what is copied, by the name of its variable. Raises ApiError."""
    found = {name: str(value).encode() for name, value in params["env_given"].items()}
    for each in params["env_copied"]:
        key, where = each["from_key"] or each["name"], {"namespace": each["from_namespace"], "name": each["from_name"]}
        secret = resources.get({"apiVersion": "v1", "kind": "Secret", "metadata": where}) or {}
        if key not in (secret.get("data") or {}):
            told = f"{each['name']} cannot be copied: there is no key {key} of Secret {where['namespace']}/{where['name']}"
            raise ApiError(0, "NotFound", told)
        found[each["name"]] = base64.b64decode(secret["data"][key])
    return found


def _program(params: dict[str, Any], hidden: dict[str, bytes]) -> Program:
    keys = {each["name"]: SecretKey(each["secret"], each["key"] or each["name"]) for each in params["env_keys"]}
    return Program(
        namespace=params["namespace"],
        image=params["image"],
        argv=params["argv"],
        timeout=params["timeout"],
        name=params["name"],
        env={name: str(value) for name, value in params["env"].items()},
        env_keys=keys,
        env_secrets=params["env_secrets"],
        hidden=hidden,
        labels={name: str(value) for name, value in params["labels"].items()},
        user=params["user"],
        memory=params["memory"],
        pull_policy=params["image_pull_policy"],
    )
