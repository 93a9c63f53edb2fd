# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The one exception of everything that talks to a Kubernetes API server."""

from __future__ import annotations


class ApiError(Exception):
    """What the API server, or the way to it, answered instead of the object.

    `status` is the HTTP status, 0 when no answer came; `reason` is the `reason` of Kubernetes' Status object ("NotFound", "Conflict",
    "Forbidden" …), or "Unreachable", "Unconfigured"; `message` is one sentence without any credential; `missing_kind` is, for a 404, the
    plural name of what is missing, which for a creation is "namespaces" and not the object's own kind.
    """

    def __init__(self, status: int, reason: str, message: str, missing_kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.missing_kind = missing_kind

    @property
    def is_conflict(self) -> bool:
        """Somebody else wrote the object since it was read, or created it first."""
        return self.status == 409

    @property
    def is_missing_namespace(self) -> bool:
        return self.status == 404 and self.missing_kind == "namespaces"


def unconfigured(message: str) -> ApiError:
    """The error for a connection that cannot even be tried."""
    return ApiError(0, "Unconfigured", message)
