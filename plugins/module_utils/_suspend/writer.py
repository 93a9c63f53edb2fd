# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Who else writes a Deployment's replicas: told from the object itself, without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Marks of controllers that hold a Deployment to what is in Git: (where, name, who, how to make them leave replicas alone).
_MARKS = (
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux", "flux suspend kustomization {0}"),
    ("labels", "helm.toolkit.fluxcd.io/name", "Flux", "flux suspend helmrelease {0}"),
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD", "ignoreDifferences for /spec/replicas in its Application"),
    ("labels", "argocd.argoproj.io/instance", "Argo CD", "ignoreDifferences for /spec/replicas in Application {0}"),
)


def last_writer(found: Mapping[str, Any]) -> str:
    """Return the field manager that wrote spec.replicas last, with when; "" when the object does not tell."""
    writers = [
        each for each in found["metadata"].get("managedFields") or () if "f:replicas" in ((each.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    if not writers:
        return ""
    last = max(writers, key=lambda each: str(each.get("time") or ""))
    return f"{last.get('manager') or 'somebody'} at {last.get('time') or 'a time that is not known'}"


def keeper(found: Mapping[str, Any]) -> str:
    """Return who keeps the Deployment as it is in Git, and what to tell them; "" when nobody is known to."""
    for where, name, who, how in _MARKS:
        if value := (found["metadata"].get(where) or {}).get(name):
            return f"{who} keeps this Deployment as it is in Git ({name}: {value}); it leaves replicas alone with: {how.format(value)}"
    return ""
