# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Versions and settings that a drill's times depend on, for its report. Pure; nothing of it is secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Request


def settings_of(expectation: Expectation, told: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Return, for each tier of a chain, what it is and what decides how fast it is left. `told`: the tiers of the watcher's look."""
    groups = dict.fromkeys(tier.model_group for chain in expectation.chains for tier in chain.tiers)
    found = {}
    for group in groups:
        for number, each in enumerate(told.get(group, ()), start=1):
            settings = ", ".join(f"{name} {_short(value)}" for name, value in (each.get("settings") or {}).items())
            name = group if len(told[group]) == 1 else f"{group} ({number})"
            found[name] = "; ".join(part for part in (each["model"], each["api_base"], settings) if part)
    return found


def attempts_of(requests: Iterable[Request]) -> str:
    """Return whom OpenClaw left, why, and how often."""
    found = Counter(each.attempts for each in requests if each.attempts)
    return "; ".join(f"{what}: {count}" for what, count in found.most_common()) or "nobody"


def versions(requests: Iterable[Request]) -> str:
    return ", ".join(sorted({each.version for each in requests if each.version})) or "unknown"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
