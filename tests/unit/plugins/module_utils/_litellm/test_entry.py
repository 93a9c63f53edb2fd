# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What identifies an entry of model_list, and what is wrong with one."""

from __future__ import annotations

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._litellm.entry import (
    address,
    entry_id,
    env_names,
    find_problems,
    in_order,
    shape_problem,
)


def entry(**params):
    return {"model_name": "m", "litellm_params": {"model": "openai/m", **params}}


def test_an_id_identifies_an_entry_even_as_a_number():
    assert entry_id({**entry(), "model_info": {"id": 7}}) == "7"


def test_without_an_id_the_address_does_and_a_slash_at_its_end_is_nothing():
    assert address(entry(api_base="http://a/")) == address(entry(api_base="http://a")) != address(entry(api_base="http://b"))


def test_keys_come_in_the_usual_order():
    assert list(in_order({"extra": 1, "model_info": {}, "litellm_params": {}, "model_name": "m"})) == [
        "model_name",
        "litellm_params",
        "model_info",
        "extra",
    ]


@pytest.mark.parametrize("wrong", [{}, {"model_name": ""}, {"model_name": "m"}, {"model_name": "m", "litellm_params": {}}, "m", None])
def test_what_is_no_entry_is_told(wrong):
    assert shape_problem(wrong)


@pytest.mark.parametrize("field", ["api_key", "aws_secret_access_key", "vertex_credentials", "azure_ad_token", "client_secret"])
def test_a_key_in_plain_text_is_a_problem_and_is_not_repeated(field):
    (problem,) = find_problems(entry(**{field: "sk-very-secret"}))
    assert field in problem
    assert "os.environ/" in problem
    assert "very" not in problem


@pytest.mark.parametrize("value", ["os.environ/OPENAI_API_KEY", "none", "sk-none", ""])
def test_a_reference_or_no_key_at_all_is_none(value):
    assert list(find_problems(entry(api_key=value, max_tokens=5))) == []


def test_a_password_in_an_address_is_a_key_in_plain_text():
    assert len(list(find_problems(entry(api_base="http://me:pass@host/v1")))) == 1


@pytest.mark.parametrize("base", ["https://ollama.com/api", "https://ollama.com/api/"])
def test_an_ollama_base_that_ends_in_api_is_told_with_the_right_one(base):
    (problem,) = find_problems({"model_name": "k", "litellm_params": {"model": "ollama_chat/kimi", "api_base": base}})
    assert "write 'https://ollama.com'" in problem


def test_the_variables_an_entry_reads_are_found_at_any_depth():
    assert env_names(entry(api_key="os.environ/A", extra_headers={"x": "os.environ/B"}, api_base="os.environ/A")) == ("A", "B")
