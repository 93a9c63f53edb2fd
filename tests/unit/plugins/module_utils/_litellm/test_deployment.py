# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the many timeouts and retries of a LiteLLM config is in force."""

from __future__ import annotations

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._litellm.deployment import deployment_of, levels_of, number, router_of


def entry(info=None, **params):
    return {"model_name": "m", "litellm_params": {"model": "openai/x", **params}, **({"model_info": info} if info else {})}


@pytest.mark.parametrize(
    ("params", "data", "plain", "streamed"),
    [
        ({"timeout": 3}, {}, 3, 3),
        ({"timeout": "3"}, {}, 3, 3),
        ({"timeout": 60, "stream_timeout": 4}, {}, 60, 4),
        ({"request_timeout": 7}, {}, 7, 7),
        ({}, {"router_settings": {"timeout": 2}}, 2, 2),
        ({}, {"litellm_settings": {"request_timeout": 2}}, 2, 2),
        ({"timeout": 3}, {"router_settings": {"stream_timeout": 1}}, 3, 1),
        # Measured: 1.0 s plain, 2.0 s streamed.
        ({}, {"litellm_settings": {"request_timeout": 1}, "router_settings": {"timeout": 3, "stream_timeout": 2}}, 1, 2),
        # Surprising, and so in the source: beside a router timeout the global one bounds streams, whatever the deployment says.
        ({"timeout": 9}, {"litellm_settings": {"request_timeout": 1}, "router_settings": {"timeout": 3}}, 9, 1),
        ({"timeout": 9}, {"litellm_settings": {"request_timeout": 1}}, 9, 9),
        ({"timeout": 0}, {}, 6000, 6000),
        ({}, {}, 6000, 6000),
        ({"timeout": "os.environ/SECONDS"}, {}, 6000, 6000),
    ],
)
def test_waits_as_long_as_litellm_does(params, data, plain, streamed):
    found = deployment_of(entry(**params), data)
    assert (found.plain.seconds, found.streamed.seconds) == (plain, streamed)


def test_names_the_setting_that_bounds():
    assert deployment_of(entry(timeout=60), {}).plain.setting == "litellm_params.timeout of m (60)"
    assert deployment_of(entry(), {}).plain.setting == "LiteLLM's default timeout (6000; set litellm_params.timeout of m)"
    assert deployment_of(entry(), {"router_settings": {"stream_timeout": 4}}).streamed.setting == "router_settings.stream_timeout (4)"


@pytest.mark.parametrize(
    ("data", "retries"),
    [
        ({}, 2),
        ({"litellm_settings": {"num_retries": 1}}, 1),
        ({"litellm_settings": {"num_retries": 1}, "router_settings": {"num_retries": 0}}, 0),
        ({"router_settings": {"num_retries": None}}, 2),
    ],
)
def test_asks_again_as_often_as_litellm_does(data, retries):
    assert router_of(data).retries == retries


def test_a_retry_policy_speaks_for_its_exceptions_and_a_groups_own_comes_first():
    router = router_of(
        {"router_settings": {"retry_policy": {"TimeoutErrorRetries": 3, "DefaultRetries": 1}, "model_group_retry_policy": {"b": {}}}}
    )
    assert router.retries_of_policy("a", "TimeoutError") == 3
    assert router.retries_of_policy("a", "RateLimitError") == 1
    assert router.retries_of_policy("b", "TimeoutError") is None


def test_a_cooldown_in_model_info_comes_before_one_in_litellm_params():
    assert deployment_of(entry({"cooldown_time": 7}, cooldown_time=9), {}).cooldown_time == 7
    assert deployment_of(entry(cooldown_time=9), {}).cooldown_time == 9


def test_allowed_fails_that_equal_the_default_are_not_set():
    assert not router_of({"router_settings": {"allowed_fails": 3}}).allowed_fails_set
    assert router_of({"router_settings": {"allowed_fails": 0}}).allowed_fails_set
    assert not router_of({"router_settings": {"allowed_fails": 0}, "litellm_settings": {"allowed_fails": 0}}).allowed_fails_set


FIRST_TOKEN = {"litellm_settings": {"callbacks": ["prometheus", "first_token.entry.callback"]}}


def test_a_bound_on_the_first_token_brings_one_between_tokens():
    watch = deployment_of(entry({"first_token_timeout": 3}), FIRST_TOKEN).watch
    assert (watch.first_token.seconds, watch.gap.seconds) == (3, 4)
    assert watch.first_token.setting == "model_info.first_token_timeout of m (3)"
    assert deployment_of(entry({"first_token_timeout": 3, "gap_timeout": 9}), FIRST_TOKEN).watch.gap.seconds == 9


@pytest.mark.parametrize(
    ("model", "info", "data"),
    [
        ("openai/x", {}, FIRST_TOKEN),
        ("openai/x", {"first_token_timeout": 0}, FIRST_TOKEN),
        ("openai/x", {"first_token_timeout": 3}, {}),
        ("openai/x", {"first_token_timeout": 3}, {"litellm_settings": {"callbacks": ["prometheus"]}}),
        ("ollama_chat/x", {"first_token_timeout": 3}, FIRST_TOKEN),
    ],
    ids=["not told", "declined", "no callbacks", "another callback", "another provider"],
)
def test_the_first_token_is_bounded_where_it_is_told_and_the_callback_is_loaded_and_can(model, info, data):
    assert deployment_of(entry(info, model=model), data).watch is None


def test_one_callback_may_be_told_without_a_list():
    assert deployment_of(entry({"first_token_timeout": 3}), {"litellm_settings": {"callbacks": "first_token.entry.callback"}}).watch


def test_deployments_with_an_order_are_levels_and_others_are_one():
    first, second, free = entry(order=1, timeout=1), entry(order=2, timeout=2), entry(timeout=3)
    assert [[each.plain.seconds for each in level] for level in levels_of([second, first, free], {})] == [[1], [2]]
    assert [[each.plain.seconds for each in level] for level in levels_of([first, free], {})] == [[1, 3]]


@pytest.mark.parametrize("value", [None, True, [], {}, "soon", "inf", float("nan")])
def test_what_is_no_number_of_seconds_counts_as_not_set(value):
    assert number(value) is None
