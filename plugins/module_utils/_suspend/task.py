# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What is asked for, checked before anything is looked at: the parameters of the module `backend_suspend` as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.homelab.llm.plugins.module_utils._probe.load import Plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.task import BadTask, Task, task_of

State = Literal["suspended", "resumed", "reported"]
#: Requests a second straight for the next model group: enough to see that it serves, before and meanwhile.
SPARE_RATE = 0.5


@dataclass(frozen=True)
class Asked:
    """`clients`: who asks what meanwhile. `timeout`: seconds until the right one must answer.

    `given`: how many replicas it gets back where that is not remembered.
    """

    state: State
    namespace: str
    deployment: str
    service: str
    model: str
    fallback: str
    clients: Task
    timeout: float
    given: int | None

    @property
    def name(self) -> str:
        return f"Deployment {self.namespace}/{self.deployment}"

    @property
    def answerer(self) -> str:
        """The model group that has to answer in the end."""
        return self.fallback if self.state == "suspended" else self.model

    def plan(self) -> Plan:
        plan = self.clients.plan(ca_file=None, verify=True)
        # A request that is under way at the end must end by itself, or nobody knows whether it was lost.
        return dataclasses.replace(plan, seconds=self.longest, grace_s=self.clients.patience)

    @property
    def longest(self) -> float:
        """More seconds than all of it can take."""
        return self.timeout + 3 * self.clients.patience + 60


def asked_of(params: Mapping[str, Any]) -> Asked:
    """Return what the module's parameters ask for. Raises BadTask with everything that can be seen without a cluster."""
    state, chain = params["state"], [params["model"], *params["fallbacks"]]
    if len(set(chain)) != len(chain) or not all(chain):
        raise BadTask(f"fallbacks: each must be another model group than those before it, they are {', '.join(chain)}")
    if not params["fallbacks"]:
        raise BadTask(f"fallbacks: name the model groups that answer for {params['model']} meanwhile, in LiteLLM's order")
    wrong = [name for name in ("timeout", "patience", "rate") if params[name] <= 0]
    wrong += [name for name in ("replicas",) if params[name] is not None and params[name] < 1]
    if wrong:
        raise BadTask(f"{', '.join(wrong)} must be above 0")
    shape = {"stream": "both", "max_tokens": params["max_tokens"]}
    models = [{**shape, "model": params["model"], "chain": chain, "rate": params["rate"]}]
    if state != "reported":
        models.append({**shape, "model": chain[1], "chain": chain[1:], "rate": SPARE_RATE})
    # The course is this module's own: of a drill's durations only `steady` is used, as the zero of the line each second.
    clients = task_of(
        {
            "name": "backend-suspend",
            "namespace": params["namespace"],
            "url": params["url"],
            "key_secret": params["key_secret"],
            "models": models,
            "durations": {"steady": 1.0, "fault": 0.0, "recovery": 0.0, "effect": 1.0, "ready": 1.0},
            "patience": params["patience"],
            "backend_path": "",
        }
    )
    return Asked(
        state=state,
        namespace=params["namespace"],
        deployment=params["deployment"],
        service=params["service"] or "",
        model=chain[0],
        fallback=chain[1],
        clients=clients,
        timeout=float(params["timeout"]),
        given=params["replicas"],
    )
