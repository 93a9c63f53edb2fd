# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import journal as journals
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Edit, digest, merged, setting, value_at
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import (
    ALIVE,
    JOURNAL,
    Holder,
    Journal,
    Unreadable,
    breaking,
    forgetting,
    journal_of,
    myself,
    not_as_before,
    undoing,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def patched(target: Any, patch: Any) -> Any:
    """RFC 7386, as the API server does it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), value)
    return result


def journal(*edits: Edit, **changes: Any) -> Journal:
    return Journal("run1", "hang", myself(), "2026-01-01T00:00:00+00:00", "2026-01-01T00:10:00+00:00", edits, **changes)


def service(selector: dict[str, str]) -> dict[str, Any]:
    metadata = {
        "name": "vllm-api",
        "namespace": "ml",
        "resourceVersion": "7",
        "labels": {"theirs": "1"},
        "annotations": {"note": "by hand"},
    }
    return {"kind": "Service", "metadata": metadata, "spec": {"selector": selector, "ports": [{"port": 8000}]}}


selectors = st.dictionaries(st.sampled_from(["app", "tier", "role", "x/y"]), st.sampled_from(["a", "b"]), min_size=1)


@settings(deadline=None)
@given(before=selectors, during=selectors)
def test_what_is_broken_and_undone_is_as_it_was(before: dict[str, str], during: dict[str, str]) -> None:
    original = service(before)
    one = journal(Edit(("spec", "selector"), before, during))
    broken = patched(original, breaking(original, one))
    assert broken["spec"]["selector"] == during
    assert journal_of(broken) == one
    restored = patched(broken, undoing(broken, one, {}))
    assert restored == original
    assert not_as_before(restored, one, {}) == []


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.integers() | st.none()), st.dictionaries(st.text(), st.integers()))
def test_a_field_is_set_to_exactly_what_is_wanted(now: dict[str, Any], wanted: dict[str, Any]) -> None:
    present = {name: value for name, value in now.items() if value is not None}
    found = {"spec": {"field": present, "other": 1}}
    assert patched(found, setting(("spec", "field"), present, wanted)) == {"spec": {"field": wanted, "other": 1}}


def test_the_patch_that_breaks_carries_the_version_that_was_read_and_the_journal() -> None:
    patch = breaking(service({"app": "a"}), journal(Edit(("spec", "selector"), {"app": "a"}, {"b": "c"})))
    assert patch["metadata"]["resourceVersion"] == "7"
    assert set(patch["metadata"]["annotations"]) == {JOURNAL, ALIVE}
    assert patch["spec"]["selector"] == {"app": None, "b": "c"}


def test_a_field_that_somebody_changed_during_the_fault_is_left_as_it_is() -> None:
    one = journal(Edit(("spec", "replicas"), 2, 0))
    found = {"kind": "Deployment", "metadata": {"resourceVersion": "9", "annotations": {JOURNAL: one.text()}}, "spec": {"replicas": 5}}
    assert "spec" not in undoing(found, one, {})
    assert not_as_before(found, one, {}) == ["spec.replicas"]


def test_the_journal_stays_until_what_was_made_is_gone() -> None:
    one = journal(Edit(("spec", "replicas"), 2, 0), made=(("v1", "Pod", "stand-in"),))
    found = {"kind": "Deployment", "metadata": {"resourceVersion": "9"}, "spec": {"replicas": 2}}
    broken = patched(found, breaking(found, one))
    restored = patched(broken, undoing(broken, one, {}))
    assert (restored["spec"]["replicas"], journal_of(restored)) == (2, one)
    assert patched(restored, forgetting(restored)) == {**found, "metadata": {"resourceVersion": "9", "annotations": {}, "labels": {}}}


def test_a_secret_value_is_in_the_backup_and_not_in_the_journal() -> None:
    one = journal(Edit(("data", "KEY"), None, "c3BvaWx0", in_backup=True), backup="s-backup")
    found = {"kind": "Secret", "metadata": {"name": "s", "namespace": "ml", "resourceVersion": "1"}, "data": {"KEY": "cmlnaHQ="}}
    broken = patched(found, breaking(found, one))
    assert "cmlnaHQ=" not in json.dumps(broken)
    assert undoing(broken, one, {"KEY": "cmlnaHQ="})["data"] == {"KEY": "cmlnaHQ="}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "edits": [{"path": "x"}]}', "null"])
def test_a_journal_of_somebody_else_is_an_error_that_says_what_to_do(text: str) -> None:
    with pytest.raises(Unreadable, match="Service ml/vllm-api is none that this version wrote: undo by hand"):
        journal_of({"kind": "Service", "metadata": {"name": "vllm-api", "namespace": "ml", "annotations": {JOURNAL: text}}})


def test_this_process_lives_and_one_that_has_ended_is_known_to_be_dead() -> None:
    assert not myself().is_known_dead
    code = "from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import myself; import dataclasses, json;"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", f"{code} print(json.dumps(dataclasses.asdict(myself())))"], env=environ, capture_output=True, check=True
    )
    assert Holder(**json.loads(ran.stdout)).is_known_dead


def test_a_pod_names_the_process_that_made_it() -> None:
    assert journals.holder_of(journals.note()[journals.HOLDER]) == myself()
    for text in ("", "{}", "[]", '{"who": "me"}'):
        assert journals.holder_of(text) is None


def test_of_a_process_on_another_machine_nothing_is_known() -> None:
    assert not dataclasses.replace(myself(), machine="elsewhere", pid=1).is_known_dead


def test_a_journal_survives_being_written() -> None:
    one = journal(Edit(("a", "b"), {"x": 1}, None), made=(("v1", "Pod", "p"),), call={"method": "PUT"}, rest="1234")
    assert journal_of({"metadata": {"annotations": {JOURNAL: one.text()}}}) == one


def test_the_fingerprint_of_the_rest_ignores_what_was_edited_and_empty_maps() -> None:
    edit = Edit(("spec", "template", "metadata", "annotations", "x"), None, "1")
    one = {"spec": {"replicas": 1, "template": {"metadata": {"labels": {"a": "b"}}}}}
    other = copy.deepcopy(one)
    other["spec"]["template"]["metadata"]["annotations"] = {"x": "1"}  # type: ignore[index]
    assert digest(one, (edit,)) == digest(other, (edit,))
    other["spec"]["replicas"] = 2
    assert digest(one, (edit,)) != digest(other, (edit,))


def test_patches_are_joined_and_a_missing_field_is_none() -> None:
    assert merged({"a": {"b": 1}}, {"a": {"c": 2}, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}
    assert value_at({"a": None}, ("a", "b", "c")) is None


def test_a_lease_outlives_an_api_server_that_is_away_for_ten_seconds() -> None:
    assert journals.LEASE > 10 + journals.RENEWAL
