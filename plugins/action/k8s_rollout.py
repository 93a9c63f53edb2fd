# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for a rollout in the controller: a module could not show anything before it ends, and costs a second to start."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery, options, rollout
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import OnlyInController

#: Seconds between two looks. A look costs the API server three reads.
PAUSE = 0.5


SPECIFICATION = dict(
    argument_spec=dict(
        **options.argument_spec(),
        namespace=dict(type="str", required=True),
        name=dict(type="str", required=True),
        timeout=dict(type="int", default=180),
        log_lines=dict(type="int", default=20),
    )
)


class ActionModule(OnlyInController):
    specification = SPECIFICATION

    def work(self, module: Module) -> None:
        params = module.params
        resources = Resources(Transport(discovery.from_params(params)))
        namespace, name = params["namespace"], params["name"]
        started, shown = time.monotonic(), ""
        while True:
            deployment = resources.get({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": namespace, "name": name}})
            if deployment is None:
                if module.check_mode:
                    module.exit_json(pods=[], seconds=0.0)
                module.fail_json(msg=f"There is no Deployment {namespace}/{name} to wait for")
            pods = self._pods(resources, namespace, deployment)
            state = rollout.progress(deployment, pods)
            seconds = round(time.monotonic() - started, 1)
            if state.done or module.check_mode:
                module.exit_json(pods=[pod["metadata"]["name"] for pod in pods], seconds=seconds)
            if state.failed or seconds > params["timeout"]:
                why = state.text if state.failed else f"not done after {seconds:.0f} s: {state.text}"
                serving = bool((deployment.get("status") or {}).get("availableReplicas"))
                module.fail_json(msg=self._failure(resources, params, pods, why, serving))
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
    def _failure(resources: Resources, params: dict[str, Any], pods: list[Any], why: str, serving: bool) -> str:
        kept = "Pods of the revision before keep serving." if serving else "No pod serves."
        lines = [f"The rollout of {params['namespace']}/{params['name']} failed: {why}. {kept}"]
        if pods:
            pod, container = pods[-1]["metadata"]["name"], rollout.speaker(pods[-1])
            where = (params["namespace"], pod, container, params["log_lines"])
            # A container that crashed and waits for its next start has its words in the log of the run before.
            log = resources.log(*where) or resources.log(*where, previous=True)
            lines.append(f"Last log lines of {pod}, {container}:\n{rollout.masked(log)}" if log else f"{pod} has not logged anything.")
        return "\n".join(lines)
