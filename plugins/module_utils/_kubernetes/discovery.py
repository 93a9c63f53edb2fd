# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Finds the cluster a module shall talk to: by its parameters, a kubeconfig, or the pod it runs in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    import kubernetes
except ImportError:  # `new_configuration` says so before it is used.
    kubernetes = None  # type: ignore[assignment]

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import kubeconfig
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.connection import (
    Connection,
    Headers,
    check,
    impersonation,
    new_configuration,
)
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import unconfigured

#: The library's name of each option that says the same. `api_key` is not among them: it replaces the whole login.
_SAME = {
    "host": "host",
    "proxy": "proxy",
    "ca_cert": "ssl_ca_cert",
    "client_cert": "cert_file",
    "client_key": "key_file",
}


def from_params(params: Mapping[str, Any]) -> Connection:
    """Find the cluster as kubectl does, then let every given parameter override what was found.

    Order: `host`, `kubeconfig`, the variable KUBECONFIG, ~/.kube/config, the pod's service account. Raises ApiError when there is none.
    """
    configuration = new_configuration()
    default = Path("~/.kube/config").expanduser()
    named = params.get("kubeconfig") or os.environ.get("KUBECONFIG") or (str(default) if default.is_file() else "")
    headers: Headers = ()
    if params.get("host") and not params.get("kubeconfig"):
        pass
    elif named:
        headers = kubeconfig.load(named, params.get("context"), configuration)
    else:
        _load_incluster(configuration)
    _override(configuration, params)
    _keep_overriding(configuration, params)
    check(configuration)
    if params.get("impersonate_user"):
        headers = impersonation(params["impersonate_user"], params.get("impersonate_groups") or ())
    return Connection(configuration, headers)


def _load_incluster(configuration: Any) -> None:
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except (kubernetes.config.ConfigException, OSError):
        raise unconfigured(
            "No Kubernetes cluster to talk to: set the option kubeconfig, or host and api_key, or the variable KUBECONFIG, "
            "or make ~/.kube/config"
        ) from None


def _keep_overriding(configuration: Any, params: Mapping[str, Any]) -> None:
    """The library's hook runs before each request and sets not only the token but also everything else from the kubeconfig."""
    if not (renew := configuration.refresh_api_key_hook):
        return

    def renew_and_override(configuration: Any) -> None:
        renew(configuration)
        _override(configuration, params)

    configuration.refresh_api_key_hook = renew_and_override


def _override(configuration: Any, params: Mapping[str, Any]) -> None:
    for option, attribute in _SAME.items():
        if params.get(option):
            setattr(configuration, attribute, params[option])
    configuration.host = configuration.host.rstrip("/")
    if params.get("validate_certs") is not None:
        configuration.verify_ssl = params["validate_certs"]
    if params.get("api_key"):
        configuration.api_key = {"BearerToken": f"Bearer {params['api_key']}"}
        configuration.refresh_api_key_hook = None
