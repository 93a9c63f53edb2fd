# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""OpenClaw's gateway as a place to ask from, and the program that takes turns there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe import load

#: The gateway's own loopback: there alone its token carries the right to take turns.
URL = "ws://127.0.0.1:18789"


@dataclass(frozen=True)
class Gateway:
    """Where OpenClaw runs."""

    namespace: str
    deployment: str = "openclaw"
    container: str = "openclaw"

    def __str__(self) -> str:
        return f"OpenClaw (Deployment {self.namespace}/{self.deployment})"


def program() -> str:
    """Return the source that Node runs in the container: the gateway's client, which the role openclaw verifies with too, and the turns."""
    here = Path(__file__)
    client = here.parents[3] / "roles" / "openclaw" / "files" / "gateway.mjs"
    return f"{client.read_text(encoding='utf-8')}\n{here.with_name('turns.mjs').read_text(encoding='utf-8')}"


def spec(plan: load.Plan, look: Mapping[str, Any]) -> str:
    """Return the program's argument, without a secret."""
    return json.dumps({**dataclasses.asdict(plan), "look": dict(look)})
