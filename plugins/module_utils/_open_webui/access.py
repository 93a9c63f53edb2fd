# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Who may use which model: the grants that a model has, and those it shall have. Plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

READ, WRITE = "/api/v1/models/all", "/api/v1/models/model/access/update"

Grants = frozenset["Grant"]


@dataclass(frozen=True, order=True)
class Grant:
    """`principal_type` is "user" or "group", `principal_id` "*" for everybody, `permission` "read" or "write"."""

    principal_type: str
    principal_id: str
    permission: str

    def __str__(self) -> str:
        everybody = (self.principal_type, self.principal_id) == ("user", "*")
        return f"{'everybody' if everybody else f'{self.principal_type} {self.principal_id}'} may {self.permission}"


def grants_of(entries: Iterable[Mapping[str, Any]]) -> Grants:
    return frozenset(Grant(each["principal_type"], each["principal_id"], each["permission"]) for each in entries)


def is_known(records: object) -> bool:
    """Tell whether these are the records that this file knows."""
    return isinstance(records, list) and all(
        isinstance(each, Mapping) and "id" in each and _are_grants(each.get("access_grants")) for each in records
    )


def _are_grants(entries: object) -> bool:
    return isinstance(entries, list) and all(
        isinstance(each, Mapping) and {"principal_type", "principal_id", "permission"} <= each.keys() for each in entries
    )


def by_model(records: Iterable[Mapping[str, Any]]) -> dict[str, Grants]:
    """Return the grants of each model that has a record. One without is for administrators only, as with no grant."""
    return {each["id"]: grants_of(each["access_grants"]) for each in records}


def differing(current: Mapping[str, Grants], wanted: Mapping[str, Grants]) -> dict[str, Grants]:
    return {model: grants for model, grants in wanted.items() if current.get(model, frozenset()) != grants}


def request(model: str, grants: Grants) -> dict[str, Any]:
    """Return the body that gives the model these grants and no other. It makes the record when there is none."""
    fields = [
        {"principal_type": each.principal_type, "principal_id": each.principal_id, "permission": each.permission} for each in sorted(grants)
    ]
    return {"id": model, "access_grants": fields}
