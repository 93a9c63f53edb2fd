# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.upstream import fault_of
from upstream.faults import CHECKS, COMMON, KINDS, LISTENER_KINDS, NONE, FaultError, parse, taken_by

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 700),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["mid_stream", "clean", "torn", "all", "silent"]),
)
OBJECTS = st.fixed_dictionaries(
    {"kind": st.one_of(st.sampled_from(list(KINDS)), VALUES)}, optional={name: VALUES for name in (*CHECKS, "where") if name != "kind"}
)


@given(OBJECTS)
def test_any_object_is_a_fault_that_reads_back_the_same_or_one_clear_sentence(given_object: dict[str, Any]) -> None:
    sentence = ""
    try:
        fault = parse(given_object)
    except FaultError as error:
        sentence = str(error)
    if sentence:
        assert "\n" not in sentence
        assert any(name in sentence for name in (*CHECKS, "where"))
    else:
        assert parse(fault.as_json()) == fault


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_the_common_fields_except_those_without_meaning_for_it(kind: str) -> None:
    if kind == "none":
        assert taken_by(kind) == ()
    elif kind in LISTENER_KINDS:
        assert not {"model", "count"} & set(taken_by(kind))
        assert "seconds" in taken_by(kind)
    else:
        assert set(COMMON) <= set(taken_by(kind))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], 'a fault must be a JSON object such as {"kind": "status", "status": 503}'),
        ({}, f"kind must be one of {', '.join(KINDS)}, not a JSON NoneType"),
        ({"kind": "explode"}, f"kind must be one of {', '.join(KINDS)}, not 'explode'"),
        ({"kind": "status"}, "a fault of kind status needs status: a whole number from 200 to 599"),
        ({"kind": "status", "status": 99}, "status must be a whole number from 200 to 599, not 99"),
        ({"kind": "status", "status": True}, "status must be a whole number from 200 to 599, not True"),
        ({"kind": "slow"}, "a fault of kind slow needs first_token or tokens_per_second: seconds, 0 or more"),
        ({"kind": "slow", "tokens_per_second": 0}, "tokens_per_second must be a number above 0, not 0"),
        ({"kind": "hang", "where": "nowhere"}, "where must be one of before_headers, after_headers, mid_stream, not 'nowhere'"),
        ({"kind": "reset", "where": "after_headers"}, "where must be one of before_headers, mid_stream, not 'after_headers'"),
        ({"kind": "empty", "count": 0}, "count must be a whole number, 1 or more, not 0"),
        ({"kind": "empty", "seconds": float("inf")}, "seconds must be a number above 0, not inf"),
        ({"kind": "refuse", "count": 1}, "count is no field of a fault of kind refuse, which takes seconds"),
        ({"kind": "none", "seconds": 1}, "seconds is no field of a fault of kind none, which takes none"),
    ],
)
def test_a_wrong_fault_is_refused_with_the_field_and_what_it_may_hold(value: Any, sentence: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse(value)
    assert str(caught.value) == sentence


def test_a_fault_concerns_requests_of_its_model_only() -> None:
    fault = parse({"kind": "empty", "model": "a"})
    assert fault.concerns(True, "a")
    assert not fault.concerns(True, "b")


def test_a_fault_leaves_lists_of_models_alone_unless_told_otherwise() -> None:
    assert not parse({"kind": "hang"}).concerns(False, "")
    assert parse({"kind": "hang", "operations": "all"}).concerns(False, "")


def test_no_fault_is_a_fault_too() -> None:
    assert parse({"kind": "none"}) == NONE


@pytest.mark.parametrize(
    "words",
    [
        "status=500 seconds=60",
        "status=429 retry_after=7 count=3",
        "slow=2.5",
        "slow first_token=2.5 tokens_per_second=1",
        "hang where=after_headers seconds=30",
        "hang=mid_stream",
        "reset=mid_stream",
        "cut",
        "error_event",
        "empty model=some/model",
        "wrong_model",
        "echo_credential",
        "refuse",
        "blackhole seconds=5",
    ],
)
def test_the_command_lines_words_make_faults_that_the_simulator_takes(words: str) -> None:
    kind, *options = words.split()
    assert parse(fault_of(kind, options)).kind == kind.partition("=")[0]
