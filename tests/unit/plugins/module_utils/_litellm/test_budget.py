# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failover estimate against a budget, and as a table."""

from __future__ import annotations

import json
from itertools import pairwise

from ansible_collections.homelab.llm.plugins.module_utils._litellm.budget import Budget, as_data, over, table
from ansible_collections.homelab.llm.plugins.module_utils._litellm.failover import estimate


def chains(**timeouts):
    entries = [{"model_name": name, "litellm_params": {"model": "openai/x", "timeout": timeout}} for name, timeout in timeouts.items()]
    names = list(timeouts)
    fallbacks = [{head: [target]} for head, target in pairwise(names)]
    return estimate({"model_list": entries, "router_settings": {"num_retries": 0, "fallbacks": fallbacks}})


def test_within_its_budget_nothing_is_said():
    assert not list(over(chains(a=3, b=60), Budget(5)))


def test_without_a_budget_nothing_is_said():
    assert not list(over(chains(a=3, b=60, c=1), Budget()))


def test_over_budget_names_tier_chain_fault_seconds_budget_and_setting():
    (said,) = over(chains(a=3, b=60, c=1), Budget(5))
    assert said == (
        "model group 'b' may take 61.4 s to fail over, and its budget is 5 s (blackhole, not streamed, and 6 more faults; "
        "in the chains a → b → c, b → c): litellm_params.timeout of b (60) bounds it; "
        "model_info.allowed_fails_policy.TimeoutErrorAllowedFails of b (0) would spare the later requests. "
        "Where that is as it should be, allow it in failover_budgets"
    )


def test_model_groups_that_are_alike_are_told_in_one_sentence():
    (said,) = over(chains(**{f"m{number}": 60 for number in range(10)}), Budget(5))
    assert said.startswith(
        "model group 'm0', and just so m1, m2, m3, m4, m5 and 3 more, may take 61.4 s to fail over, and its budget is 5 s"
    )
    assert len(said) < 600


def test_an_exception_is_for_one_model_group_and_others_still_fail():
    found = chains(a=30, b=60, c=1)
    assert [said.split("'")[1] for said in over(found, Budget(5, {"b": 62}))] == ["a"]
    assert [said.split("'")[1] for said in over(found, Budget(None, {"b": 50}))] == ["b"]


def test_the_data_is_plain_and_has_every_tier_once():
    data = json.loads(json.dumps(as_data(chains(a=3, b=60, c=1))))
    assert list(data["tiers"]) == ["a", "b"]
    assert data["tiers"]["a"]["hang before headers"]["first"] == 3.4
    assert data["tiers"]["a"]["hang before headers"]["settings"][0] == "litellm_params.timeout of a (3) bounds it"
    assert data["chains"]["a"]["tried"] == ["a", "b", "c"]
    assert (data["chains"]["a"]["fails"], data["chains"]["a"]["seconds"], data["chains"]["a"]["total"]) == ("b", 61.4, 64.8)


def test_the_table_has_a_row_per_fault_and_a_reason_per_setting():
    lines = table(chains(a=3, b=60)).splitlines()
    assert lines[0] == "a: seconds until the next is asked when it fails"
    assert [line.split()[-4:] for line in lines if line.startswith("  hang before")] == [["3.4", "3.4", "3.4", "3.4"]]
    assert any(line.startswith("  - litellm_params.timeout of a (3) bounds it: blackhole, hang before headers") for line in lines)
    assert lines[-1] == "a → b: at most 3.4 s for one failover (a: blackhole, not streamed), 3.4 s when all but b fail"
