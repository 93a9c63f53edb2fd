# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Secret as the tests see it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from kubernetes import client


def key() -> str:
    """A value like a provider's key."""
    return f"sk-{secrets.token_urlsafe(32)}"


class Secret:
    """One Secret, seen and changed through another client than the module's."""

    def __init__(self, core: client.CoreV1Api, namespace: str, name: str) -> None:
        self._core = core
        self.namespace = namespace
        self.name = name

    @property
    def values(self) -> dict[str, str] | None:
        listed = self._core.list_namespaced_secret(self.namespace, field_selector=f"metadata.name={self.name}").items
        if not listed:
            return None
        data = listed[0].data or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    @property
    def version(self) -> str:
        """Changes with every write, whatever it writes."""
        return str(self._core.read_namespaced_secret(self.name, self.namespace).metadata.resource_version)

    def create(self, values: Mapping[str, str], **fields: Any) -> None:
        body = {"metadata": {"name": self.name}, "stringData": dict(values), **fields}
        self._core.create_namespaced_secret(self.namespace, body)

    def delete(self) -> None:
        self._core.delete_namespaced_secret(self.name, self.namespace)
