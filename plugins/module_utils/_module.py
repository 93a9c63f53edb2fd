# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a module's work asks of whoever runs it: AnsibleModule in a process of its own, or the controller in its place."""

from __future__ import annotations

from typing import Any, NoReturn, Protocol


class Module(Protocol):
    """The part of AnsibleModule that the work uses."""

    params: dict[str, Any]
    check_mode: bool
    no_log_values: set[str]
    _diff: bool  # AnsibleModule's name for it

    def warn(self, warning: str) -> None:
        """Add a warning to the result."""

    def exit_json(self, **result: Any) -> NoReturn:
        """End with this result."""

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        """End as failed."""
