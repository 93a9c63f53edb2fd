# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use which model."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui import access
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.access import Grant

EVERYBODY = Grant("user", "*", "read")


def record(model: str, *grants: Grant) -> dict[str, Any]:
    more = {"id": "of-the-grant", "resource_type": "model", "resource_id": model, "created_at": 1}
    fields = [{**more, "principal_type": it.principal_type, "principal_id": it.principal_id, "permission": it.permission} for it in grants]
    return {"id": model, "name": model, "access_grants": fields}


def test_grants_are_compared_without_what_open_webui_adds_and_in_any_order() -> None:
    group = Grant("group", "g", "write")
    current = access.by_model([record("a", group, EVERYBODY)])
    assert access.differing(current, {"a": frozenset({EVERYBODY, group})}) == {}


def test_a_model_without_a_record_has_no_grant() -> None:
    wanted = {"a": frozenset({EVERYBODY}), "b": frozenset[Grant]()}
    assert access.differing({}, wanted) == {"a": frozenset({EVERYBODY})}


def test_a_grant_too_many_differs() -> None:
    current = access.by_model([record("a", EVERYBODY, Grant("user", "u", "write"))])
    assert access.differing(current, {"a": frozenset({EVERYBODY})})


def test_what_is_sent_is_what_was_asked_for() -> None:
    assert access.request("a", frozenset({EVERYBODY})) == {
        "id": "a",
        "access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "read"}],
    }


def test_grants_are_told_as_sentences() -> None:
    assert [str(EVERYBODY), str(Grant("group", "g", "write"))] == ["everybody may read", "group g may write"]


@pytest.mark.parametrize("other", [{}, [1], [{"id": "a"}], [{"id": "a", "access_grants": [{"id": 1}]}], [{"access_control": None}]])
def test_another_shape_is_not_taken_for_this_one(other: Any) -> None:
    assert access.is_known([record("a", EVERYBODY)])
    assert not access.is_known(other)
