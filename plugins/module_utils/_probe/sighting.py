# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""When a fault took effect and when the backend was back, seen by something else than the requests that are judged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import rollout
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources
from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Offset
from ansible_collections.homelab.llm.plugins.module_utils._probe.counting import Reading
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Object, Ref, value_at

Json = dict[str, Any]


class Sighting(Protocol):
    """Both return a moment of the worker's clock, or None while it is not so. `now` is the caller's clock."""

    def gone(self, now: float, offset: Offset) -> float | None:
        """When the backends were gone."""

    def back(self, now: float, offset: Offset) -> float | None:
        """When they were back."""


class ByWatcher:
    """What the watcher in the worker's pod sees: the Services, and the pods behind them as they were at the beginning."""

    def __init__(self) -> None:
        self._states: dict[str, Json] = {}
        self.look: Json | None = None
        self.readings: dict[str, list[Reading]] = {}
        self.uncounted: dict[str, str] = {}

    def take(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            if fields.get("kind") == "state":
                self._states[fields["target"]] = fields
            elif fields.get("kind") == "look":
                self.look = fields
            elif fields.get("kind") == "count":
                self._count(fields)

    def _count(self, fields: Json) -> None:
        tier, begin = fields["tier"], float(fields["t_mono"])
        self.uncounted[tier] = fields["error"]
        if not fields["error"]:
            self.readings.setdefault(tier, []).append(Reading(begin, begin + float(fields["seconds"]), float(fields["value"])))

    def has_read(self, moment: float) -> bool:
        """Tell whether each counter that can be read now was read after that moment of the worker's clock."""
        return all(series[-1].begin > moment for tier, series in self.readings.items() if not self.uncounted[tier])

    def keep_the_reachable(self) -> list[str]:
        """Forget what was not up before anything was broken; return the reasons why a Service was not."""
        down = [each for each in self._states.values() if not each["up"]]
        self._states = {name: each for name, each in self._states.items() if each["up"]}
        return [f"{each['target']}: {each['why']}" for each in down if each["target"].startswith("service ")]

    @property
    def is_of_use(self) -> bool:
        return any(name.startswith("service ") for name in self._states)

    def gone(self, now: float, offset: Offset) -> float | None:
        del now, offset
        states = self._states.values()
        return max(float(each["t_mono"]) for each in states) if not any(each["up"] for each in states) else None

    def back(self, now: float, offset: Offset) -> float | None:
        del now, offset
        services = [each for name, each in self._states.items() if name.startswith("service ")]
        return max(float(each["t_mono"]) for each in services) if all(each["up"] for each in services) else None


class ByPods:
    """What the API server says of the Deployments' pods."""

    def __init__(self, resources: Resources, refs: Sequence[Ref]) -> None:
        self._resources, self._refs = resources, refs

    def gone(self, now: float, offset: Offset) -> float | None:
        return offset.theirs(now) if not any(self._pods(ref) for ref in self._refs) else None

    def back(self, now: float, offset: Offset) -> float | None:
        return offset.theirs(now) if all(self._is_available(ref) for ref in self._refs) else None

    def _pods(self, ref: Ref) -> list[Object]:
        try:
            return running_pods(self._resources, ref, self._resources.get(ref.manifest))
        except ApiError:
            return [{}]  # an API server that is away: nobody knows

    def _is_available(self, ref: Ref) -> bool:
        try:
            found = self._resources.get(ref.manifest)
        except ApiError:
            return False
        return bool(found and rollout.progress(found).done)


class ByRollout(ByPods):
    """For a Secret: the pods that read it are others now."""

    def gone(self, now: float, offset: Offset) -> float | None:
        return self.back(now, offset)

    def _is_available(self, ref: Ref) -> bool:
        if not super()._is_available(ref):
            return False
        # The pods of the revision before answer until they have ended.
        wanted = (self._resources.get(ref.manifest) or {}).get("status", {}).get("replicas", 0)
        return bool(len(self._pods(ref)) == wanted)


class AtOnce:
    """For what is done when it is said, as an admin API does it."""

    def gone(self, now: float, offset: Offset) -> float | None:
        return offset.theirs(now)

    back = gone


def running_pods(resources: Resources, ref: Ref, deployment: Object | None) -> list[Object]:
    """Return the pods of a Deployment in which something still runs, those on their way out included."""
    labels = value_at(deployment or {}, ("spec", "selector", "matchLabels")) or {}
    if not labels:
        return []
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    found = resources.list_of("v1", "pods", ref.namespace, selector)
    return [pod for pod in found if _runs(pod) and "pod-template-hash" in (pod["metadata"].get("labels") or {})]


def _runs(pod: Object) -> bool:
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return False
    states = [each.get("state") or {} for each in status.get("containerStatuses") or ()]
    return not states or any("terminated" not in state for state in states)
