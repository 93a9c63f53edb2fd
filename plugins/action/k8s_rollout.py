# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for a rollout in the controller: a module could not show anything before it ends, and costs a second to start."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, options, rollout
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

#: Seconds between two looks. A look costs the API server three reads.
PAUSE = 0.5


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _validation, params = self.validate_argument_spec(
            argument_spec=dict(
                **options.argument_spec(),
                namespace=dict(type="str", required=True),
                name=dict(type="str", required=True),
                timeout=dict(type="int", default=180),
                log_lines=dict(type="int", default=20),
            )
        )
        try:
            return self._wait(Resources(Transport(discovery.from_params(params))), params)
        except ApiError as error:
            raise AnsibleActionFail(error.message) from None

    def _wait(self, resources: Resources, params: dict[str, Any]) -> dict[str, Any]:
        namespace, name = params["namespace"], params["name"]
        started, shown = time.monotonic(), ""
        while True:
            deployment = resources.get({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": namespace, "name": name}})
            if deployment is None:
                if self._task.check_mode:
                    return {"changed": False, "pods": [], "seconds": 0.0}
                raise AnsibleActionFail(f"There is no Deployment {namespace}/{name} to wait for")
            pods = self._pods(resources, namespace, deployment)
            state = rollout.progress(deployment, pods)
            seconds = round(time.monotonic() - started, 1)
            if state.done or self._task.check_mode:
                return {"changed": False, "pods": [pod["metadata"]["name"] for pod in pods], "seconds": seconds}
            if state.failed or seconds > params["timeout"]:
                why = state.text if state.failed else f"not done after {seconds:.0f} s: {state.text}"
                raise AnsibleActionFail(self._failure(resources, params, pods, why))
            if state.text != shown:
                shown = state.text
                self._display.display(f"  {namespace}/{name} after {seconds:4.1f} s: {shown}")
            time.sleep(PAUSE)

    @staticmethod
    def _pods(resources: Resources, namespace: str, deployment: dict[str, Any]) -> list[Any]:
        selector = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"].get("matchLabels", {}).items())
        replica_sets = resources.list_of("apps/v1", "replicasets", namespace, selector)
        return rollout.of_newest_revision(deployment, replica_sets, resources.list_of("v1", "pods", namespace, selector))

    @staticmethod
    def _failure(resources: Resources, params: dict[str, Any], pods: list[Any], why: str) -> str:
        lines = [f"The rollout of {params['namespace']}/{params['name']} failed: {why}. Pods of the revision before keep serving."]
        if pods:
            pod = pods[-1]["metadata"]["name"]
            # A container that crashed and waits for its next start has its words in the log of the run before.
            log = resources.log(params["namespace"], pod, params["log_lines"]) or resources.log(
                params["namespace"], pod, params["log_lines"], previous=True
            )
            lines.append(f"Last log lines of {pod}:\n{rollout.masked(log)}" if log else f"{pod} has not logged anything.")
        return "\n".join(lines)
