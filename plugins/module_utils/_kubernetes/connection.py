# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""How to reach one API server, and as whom: a Configuration of the Python package `kubernetes`, which reads it and logs in with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import unconfigured

try:
    import kubernetes
except ImportError:  # Told by `new_configuration`: a module must be importable without it.
    kubernetes = None  # type: ignore[assignment]

#: Before this version `ApiClient.call_api` takes other parameters.
OLDEST = 37

_INSTALL = f"{sys.executable} -m pip install 'kubernetes>={OLDEST}'"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Connection:
    """The library's Configuration, and the headers that it knows nothing of. Its repr shows no credential."""

    configuration: Any = field(repr=False)
    headers: Headers = ()


def new_configuration() -> Any:
    """Return a Configuration without an address, which the library would take for http://localhost. Raises ApiError."""
    if kubernetes is None:
        raise unconfigured(f"{missing_required_lib('kubernetes')} To install it: {_INSTALL}")
    if int(kubernetes.__version__.partition(".")[0]) < OLDEST:
        raise unconfigured(f"The Python package kubernetes is {kubernetes.__version__}, which is too old. To upgrade it: {_INSTALL}")
    return kubernetes.client.Configuration(host="")


def impersonation(user: str, groups: Iterable[str] = ()) -> Headers:
    """Return the headers that act as `user`, member of `groups`."""
    return (("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups))


def check(configuration: Any) -> None:
    """Refuse what would only come up in the middle of a request, with less clear words. Raises ApiError."""
    address = urlsplit(configuration.host)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise unconfigured(f"The Kubernetes API's address '{configuration.host}' is none: it looks like https://HOST:PORT")
    for path in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        if path and not os.access(path, os.R_OK):
            raise unconfigured(f"{path}, which is to be used with {configuration.host}, cannot be read")
