# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config becomes when it is told of models, fallbacks and settings."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.check import find_problems, leave_out, model_groups
from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import Told, fallbacks_of, identify, merge
from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import load, rewrite


def entry(name, backend=None, **params):
    return {"model_name": name, "litellm_params": {"model": f"openai/{backend or name}", **params}}


CURRENT = {"model_list": [entry("a", timeout=3), entry("b")], "litellm_settings": {"fallbacks": [{"a": ["b"]}], "drop_params": True}}


def told(**values):
    return merge(CURRENT, Told(**values))


def test_an_entry_is_as_it_is_told_and_the_others_stay():
    outcome = told(models=[entry("a", timeout=60)])
    assert outcome.data["model_list"] == [entry("a", timeout=60), entry("b")]
    assert (outcome.added, outcome.changed, outcome.removed) == ((), ("a",), ())


def test_a_key_that_is_no_longer_told_leaves_the_entry():
    assert told(models=[entry("a")]).data["model_list"][0] == entry("a")


def test_another_backend_under_the_same_name_is_another_entry():
    assert told(models=[entry("a", "other")]).added == ("a",)


def test_an_entry_that_gets_an_id_later_stays_the_same_entry():
    with_id = {**entry("a", timeout=3), "model_info": {"id": "gpu"}}
    outcome = told(models=[with_id])
    assert outcome.changed == ("a",)
    assert outcome.data["model_list"] == [with_id, entry("b")]


def test_an_id_finds_its_entry_at_a_new_address():
    current = {"model_list": [{**entry("a", api_base="http://old"), "model_info": {"id": "gpu"}}]}
    moved = {**entry("a", api_base="http://new"), "model_info": {"id": "gpu"}}
    assert merge(current, Told(models=[moved])).data["model_list"] == [moved]


def test_purge_removes_what_is_not_told():
    outcome = told(models=[entry("b")], purge=True)
    assert outcome.data["model_list"] == [entry("b")]
    assert outcome.removed == ("a",)
    assert fallbacks_of(outcome.data) == {}


def test_absent_by_name_removes_every_entry_of_the_group():
    current = {"model_list": [entry("a"), entry("a", "other"), entry("b")]}
    assert merge(current, Told(models=[{"model_name": "a"}], absent=True)).data["model_list"] == [entry("b")]


def test_the_last_entry_removed_leaves_an_empty_list():
    assert merge({"model_list": [entry("a")]}, Told(models=[entry("a")], absent=True)).data == {"model_list": []}


def test_two_told_entries_that_cannot_be_told_apart_are_a_problem():
    assert "told twice" in told(models=[entry("c"), entry("c", timeout=1)]).problems[0]


def test_one_told_entry_that_matches_two_is_a_problem():
    assert "matches 2 entries" in merge({"model_list": [entry("a"), entry("a", timeout=1)]}, Told(models=[entry("a")])).problems[0]


def test_fallbacks_are_edited_where_they_are():
    outcome = told(fallbacks={"b": ["a"]})
    assert outcome.data["litellm_settings"]["fallbacks"] == [{"a": ["b"]}, {"b": ["a"]}]
    assert "router_settings" not in outcome.data


def test_new_fallbacks_go_where_litellm_documents_them():
    assert merge({}, Told(fallbacks={"b": ["a"]})).data == {"router_settings": {"fallbacks": [{"b": ["a"]}]}}


def test_an_empty_list_takes_the_chain_out_and_leaves_the_other_settings():
    assert told(fallbacks={"a": []}).data["litellm_settings"] == {"drop_params": True}


def test_fallbacks_in_both_places_are_a_problem_with_a_way_out():
    both = {**CURRENT, "router_settings": {"fallbacks": [{"b": ["a"]}]}}
    assert "ignores the latter" in merge(both, Told(fallbacks={"a": ["b"]})).problems[0]
    assert merge(both, Told(fallbacks={"a": ["b"]}, settings={"litellm_settings": {"fallbacks": None}})).problems == ()


def test_settings_are_merged_key_by_key_and_null_takes_one_out():
    outcome = told(settings={"litellm_settings": {"drop_params": None, "cache_params": {"ttl": 3600}}})
    assert outcome.data["litellm_settings"] == {"fallbacks": [{"a": ["b"]}], "cache_params": {"ttl": 3600}}


def test_a_model_whose_key_is_absent_is_left_out_of_the_chains_too():
    cloud = entry("cloud", api_key="os.environ/CLOUD_KEY")
    rest, left = leave_out(Told(models=[cloud, entry("a")], fallbacks={"cloud": ["a"], "a": ["cloud", "b"]}), {"OTHER"})
    assert [each.model_name for each in left] == ["cloud"]
    assert left[0].missing == ("CLOUD_KEY",)
    assert rest.models == [entry("a")]
    assert rest.fallbacks == {"a": ["b"]}


def test_a_group_with_one_entry_left_stays_in_the_chains():
    rest, _left = leave_out(Told(models=[entry("a", api_key="os.environ/K"), entry("a", "b")], fallbacks={"b": ["a"]}), ())
    assert rest.fallbacks == {"b": ["a"]}


def test_all_problems_are_told_at_once_with_their_way_out():
    wanted = Told(
        models=[entry("a", api_key="sk-plain-text-1"), entry("c", api_key="os.environ/NOT_THERE")],
        fallbacks={"c": ["nowhere"], "a": ["b"]},
        settings={"general_settings": {"master_key": "sk-plain-text-2"}},
    )
    problems = list(find_problems(merge(CURRENT, wanted).data, wanted, ["b"], {"THERE"}, "Secret ml/litellm-secrets"))
    assert len(problems) == 5
    for part in ("model 'a' has its api_key", "NOT_THERE", "general_settings.master_key", "'nowhere'", "reaches b"):
        assert any(part in problem for problem in problems), part
    assert "plain-text" not in " ".join(problems)


def test_names_that_a_pattern_serves_count_as_served():
    data = {"model_list": [entry("groq/*"), entry("a")], "router_settings": {"fallbacks": [{"a": ["groq/llama"]}]}}
    assert list(find_problems(data, Told(), [], None, "")) == []
    assert model_groups(data) == ["groq/*", "a"]


# Any order of edits

EDITS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["x", "y"]), st.integers(0, 3)),
    min_size=1,
    max_size=4,
    unique_by=lambda edit: edit[:2],
)


def apply(text, edit):
    name, backend, timeout = edit
    outcome = merge(load(text), Told(models=[entry(name, backend, timeout=timeout)]))
    return rewrite(text, outcome.data, identify)


@settings(max_examples=60, deadline=None)
@given(EDITS)
def test_any_order_of_edits_leads_to_the_same_entries(edits):
    ends = []
    for order in itertools.permutations(edits):
        text = ""
        for edit in order:
            text = apply(text, edit)
            assert apply(text, edit) == text, "twice is once"
        ends.append(sorted(load(text)["model_list"], key=str))
    assert all(end == ends[0] for end in ends)


@settings(max_examples=60, deadline=None)
@given(EDITS, st.text(st.sampled_from("ab #\n"), max_size=8))
def test_what_was_not_told_of_keeps_every_byte(edits, noise):
    note = "".join(f"# {line}\n" for line in noise.split("\n"))
    behind = noise.replace("\n", " ")
    text = f"{note}model_list:\n- model_name: mine   # {behind}\n  litellm_params: {{model: 'openai/mine'}}\n{note}extra: [1,2 ,3]\n"
    result = text
    for edit in edits:
        result = apply(result, edit)
    for edit in edits:
        outcome = merge(load(result), Told(models=[entry(*edit[:2])], absent=True))
        result = rewrite(result, outcome.data, identify)
    assert result == text


@pytest.mark.parametrize("current", [{"model_list": "x"}, {"router_settings": {"fallbacks": [{"a": [], "b": []}]}}])
def test_a_config_litellm_would_not_start_with_is_a_problem(current):
    assert merge(current, Told()).problems
