# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Sends one request to an admin API that makes a fault, from the controller or from a pod."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.urls import open_url

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import pod_run
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import Program
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.resources import Resources

_IN_POD = """
import json, sys, urllib.error, urllib.request
call = json.loads(sys.argv[1])
headers = {"Content-Type": "application/json"}
request = urllib.request.Request(call["url"], call["body"].encode() or None, headers, method=call["method"])
try:
    urllib.request.build_opener().open(request, timeout=10)
except urllib.error.HTTPError as error:
    sys.exit(f"status {error.code}")
except OSError as error:
    sys.exit(str(getattr(error, "reason", error)))
"""


def caller(resources: Resources, namespace: str) -> Callable[[Mapping[str, Any]], None]:
    """Return what sends a call, {"method", "url", "body", "image"}: from a pod of the namespace if an image is named. Raises ApiError."""

    def call(what: Mapping[str, Any]) -> None:
        why = _from_pod(resources, namespace, what) if what.get("image") else _from_here(what)
        if why:
            raise ApiError(0, "AdminCall", f"{what['method']} {what['url']} failed: {why}")

    return call


def _from_pod(resources: Resources, namespace: str, what: Mapping[str, Any]) -> str:
    argv = ["python3", "-c", _IN_POD, json.dumps(dict(what))]
    ended = pod_run.run(resources, Program(namespace, what["image"], argv, timeout=40, name="failover-probe-call"))
    return (ended.output.strip().splitlines() or [f"exit code {ended.code}"])[-1] if ended.code else ""


def _from_here(what: Mapping[str, Any]) -> str:
    headers = {"Content-Type": "application/json"}
    try:
        with open_url(what["url"], data=what["body"].encode() or None, headers=headers, method=what["method"], timeout=10):
            return ""
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except OSError as error:
        return str(getattr(error, "reason", error))
