# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What differs, as Ansible prints it: a line for a setting, keys as fingerprints only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._open_webui.access import Grants
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.connections import Connection, Wanted, place
from ansible_collections.homelab.llm.plugins.module_utils._secrets.fingerprint import fingerprint

#: Options of a connection that may hold a key of their own.
_HIDDEN_OPTIONS = frozenset({"headers"})

Lines = dict[str, str]


def of_settings(section: str, values: Mapping[str, Any], names: Sequence[str]) -> Lines:
    return {f"{section}.{name}": json.dumps(values.get(name), ensure_ascii=False, sort_keys=True) for name in names}


def of_access(grants: Mapping[str, Grants], models: Sequence[str]) -> Lines:
    return {f"access.{model}": "; ".join(map(str, sorted(grants.get(model, ())))) or "administrators only" for model in models}


def of_connections(enabled: bool, connections: Sequence[Connection], wanted: Sequence[Wanted], salt: str) -> Lines:
    """`salt` keys the fingerprints of connections that were not asked for."""
    salts = {place(each.url): each.salt for each in wanted if each.salt}
    lines = {"connections.enabled": json.dumps(enabled)}
    for number, each in enumerate(connections):
        mark = fingerprint(salts.get(each.place, salt), each.place, each.key.encode()) if each.key else "none"
        options = {name: _option(name, value, salt) for name, value in (each.config or {}).items()}
        told = f", {json.dumps(options, ensure_ascii=False, sort_keys=True)}" if options else ""
        lines[f"connections.{number}"] = f"{each.url}, key {mark}{told}"
    return lines


def _option(name: str, value: Any, salt: str) -> Any:
    if name not in _HIDDEN_OPTIONS or not value:
        return value
    return f"(fingerprint {fingerprint(salt, name, json.dumps(value, sort_keys=True).encode())})"


def diff(where: str, before: Lines, after: Lines) -> dict[str, str]:
    """Return both sides in the form that Ansible prints."""
    return dict(before_header=f"{where} (before)", after_header=f"{where} (after)", before=_text(before), after=_text(after))


def _text(lines: Lines) -> str:
    return "".join(f"{name}: {value}\n" for name, value in lines.items())
