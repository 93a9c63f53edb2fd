# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LiteLLM adds to a request: the same question straight to the backend and through LiteLLM, by turns, from a pod."""

from __future__ import annotations

import statistics
import uuid
from pathlib import Path

from kubernetes import client, config
from measure import report, sandbox_environment
from site_under_test import client_pod, result_of

CLIENT = Path(__file__).with_name("overhead_client.py")
URLS = {
    "backend": ("http://vllm-api.ml.svc.cluster.local:8000/v1", "Qwen/Qwen2.5-7B-Instruct-AWQ"),
    "litellm": ("http://litellm.ml.svc.cluster.local:4000/v1", "vllm-qwen"),
}


def bench() -> None:
    core = client.CoreV1Api(config.new_client_from_config(sandbox_environment()["KUBECONFIG"]))
    name = f"overhead-{uuid.uuid4().hex[:8]}"
    arguments = [word for pair in URLS.values() for word in pair]
    core.create_namespaced_pod("ml", client_pod(CLIENT.read_text(), [*arguments, "200"], name=name))
    try:
        found = result_of(core, "ml", name)
    finally:
        core.delete_namespaced_pod(name, "ml", grace_period_seconds=0)
    backend, through = (1000 * statistics.median(found[which]) for which in ("backend", "litellm"))
    report("a request through LiteLLM, median of 200", through, "straight to the backend", backend, "ms")
    print(f"  so LiteLLM adds {through - backend:.1f} ms (median)", flush=True)
