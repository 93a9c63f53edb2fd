# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config asks for and would not get."""

from __future__ import annotations

import pytest

from first_token.bounds import Bounds
from first_token.declared import connecting, find_problems, find_warnings, watched


def config(model="openai/qwen", model_info=None, **params):
    return {
        "model_list": [
            {"model_name": "vllm-qwen", "litellm_params": {"model": model, **params}, "model_info": model_info},
            {"model_name": "ollama-qwen", "litellm_params": {"model": "ollama_chat/qwen"}},
        ],
        "general_settings": {"cancel_on_disconnect": True},
    }


def provider_of(params):
    return params["model"].split("/")[0]


def problems(*arguments, **more):
    return list(find_problems(config(*arguments, **more), provider_of))


BOUND = {"first_token_timeout": 3}


def test_a_bounded_openai_model_is_fine():
    assert problems(model_info=BOUND, timeout=600) == []
    assert watched(config(model_info=BOUND)) == {"vllm-qwen": Bounds(3)}


def test_an_unbounded_model_may_be_of_any_provider():
    assert problems("ollama_chat/qwen", timeout=3) == []
    assert watched(config("ollama_chat/qwen")) == {}


def test_connecting_can_be_bounded_for_any_provider():
    assert problems("ollama_chat/qwen", {"connect_timeout": 1}) == []
    assert connecting(config("ollama_chat/qwen", {"connect_timeout": 1})) == {"vllm-qwen": 1}
    assert connecting(config(model_info=BOUND)) == {}, "a watched one has its own"


def test_a_wrong_bound_on_connecting_is_a_problem():
    (problem,) = problems("ollama_chat/qwen", {"connect_timeout": 0})
    assert problem.startswith("vllm-qwen: model_info.connect_timeout must be more than 0 seconds")


@pytest.mark.parametrize("model", ["ollama_chat/qwen", "hosted_vllm/qwen", "azure/gpt"])
def test_a_bound_that_would_not_hold_is_a_problem(model):
    (problem,) = problems(model, BOUND)
    assert problem.startswith(f"vllm-qwen: model_info.first_token_timeout has no effect on '{model}'")
    assert "write openai/ instead" in problem


def test_a_bound_of_0_is_none():
    assert problems("ollama_chat/qwen", {"first_token_timeout": 0}) == []


@pytest.mark.parametrize("timeout", [3, 2.5])
def test_a_timeout_that_ends_before_the_first_token_is_a_problem(timeout):
    (problem,) = problems(model_info=BOUND, timeout=timeout)
    assert "ends before first_token_timeout" in problem


def test_a_wrong_bound_is_a_problem():
    (problem,) = problems(model_info={"first_token_timeout": "3s"})
    assert problem == "vllm-qwen: model_info.first_token_timeout must be a number of seconds, 0 or more, not '3s'"


@pytest.mark.parametrize("odd", [{}, {"model_list": None}, {"model_list": ["x"]}, {"model_list": [{"model_name": "m"}]}])
def test_a_config_of_an_odd_shape_is_for_litellm_to_refuse(odd):
    assert list(find_problems(odd, provider_of)) == []
    assert list(find_warnings(odd)) == []


def test_who_leaves_shall_end_the_request():
    without = config(model_info=BOUND) | {"general_settings": None}
    (warning,) = find_warnings(without)
    assert "cancel_on_disconnect" in warning
    assert list(find_warnings(config(model_info=BOUND))) == []
