# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests lost in a rollout under load: by the role, and by the same Deployment without what the role does about it."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from kubernetes import client, config
from measure import ANSIBLE, kubectl, run, sandbox_environment
from site_under_test import load_pod, result_of

RATE = 20
SECONDS = 30

#: What Kubernetes does when nobody says otherwise, and what LiteLLM's own Helm chart leaves at that.
PLAIN = {
    "spec": {
        "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": {"spec": {"containers": [{"name": "litellm", "lifecycle": None}]}},
    }
}


def bench() -> None:
    core = client.CoreV1Api(config.new_client_from_config(sandbox_environment()["KUBECONFIG"]))
    namespace = f"bench-{uuid.uuid4().hex[:8]}"

    def site(**more: Any) -> None:
        services = {"openclaw_enabled": False, "open_webui_enabled": False}
        variables = {"litellm_namespace": namespace, "litellm_exposure": "none", "litellm_verify": False, **services, **more}
        run(ANSIBLE, "-i", "inventories/sandbox", "playbooks/site.yml", "-e", json.dumps(variables))

    def restart() -> None:
        kubectl("--namespace", namespace, "rollout", "restart", "deployment/litellm")
        kubectl("--namespace", namespace, "rollout", "status", "deployment/litellm", "--timeout", "120s")

    try:
        site()
        ours = under_load(core, namespace, lambda: site(litellm_settings_extra={"litellm_settings": {"drop_params": True}}))
        kubectl("--namespace", namespace, "patch", "deployment/litellm", "--patch", json.dumps(PLAIN))
        kubectl("--namespace", namespace, "rollout", "status", "deployment/litellm", "--timeout", "120s")
        theirs = under_load(core, namespace, restart)
    finally:
        core.delete_namespace(namespace)
    print(f"a rollout by the role under {RATE} requests/s, half of them streams: {told(ours)}")
    print(f"  rival, kubectl rollout restart without the role's lifecycle: {told(theirs)}", flush=True)


def under_load(core: client.CoreV1Api, namespace: str, work: Callable[[], None]) -> dict[str, Any]:
    """Do the work five seconds into the load; return what the clients met."""
    name = f"load-{uuid.uuid4().hex[:8]}"
    core.create_namespaced_pod(namespace, load_pod(namespace, seconds=SECONDS, rate=RATE, how="both", name=name))
    time.sleep(5)
    work()
    return result_of(core, namespace, name)


def told(found: dict[str, Any]) -> str:
    plain, streams = found["status"], found["streams"]
    asked = sum(plain.values()) + sum(streams.values())
    lost = asked - plain.get("answered", 0) - streams.get("answered", 0)
    why = {how: count for how, count in (Counter(plain) + Counter(streams)).items() if how != "answered"}
    return f"{lost} of {asked} failed{f' ({why})' if why else ''}, worst {found['worst_seconds'][0]:.2f} s"
