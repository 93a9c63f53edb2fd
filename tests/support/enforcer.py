# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that enforces the probe's NetworkPolicies, as the sandbox's does not: packets to the addresses that they except are dropped.

Those of open connections too, as networks do that look at each packet.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from kubernetes import client

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox" / "sandbox"
Rule = tuple[str, str]


class Enforcer:
    """Works on one namespace, from its beginning to its end."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        self._core, self._networking, self._namespace = core, client.NetworkingV1Api(core.api_client), namespace
        self._rules: set[Rule] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Enforcer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.wait(0.2):
                with contextlib.suppress(client.ApiException):
                    self._become(self._wanted())
        finally:
            self._become(set())

    def _wanted(self) -> set[Rule]:
        found: set[Rule] = set()
        for policy in self._networking.list_namespaced_network_policy(self._namespace).items:
            if not policy.metadata.name.startswith("failover-probe-"):
                continue
            labels = ",".join(f"{name}={value}" for name, value in policy.spec.pod_selector.match_labels.items())
            pods = self._core.list_namespaced_pod(self._namespace, label_selector=labels).items
            blocks = [peer.ip_block for rule in policy.spec.egress for peer in rule.to if peer.ip_block]
            forbidden = [address for block in blocks for address in block._except or ()]
            found |= {(pod.status.pod_ip, address) for pod in pods if pod.status.pod_ip for address in forbidden}
        return found

    def _become(self, wanted: set[Rule]) -> None:
        """All at once, as far as that goes: for whom a way is gone first, the others are still on theirs."""
        changes = [("-I", rule) for rule in wanted - self._rules] + [("-D", rule) for rule in self._rules - wanted]
        commands = [f"iptables -w {change} FORWARD -s {source} -d {target} -j DROP" for change, (source, target) in changes]
        if commands:
            subprocess.run([SANDBOX, "exec", "--", "sh", "-c", " && ".join(commands)], check=True, capture_output=True)
        self._rules = wanted


class EnforcerOfOne(Enforcer):
    """Enforces one rule: pods of a policy that lets nobody out to addresses do not reach `target`, in iptables' words."""

    def __init__(self, core: client.CoreV1Api, namespace: str, policy: str, target: str) -> None:
        super().__init__(core, namespace)
        self._policy, self._target = policy, target

    def _wanted(self) -> set[Rule]:
        policy = self._networking.read_namespaced_network_policy(self._policy, self._namespace)
        if any(peer.ip_block for rule in policy.spec.egress for peer in rule.to or ()):
            return set()
        labels = ",".join(f"{name}={value}" for name, value in policy.spec.pod_selector.match_labels.items())
        pods = self._core.list_namespaced_pod(self._namespace, label_selector=labels).items
        return {(pod.status.pod_ip, self._target) for pod in pods if pod.status.pod_ip}
