# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command in a container, from the controller: a module process costs more than most commands."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, exec, options  # noqa: A004
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _validation, params = self.validate_argument_spec(
            argument_spec=dict(
                **options.argument_spec(),
                namespace=dict(type="str", required=True),
                pod=dict(type="str", required=True),
                container=dict(type="str"),
                argv=dict(type="list", elements="str", required=True),
                timeout=dict(type="int", default=120),
            )
        )
        try:
            finished = exec.run(
                discovery.from_params(params), params["namespace"], params["pod"], params["container"], params["argv"], params["timeout"]
            )
        except ApiError as error:
            raise AnsibleActionFail(error.message) from None
        result = {"changed": True, "stdout": finished.stdout, "stderr": finished.stderr, "rc": finished.code}
        if finished.code:
            program = params["argv"][0]
            last = (finished.stderr.strip() or finished.stdout.strip()).splitlines()[-1:] or ["it wrote nothing"]
            return {
                **result,
                "failed": True,
                "msg": f"{program} in pod {params['namespace']}/{params['pod']} ended with {finished.code}: {last[0]}",
            }
        return result
