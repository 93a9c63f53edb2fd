# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest change that brings a Secret to what was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._secrets.plan import (
    MAX_BYTES,
    Recipe,
    Wanted,
    find_problems,
    find_shortcomings,
    make_plan,
)

KEYS = st.sampled_from(["A", "B", "C", "D", "E", "F"])
SECRETS = st.dictionaries(KEYS, st.binary())


@st.composite
def requests(draw: st.DrawFn) -> Wanted:
    """Any request that uses each key once."""
    use = draw(st.dictionaries(KEYS, st.sampled_from(["value", "generate", "absent", "required", "untouched"])))

    def keys(kind: str) -> list[str]:
        return [key for key, chosen in use.items() if chosen == kind]

    return Wanted(
        values={key: draw(st.binary(min_size=1)) for key in keys("value")},
        generate=dict.fromkeys(keys("generate"), Recipe(16)),
        absent=frozenset(keys("absent")),
        required=frozenset(keys("required")),
        untouched=frozenset(keys("untouched")),
    )


def make(key: str, recipe: Recipe) -> bytes:
    return (recipe.prefix + f"made-for-{key}".ljust(recipe.length, "z")).encode()


def apply(current: dict[str, bytes], changes: dict[str, bytes | None]) -> dict[str, bytes]:
    """What the API server makes of a merge patch."""
    return {key: value for key, value in {**current, **changes}.items() if value is not None}


@given(requests(), SECRETS)
def test_a_key_that_was_not_named_is_never_touched(wanted: Wanted, current: dict[str, bytes]) -> None:
    plan = make_plan(wanted, current, make)
    after = apply(current, dict(plan.changes))
    strangers = set(current) - set(wanted.keys)
    assert {key: after.get(key) for key in strangers} == {key: current[key] for key in strangers}
    assert set(plan.changes) <= set(wanted.keys) - wanted.required - wanted.untouched


@given(requests(), SECRETS)
def test_a_second_run_changes_nothing(wanted: Wanted, current: dict[str, bytes]) -> None:
    after = apply(current, dict(make_plan(wanted, current, make).changes))
    again = make_plan(wanted, after, make)
    assert not again.changes
    assert set(again.actions.values()) <= {"unchanged"}


@given(requests(), SECRETS)
def test_only_what_differs_is_sent(wanted: Wanted, current: dict[str, bytes]) -> None:
    assert all(current.get(key) != value for key, value in make_plan(wanted, current, make).changes.items())


@given(requests(), SECRETS)
def test_after_is_what_the_named_keys_hold_then(wanted: Wanted, current: dict[str, bytes]) -> None:
    plan = make_plan(wanted, current, make)
    after = apply(current, dict(plan.changes))
    assert dict(plan.after) == {key: after[key] for key in wanted.keys if key in after}


@pytest.mark.parametrize(
    ("wanted", "current", "action"),
    [
        (Wanted(values={"K": b"new"}), {}, "added"),
        (Wanted(values={"K": b"new"}), {"K": b"old"}, "updated"),
        (Wanted(values={"K": b"old"}), {"K": b"old"}, "unchanged"),
        (Wanted(generate={"K": Recipe(20)}), {}, "generated"),
        (Wanted(generate={"K": Recipe(20)}), {"K": b"made long ago"}, "unchanged"),
        (Wanted(absent=frozenset("K")), {"K": b"old"}, "removed"),
        (Wanted(absent=frozenset("K")), {}, "unchanged"),
        (Wanted(required=frozenset("K")), {"K": b"old"}, "unchanged"),
        (Wanted(untouched=frozenset("K")), {"K": b"old"}, "unchanged"),
    ],
)
def test_says_what_happens_to_a_key(wanted: Wanted, current: dict[str, bytes], action: str) -> None:
    assert make_plan(wanted, current, make).actions == {"K": action}


@pytest.mark.parametrize("stand_in", [b"", b"changeme", b"sk-1234"])
def test_a_stand_in_that_is_there_does_not_keep_a_key_from_being_generated(stand_in: bytes) -> None:
    assert make_plan(Wanted(generate={"K": Recipe(20)}), {"K": stand_in}, make).actions == {"K": "generated"}


def test_a_stand_in_that_is_right_for_its_key_is_kept() -> None:
    wanted = Wanted(generate={"K": Recipe(20)}, allow_placeholders=frozenset("K"))
    assert make_plan(wanted, {"K": b"none"}, make).actions == {"K": "unchanged"}


def test_every_refused_value_is_named_at_once() -> None:
    wanted = Wanted(values={"B": b"", "A": b"changeme", "C": b"sk-none", "D": b"fine"}, allow_placeholders=frozenset("C"))
    assert list(find_problems(wanted)) == ["A is a placeholder (changeme)", "B is empty"]


def test_allowing_a_placeholder_does_not_allow_nothing() -> None:
    assert list(find_problems(Wanted(values={"A": b" "}, allow_placeholders=frozenset("A")))) == ["A is empty"]


def shortcomings(wanted: Wanted, current: dict[str, bytes]) -> list[str]:
    return list(find_shortcomings(wanted, make_plan(wanted, current, make), current))


def test_a_required_key_that_nobody_wrote_is_missed() -> None:
    assert shortcomings(Wanted(required=frozenset("K")), {}) == ["K is required and not there"]


def test_a_required_key_with_a_stand_in_is_as_good_as_missing() -> None:
    assert shortcomings(Wanted(required=frozenset("K")), {"K": b"todo"}) == [
        "K is required and is a placeholder (a word that stands for nothing)"
    ]


def test_a_required_key_may_be_given_or_generated_in_the_same_run() -> None:
    wanted = Wanted(values={"A": b"value"}, generate={"B": Recipe(20)}, required=frozenset("AB"))
    assert shortcomings(wanted, {}) == []


def test_more_than_a_secret_can_hold_is_refused() -> None:
    wanted = Wanted(values={"K": b"x" * (MAX_BYTES - 1)})
    assert shortcomings(wanted, {"OTHER": b"1"}) == []
    assert shortcomings(wanted, {"OTHER": b"22"}) == [
        f"its values would be {MAX_BYTES + 1} bytes together, more than the {MAX_BYTES} a Secret can hold"
    ]


def test_replacing_a_large_value_counts_the_new_one_only() -> None:
    assert shortcomings(Wanted(values={"K": b"y" * MAX_BYTES}), {"K": b"x" * MAX_BYTES}) == []


def test_neither_a_request_nor_a_plan_shows_a_value_when_printed() -> None:
    wanted = Wanted(values={"K": b"Zk2mVb8X"})
    assert "Zk2mVb8X" not in repr(wanted) + repr(make_plan(wanted, {}, make))
