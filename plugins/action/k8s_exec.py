# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command in a container, from the controller: a module process costs more than most commands."""

from __future__ import annotations

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, exec, options  # noqa: A004
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import OnlyInController

SPECIFICATION = dict(
    argument_spec=dict(
        **options.argument_spec(),
        namespace=dict(type="str", required=True),
        pod=dict(type="str", required=True),
        container=dict(type="str"),
        argv=dict(type="list", elements="str", required=True),
        timeout=dict(type="int", default=120),
    )
)


class ActionModule(OnlyInController):
    _supports_check_mode = False

    specification = SPECIFICATION

    def work(self, module: Module) -> None:
        params = module.params
        connection = discovery.from_params(params)
        finished = exec.run(connection, params["namespace"], params["pod"], params["container"], params["argv"], params["timeout"])
        result = {"changed": True, "stdout": finished.stdout, "stderr": finished.stderr, "rc": finished.code}
        if finished.code:
            program = params["argv"][0]
            last = (finished.stderr.strip() or finished.stdout.strip()).splitlines()[-1:] or ["it wrote nothing"]
            message = f"{program} in pod {params['namespace']}/{params['pod']} ended with {finished.code}: {last[0]}"
            module.fail_json(msg=message, **result)
        module.exit_json(**result)
