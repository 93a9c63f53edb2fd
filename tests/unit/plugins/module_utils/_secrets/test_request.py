# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request may not ask for, told before the cluster is asked."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._secrets.plan import Recipe
from ansible_collections.homelab.llm.plugins.module_utils._secrets.request import Refused, Source, from_params, warn_of_white_space


def params(**given: Any) -> dict[str, Any]:
    defaults = dict(namespace="ml", name="litellm-secrets", type="Opaque", create=True, data={}, skip_empty=False, generate=[], copy=[])
    return {**defaults, **dict(absent=[], required=[], placeholder_patterns=[], allow_placeholders=[]), **given}


def generate(key: str, length: int = 48) -> dict[str, Any]:
    return dict(key=key, length=length, prefix="")


def copy(key: str, name: str = "other", namespace: str | None = None, from_key: str | None = None) -> dict[str, Any]:
    return dict(key=key, from_name=name, from_namespace=namespace, from_key=from_key)


def refusals(**given: Any) -> list[str]:
    with pytest.raises(Refused) as refused:
        from_params(params(**given))
    return refused.value.problems


def test_reads_every_option() -> None:
    request = from_params(
        params(
            data={"A": "value"},
            generate=[dict(key="B", length=32, prefix="sk-")],
            copy=[copy("C", "source", "apps", "KEY"), copy("D")],
            absent=["E"],
            required=["A", "F"],
        )
    )
    assert request.wanted.values == {"A": b"value"}
    assert request.wanted.generate == {"B": Recipe(32, "sk-")}
    assert request.copies == {"C": Source("apps", "source", "KEY"), "D": Source("ml", "other", "D")}
    assert (request.wanted.absent, request.wanted.required) == ({"E"}, {"A", "F"})


@pytest.mark.parametrize("key", ["", "a b", "a/b", "ü", "..", "..data", ".", "x" * 254, "a\n"])
def test_a_key_that_kubernetes_would_refuse_is_named(key: str) -> None:
    assert f"'{key}' cannot be a key" in refusals(data={key: "v"})[0]


@pytest.mark.parametrize("key", ["A", "a.b", ".a", "a-b_c", "x" * 253, ".a.."])
def test_a_key_that_kubernetes_takes_is_taken(key: str) -> None:
    assert from_params(params(data={key: "v"})).wanted.keys == (key,)


@pytest.mark.parametrize(("option", "value"), [("name", "a/../b"), ("name", "A"), ("namespace", ""), ("name", "a" * 254), ("name", "a\n")])
def test_a_name_that_is_none_is_refused(option: str, value: str) -> None:
    assert "is no Kubernetes name" in refusals(**{option: value})[0]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (dict(data={"A": "v"}, absent=["A"]), "A is in absent and in data: name it in one"),
        (dict(data={"A": "v"}, generate=[generate("A")]), "A is in data and in generate: name it in one"),
        (dict(data={"A": "v"}, copy=[copy("A")]), "A is in copy and in data: name it in one"),
        (dict(absent=["A"], required=["A"]), "A is in absent and in required: name it in one"),
        (dict(generate=[generate("A"), generate("A")]), "A is in generate 2 times: name it once"),
    ],
)
def test_a_key_with_two_wills_is_refused(given: dict[str, Any], problem: str) -> None:
    assert refusals(**given) == [problem]


def test_a_key_may_be_given_and_required() -> None:
    assert from_params(params(data={"A": "v"}, required=["A", "A"])).wanted.required == {"A"}


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, ["x"]])
def test_a_value_that_is_no_text_is_refused_and_not_shown(value: object) -> None:
    assert refusals(data={"A": value}) == [
        f"A in data is of type {type(value).__name__}: quote it, or turn a structure into text with the filter to_json"
    ]


@pytest.mark.parametrize("length", [0, 15, 4097])
def test_a_generated_value_is_neither_guessable_nor_a_novel(length: int) -> None:
    assert refusals(generate=[generate("A", length)]) == [f"A in generate must have a length from 16 to 4096, not {length}"]


@pytest.mark.parametrize("entry", [copy("A", "litellm-secrets"), copy("A", "litellm-secrets", "ml", "A")])
def test_a_key_is_not_copied_onto_itself(entry: dict[str, Any]) -> None:
    assert refusals(copy=[entry]) == ["A in copy is its own source: name another Secret or another from_key"]


@pytest.mark.parametrize("entry", [copy("A", "litellm-secrets", "apps"), copy("A", "litellm-secrets", None, "B")])
def test_a_key_may_come_from_a_namesake_elsewhere_or_from_its_neighbour(entry: dict[str, Any]) -> None:
    assert list(from_params(params(copy=[entry])).copies) == ["A"]


@pytest.mark.parametrize("nothing", [None, "", " ", "\n"])
def test_what_a_shell_does_not_know_can_be_left_out(nothing: str | None) -> None:
    wanted = from_params(params(data={"A": nothing, "B": "v"}, skip_empty=True)).wanted
    assert (dict(wanted.values), wanted.untouched, wanted.keys) == ({"B": b"v"}, {"A"}, ("A", "B"))


def test_what_is_not_left_out_goes_on_to_be_refused_as_empty() -> None:
    assert from_params(params(data={"A": None})).wanted.values == {"A": b""}


def test_all_problems_are_told_at_once() -> None:
    problems = refusals(name="A B", data={"a b": "v", "C": 1}, absent=["C"], placeholder_patterns=["("])
    assert len(problems) == 5


def test_a_value_with_white_space_around_it_is_warned_of_without_showing_it() -> None:
    wanted = from_params(params(data={"A": "Zk2mVb8X\n", "B": "fine", "PEM": "--\nx\n--\n"})).wanted
    assert list(warn_of_white_space(wanted)) == [
        "The value of A begins or ends with white space, which most programs take for a part of it"
    ]
