# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds on the first token with which LiteLLM would not start, told before the config is written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import Told
from ansible_collections.homelab.llm.plugins.module_utils._litellm.converge import Wanted, converge
from ansible_collections.homelab.llm.plugins.module_utils._litellm.deployment import FIRST_TOKEN
from ansible_collections.homelab.llm.plugins.module_utils._litellm.first_token import find_problems

sys.path.append(str(Path(__file__).resolve().parents[5] / "roles" / "litellm" / "files"))

from first_token import declared

LOADED = {"litellm_settings": {"callbacks": ["prometheus", FIRST_TOKEN]}}


def entry(info, model="openai/x", **params):
    return {"model_name": "m", "litellm_params": {"model": model, **params}, "model_info": info}


def problems(info, data=LOADED, **params):
    return list(find_problems(entry(info, **params), data))


@pytest.mark.parametrize("timeout", [3, 2, "3", 0.5])
def test_a_timeout_that_is_not_longer_than_the_bound_is_refused(timeout):
    (said,) = problems({"first_token_timeout": 3}, timeout=timeout)
    assert "bounds the whole answer and ends no later than model_info.first_token_timeout (3)" in said
    assert "take the timeout out" in said


@pytest.mark.parametrize("params", [{"timeout": 3.1}, {"timeout": 600}, {}, {"timeout": "os.environ/SECONDS"}])
def test_a_longer_timeout_is_not(params):
    assert problems({"first_token_timeout": 3}, **params) == []


@pytest.mark.parametrize("name", ["first_token_timeout", "gap_timeout", "connect_timeout"])
@pytest.mark.parametrize("value", ["3", True, -1, [], float("nan")])
def test_what_is_no_number_of_seconds_is_refused_by_its_name(name, value):
    (said,) = problems({"first_token_timeout": 3, name: value})
    assert f"model_info.{name}" in said


def test_a_model_of_another_provider_is_refused_with_what_to_write():
    (said,) = problems({"first_token_timeout": 3}, model="ollama_chat/x")
    assert "'ollama_chat/x'" in said
    assert "write openai/" in said


def test_zero_declines_the_bound_and_nothing_else_may_be_zero():
    assert problems({"first_token_timeout": 0, "gap_timeout": 0}, model="groq/x", timeout=1) == []
    (said,) = problems({"first_token_timeout": 3, "gap_timeout": 0})
    assert "model_info.gap_timeout 0" in said


def test_without_the_callback_litellm_starts_whatever_the_bound_is():
    assert problems({"first_token_timeout": "three"}, data={}, timeout=1) == []


def test_it_is_told_before_anything_is_written_and_names_the_model():
    done = converge("", Wanted(Told([entry({"first_token_timeout": 3}, timeout=3)], settings=LOADED)))
    assert done.text == ""
    assert done.problems[0].startswith("model 'm' has timeout 3, which bounds the whole answer")


def test_an_entry_that_was_there_before_counts_too():
    there = converge("", Wanted(Told([entry({"first_token_timeout": 3}, timeout=3)]))).text
    assert converge(there, Wanted(Told(settings=LOADED))).problems


def test_a_bound_that_nobody_holds_is_a_warning():
    done = converge("", Wanted(Told([entry({"first_token_timeout": 3}, timeout=60)])))
    assert done.text
    (said,) = done.warnings
    assert said.startswith("model_info.first_token_timeout has no effect on m: ")
    assert FIRST_TOKEN in said


SECONDS = st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.sampled_from([0, 0.5, 1, 3, 3.0, 4, 600]), st.floats())
INFOS = st.dictionaries(st.sampled_from(["first_token_timeout", "gap_timeout", "connect_timeout"]), SECONDS)
PARAMS = st.fixed_dictionaries(
    {"model": st.sampled_from(["openai/x", "ollama_chat/x", "groq/x"])}, optional={"timeout": st.sampled_from([1, 3, 4, 600])}
)


@given(INFOS, PARAMS)
def test_refuses_what_the_package_refuses_at_the_start_and_nothing_else(info, params):
    given_entry = {"model_name": "m", "litellm_params": params, "model_info": info}
    at_the_start = list(declared.find_problems({"model_list": [given_entry]}, lambda params: params["model"].partition("/")[0]))
    assert bool(list(find_problems(given_entry, LOADED))) == bool(at_the_start)


def test_connecting_is_bounded_for_any_provider_and_a_wrong_bound_is_refused():
    assert problems({"connect_timeout": 1}, model="ollama_chat/x", timeout=120) == []
    (said,) = problems({"connect_timeout": 0}, model="ollama_chat/x")
    assert "has model_info.connect_timeout 0" in said
