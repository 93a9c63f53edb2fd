# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a page of settings would be, and what may not be asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui import section
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.section import SECTIONS

ADMIN = SECTIONS[0]


def test_keys_that_are_not_named_stay_and_lists_are_whole() -> None:
    current = {"A": {"kept": 1, "deep": {"x": 1, "y": 2}}, "B": [1, 2], "C": "kept"}
    assert section.overlay(current, {"A": {"deep": {"x": 3}}, "B": [4]}) == {
        "A": {"kept": 1, "deep": {"x": 3, "y": 2}},
        "B": [4],
        "C": "kept",
    }


def test_a_dictionary_takes_the_place_of_nothing() -> None:
    assert section.overlay({"A": None}, {"A": {"x": 1}}) == {"A": {"x": 1}}


def test_only_what_differs_is_named() -> None:
    current = {"A": {"x": 1, "kept": 2}, "B": False, "C": None}
    assert section.differing(current, {"A": {"x": 1}, "B": False, "C": None}) == []
    assert section.differing(current, {"A": {"x": 2}, "B": True, "C": ""}) == ["A", "B", "C"]


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), ([0], [False]), ({"a": 1}, {"a": True}), ("1", 1), (None, "")])
def test_what_python_takes_for_the_same_is_not(one: Any, other: Any) -> None:
    assert not section.same(one, other)


def test_lists_of_models_are_kept_with_commas() -> None:
    wanted = {"DEFAULT_MODELS": ["a", "b"], "DEFAULT_PINNED_MODELS": "c", "MODEL_ORDER_LIST": ["a"]}
    assert section.as_kept(wanted) == {"DEFAULT_MODELS": "a,b", "DEFAULT_PINNED_MODELS": "c", "MODEL_ORDER_LIST": ["a"]}


def test_a_name_that_is_not_there_is_told_with_the_version_and_what_may_be_meant() -> None:
    (problem,) = section.find_problems(ADMIN, {"ENABLE_SIGNUP": True, "JWT_EXPIRES_IN": "4w"}, {"ENABLE_SIGN_UP": False}, "0.12.4")
    assert problem == "there is no admin.ENABLE_SIGN_UP in Open-WebUI 0.12.4: did you mean ENABLE_SIGNUP?"


def test_without_one_that_may_be_meant_all_are_told() -> None:
    (problem,) = section.find_problems(ADMIN, {"B": 1, "A": 1}, {"SOMETHING": False}, "0.12.4")
    assert problem.endswith("in Open-WebUI 0.12.4, which has A, B")


@pytest.mark.parametrize(("current", "wanted"), [(False, "false"), (False, 0), ("4w", True)])
def test_a_truth_that_is_none_is_refused_before_it_is_written_in_every_run(current: Any, wanted: Any) -> None:
    (problem,) = section.find_problems(ADMIN, {"X": current}, {"X": wanted}, "0.12.4")
    assert f"and {wanted!r} was asked for" in problem


def test_what_is_not_set_yet_takes_anything() -> None:
    assert list(section.find_problems(ADMIN, {"X": None}, {"X": True}, "0.12.4")) == []


def test_sign_up_is_closed_before_anything_else_is_written() -> None:
    assert SECTIONS[0].name == "admin"
