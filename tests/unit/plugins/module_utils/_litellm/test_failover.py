# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a failover takes at most. The numbers beside the tests were measured with litellm 1.106.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.failover import OVERHEAD, estimate
from ansible_collections.homelab.llm.plugins.module_utils._litellm.outage import FAULTS

POLICY = {
    f"{name}AllowedFails": 0
    for name in ("AuthenticationError", "InternalServerError", "RateLimitError", "ServiceUnavailableError", "TimeoutError")
}
HANG, AFTER, BLACKHOLE, MIDWAY = "hang before headers", "hang after headers", "blackhole", "hang in mid-answer"


def config(router=None, litellm=None, info=None, count=1, model="openai/x", **params):
    entries = [
        {"model_name": "a", "litellm_params": {"model": model, "api_base": f"http://h{number}", **params}, "model_info": info or {}}
        for number in range(count)
    ]
    spare = {"model_name": "z", "litellm_params": {"model": "openai/z"}}
    settings = {"router_settings": {"fallbacks": [{"a": ["z"]}], **(router or {})}, "litellm_settings": litellm or {}}
    return {"model_list": [*entries, spare], **settings}


def seconds(data, fault, *, streamed=False):
    """First and later, without what LiteLLM itself takes."""
    (found,) = estimate(data)
    (hop,) = (hop for hop in found.tiers[0].hops if (hop.fault, hop.streamed) == (fault, streamed))
    return round(hop.first - OVERHEAD, 2), round(hop.later - OVERHEAD, 2)


def setting(data, fault, *, streamed=False):
    (found,) = estimate(data)
    (hop,) = (hop for hop in found.tiers[0].hops if (hop.fault, hop.streamed) == (fault, streamed))
    return hop.setting, hop.cooldown


def test_the_storys_config_repeats_the_wait_and_sleeps_after_each_attempt():
    story = config(litellm={"num_retries": 1}, timeout=3)
    assert seconds(story, HANG) == (9, 9)  # 7.8 to 9.1
    assert seconds(story, "refused") == (3, 3)  # 1.9 to 2.9
    assert seconds(story, "500") == seconds(story, "429") == (3, 3)  # 1.7 to 2.9
    assert seconds(story, "401") == (0, 0)  # 0.03
    assert seconds(story, "429 with retry-after") == (121.5, 121.5)  # 4.5 to 5.5 with a retry-after of 2


def test_without_any_setting_litellm_asks_three_times():
    assert seconds(config(timeout=1), HANG) == (8.75, 8.75)  # 7.2 to 9.7, by many clients at once
    assert seconds(config(timeout=1), "500") == (5.75, 5.75)  # 5.1 to 6.3
    assert seconds(config(), HANG)[0] > 3 * 6000


def test_the_roles_config_waits_once_and_then_never():
    tuned = config(router={"num_retries": 0}, info={"allowed_fails_policy": POLICY}, timeout=3, cooldown_time=10)
    assert seconds(tuned, HANG) == seconds(tuned, BLACKHOLE) == (3, 0)
    assert seconds(tuned, "refused") == seconds(tuned, "500") == (0, 0)


def test_a_stream_that_hangs_after_its_headers_is_not_repeated_and_never_cools_down():
    for data in (
        config(litellm={"num_retries": 1}, timeout=3),
        config(router={"num_retries": 0}, info={"allowed_fails_policy": POLICY}, timeout=3),
    ):
        assert seconds(data, AFTER, streamed=True) == (3, 3)  # 3.0 to 3.1, every time


@pytest.mark.parametrize("streamed", [False, True])
def test_a_bound_on_the_first_token_leaves_the_answer_its_ten_minutes(streamed):
    watched = config(
        router={"num_retries": 0},
        litellm={"callbacks": ["first_token.entry.callback"]},
        info={"allowed_fails_policy": POLICY, "first_token_timeout": 3},
        timeout=600,
        cooldown_time=10,
    )
    assert seconds(watched, HANG, streamed=streamed) == seconds(watched, AFTER, streamed=streamed) == (3, 0)  # 3.05, 0.05
    # 1.07 to connect, but 3.03 over a connection that was kept from before.
    assert seconds(watched, BLACKHOLE, streamed=streamed) == (3, 0)
    assert seconds(watched, "refused", streamed=streamed) == seconds(watched, "500", streamed=streamed) == (0, 0)
    assert setting(watched, AFTER, streamed=streamed) == ("model_info.first_token_timeout of a (3) bounds it", "")


def test_a_hang_in_mid_answer_costs_the_gap_or_else_the_whole_timeout():
    info = {"allowed_fails_policy": POLICY, "first_token_timeout": 3, "gap_timeout": 2}
    watched = config(router={"num_retries": 0}, litellm={"callbacks": ["first_token.entry.callback"]}, info=info, timeout=600)
    assert seconds(watched, MIDWAY) == (2, 0)
    assert setting(watched, MIDWAY)[0] == "model_info.gap_timeout of a (2) bounds it"
    assert seconds(config(router={"num_retries": 0}, timeout=60), MIDWAY) == (60, 60)


def test_a_stream_that_hangs_in_mid_answer_is_not_failed_over():
    (found,) = estimate(config(timeout=3))
    assert [hop.streamed for hop in found.tiers[0].hops if hop.fault == MIDWAY] == [False]


def test_a_stream_has_its_own_bound():
    data = config(router={"num_retries": 0}, timeout=60, stream_timeout=4)
    assert seconds(data, HANG) == (60, 60)
    assert seconds(data, HANG, streamed=True) == (4, 4)


def test_a_long_connect_is_rounded_up_by_aiohttp():
    assert seconds(config(router={"num_retries": 0}, timeout=6), BLACKHOLE) == (7, 7)  # 6.3 to 7.0
    assert seconds(config(router={"num_retries": 0}, timeout=5), BLACKHOLE) == (5, 5)


def test_a_cooldown_at_the_first_failure_spares_the_retry():
    data = config(router={"num_retries": 1}, info={"allowed_fails_policy": POLICY}, timeout=1)
    assert seconds(data, HANG) == (1, 0)  # 1.05, then 0.05
    assert seconds(data, "500") == (0, 0)


def test_ollama_that_refuses_has_no_name_in_a_policy_and_is_asked_again():
    data = config(router={"num_retries": 1}, info={"allowed_fails_policy": POLICY}, timeout=1, model="ollama_chat/x")
    assert seconds(data, "refused") == (3, 3)  # 2.0 to 2.8
    assert seconds(data, "500") == (0, 0)


def test_only_the_first_failure_of_a_request_counts():
    fails = dict.fromkeys(POLICY, 1)
    data = config(router={"num_retries": 2}, info={"allowed_fails_policy": fails}, timeout=1, cooldown_time=30)
    assert seconds(data, HANG) == (8.75, 1)  # 7.7 to 8.4, then 1.05
    assert seconds(data, "500") == (5.75, 0)  # 4.4 to 5.4, then 0.03


@pytest.mark.parametrize(
    ("router", "info", "expected"),
    [
        ({"allowed_fails_policy": POLICY}, {}, (1, 0)),  # 1.06, 0.1
        ({"allowed_fails": 0}, {}, (1, 0)),  # 1.1, 0.03
        ({}, {"allowed_fails": 0}, (5, 5)),  # 4.3 to 5.0: not for a group with one deployment
        ({"disable_cooldowns": True}, {"allowed_fails_policy": POLICY}, (5, 5)),
        ({}, {"allowed_fails_policy": POLICY, "cooldown_time": 0}, (5, 5)),
    ],
)
def test_a_single_deployment_cools_down_only_where_it_is_said_by_name_or_for_the_whole_router(router, info, expected):
    assert seconds(config(router={"num_retries": 1, **router}, info=info, timeout=1, cooldown_time=30), HANG) == expected


def test_retries_of_the_deployment_come_before_the_routers_and_a_policy_before_both():
    assert seconds(config(litellm={"num_retries": 2}, timeout=1, num_retries=0), HANG) == (1, 1)  # 1.03
    policy = {"TimeoutErrorRetries": 0, "InternalServerErrorRetries": 1, "AuthenticationErrorRetries": 1}
    data = config(router={"retry_policy": policy}, litellm={"num_retries": 2}, timeout=1)
    assert seconds(data, HANG) == (1, 1)  # 1.04
    assert seconds(data, "500") == (3, 3)  # 2.0 to 2.9
    assert seconds(data, "429") == (5.75, 5.75)  # 4.1 to 4.9
    assert seconds(data, "401") == (3, 0)  # 2.2, 0.02


def test_deployments_that_stand_in_for_each_other_are_asked_without_a_sleep():
    data = config(litellm={"num_retries": 1}, timeout=1, count=2)
    assert seconds(data, HANG) == (2, 2)  # 2.1
    assert seconds(data, "500") == (0, 0)  # 0.1


def test_of_two_deployments_one_cools_down_a_request():
    data = config(router={"num_retries": 1}, info={"allowed_fails_policy": POLICY}, timeout=1, cooldown_time=10, count=2)
    assert seconds(data, HANG) == (2, 1)  # 2.1, 1.05, 0.04


def test_deployments_of_a_later_order_are_asked_before_the_next_group():
    data = config(router={"num_retries": 0}, timeout=3, count=2)
    for order, entry in enumerate(data["model_list"][:2]):
        entry["litellm_params"]["order"] = order
    assert seconds(data, HANG) == (6, 6)


def test_weighted_failover_asks_every_deployment_of_the_group_first():
    # Measured: three deployments, timeout 1, a hang: 3.27 s (LiteLLM 1.106.2).
    data = config(router={"num_retries": 0, "enable_weighted_failover": True}, timeout=1, count=3, info={"allowed_fails_policy": POLICY})
    # Of those three only the first failure was counted, so the next request meets two of them again (measured with two: 6.07, then 3.45).
    assert seconds(data, HANG) == (3, 2)


def test_a_retry_policy_counts_for_the_errors_it_names():
    # Measured with ServiceUnavailableErrorRetries 3: 8.7 to 9.1 s of 503; the rest is the longest that LiteLLM's sleeps can be.
    data = config(router={"num_retries": 0, "retry_policy": {"ServiceUnavailableErrorRetries": 3}}, timeout=3)
    assert 9.1 < seconds(data, "503")[0] < 13
    assert seconds(data, "500") == seconds(data, "404") == (0, 0)


def test_names_the_setting_that_takes_most_of_the_time_away():
    story = config(litellm={"num_retries": 1}, timeout=3)
    spares = "model_info.allowed_fails_policy.TimeoutErrorAllowedFails of a (0)"
    assert setting(story, HANG) == ("litellm_settings.num_retries (1) repeats the wait and sleeps after each", spares)
    assert setting(config(litellm={"num_retries": 1}, timeout=60), HANG) == ("litellm_params.timeout of a (60) bounds it", spares)
    assert setting(config(), HANG)[0] == "LiteLLM's default timeout (6000; set litellm_params.timeout of a) bounds it"
    assert setting(story, "401") == ("", "")
    assert setting(story, AFTER, streamed=True) == ("litellm_params.timeout of a (3) bounds it, for want of a stream_timeout", "")


def test_a_chain_takes_the_sum_of_its_tiers():
    data = config(router={"num_retries": 0, "fallbacks": [{"a": ["b", "z"]}]}, timeout=3)
    data["model_list"].append({"model_name": "b", "litellm_params": {"model": "openai/b", "timeout": 5}})
    (found,) = estimate(data)
    assert found.tried == ("a", "b", "z")
    assert (found.worst.model_group, found.worst.worst.worst) == ("b", 5 + OVERHEAD)
    assert found.total == 8 + 2 * OVERHEAD


def test_a_group_that_only_a_pattern_serves_has_the_patterns_settings():
    data = {
        "model_list": [{"model_name": "groq/*", "litellm_params": {"model": "groq/*", "timeout": 7}}, config()["model_list"][0]],
        "router_settings": {"num_retries": 0, "fallbacks": [{"a": ["groq/llama", "z"]}]},
    }
    (found,) = estimate(data)
    assert max(hop.first for hop in found.tiers[1].hops if hop.fault == HANG) == 7 + OVERHEAD


RETRIES = st.integers(0, 4)
TIMEOUTS = st.floats(0.5, 30)


@given(RETRIES, TIMEOUTS, st.integers(1, 3), st.booleans())
def test_more_retries_or_a_longer_timeout_never_take_less(retries, timeout, count, policy):
    info = {"allowed_fails_policy": POLICY} if policy else {}

    def worst(more, longer):
        (found,) = estimate(config(litellm={"num_retries": retries + more}, info=info, timeout=timeout + longer, count=count))
        return found.worst.worst.worst

    assert worst(0, 0) <= worst(1, 0) + 0.01
    assert worst(0, 0) <= worst(0, 1) + 0.01


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9999999) | st.floats() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2)
)
NAMES = (
    "first_token_timeout",
    "gap_timeout",
    "timeout",
    "stream_timeout",
    "num_retries",
    "cooldown_time",
    "order",
    "allowed_fails",
    "allowed_fails_policy",
    "retry_policy",
)


@given(*[st.dictionaries(st.sampled_from(NAMES), JSON) for _ in range(4)])
def test_estimates_whatever_a_config_holds(params, info, router, litellm):
    (found,) = estimate(config(router=router, litellm=litellm, info=info, **params))
    assert len(found.tiers[0].hops) == sum(len(fault.ways) for fault in FAULTS)
    assert all(hop.first >= OVERHEAD and hop.later >= OVERHEAD for hop in found.tiers[0].hops)
