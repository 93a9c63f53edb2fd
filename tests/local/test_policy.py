# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each clause of a policy, kept by the real LiteLLM. One process of it serves several policies, as a start takes long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from free_port import free_port
from policies import Asking, Play
from running_litellm import RunningLiteLLM, asked_of_redis, new_key, running_redis
from running_simulator import Running, until

from ansible_collections.homelab.llm.plugins.module_utils.litellm_client import LiteLLMClient, call_llm

#: What LiteLLM waits for a provider: short, for tests; each provider answers at once unless it is told not to.
TIMEOUT = 4
RPM = 4
#: 0.0016 dollars by LiteLLM's price table: 60 tokens of claude-opus-4-5, and a few for the question.
DEAR = "[tokens=60]"
BUDGET = 0.01


def entry(name: str, host: str, running: Running) -> dict[str, Any]:
    """An entry of model_list of each kind of provider, at its scripted server."""
    base = f"http://127.0.0.1:{running.port(host)}"
    kinds = {
        "anthropic": {"model": "anthropic/claude-opus-4-5", "api_base": base, "api_key": "os.environ/ANTHROPIC_API_KEY"},
        "openai": {"model": "openai/gpt-4-turbo", "api_base": f"{base}/v1", "api_key": "os.environ/OPENAI_API_KEY"},
        "cheap": {"model": "openai/gpt-4o-mini", "api_base": f"{base}/v1", "api_key": "os.environ/OPENAI_API_KEY"},
        "ollama": {"model": "ollama_chat/qwen2.5:3b", "api_base": base},
    }
    return {"model_name": name, "litellm_params": kinds[host]}


def policy(order: list[str], models: list[Any], limits: Any = None, **more: Any) -> dict[str, Any]:
    """A policy in its whole form, with the entries for it."""
    litellm = {
        "default_model": order[0],
        "fallback_strategy": order,
        "api_timeout": TIMEOUT,
        "cache_config": {"enable_cache": True, "type": "in_memory", "ttl": 3600},
        "quota_limits": limits or {},
        **more,
    }
    router = {"strategy": "cost-based", "fallback_on_quota_error": True, "fallback_on_timeout": True}
    return {"policy": {"litellm": litellm, "router": router}, "models": models}


def chain(name: str, running: Running, limits: Any = None, **more: Any) -> dict[str, Any]:
    """Claude, GPT-4, Ollama, under names of their own: what befalls one chain says nothing to another."""
    order = [f"{name}-claude", f"{name}-gpt", f"{name}-ollama"]
    return policy(
        order, [entry(each, host, running) for each, host in zip(order, ("anthropic", "openai", "ollama"), strict=True)], limits, **more
    )


def standing_in(running: Running) -> dict[str, Any]:
    """A name that stands for the first of a chain."""
    told = chain("alias", running)
    return {
        **told,
        "fallbacks": {"alias-name": ["alias-gpt", "alias-ollama"]},
        "settings": {"router_settings": {"model_group_alias": {"alias-name": "alias-claude"}}},
    }


def budgets(running: Running) -> dict[str, Any]:
    return chain("budget", running, {"budget-claude": {"monthly_limit_usd": BUDGET}})


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    return Play(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def served(litellm: RunningLiteLLM, providers: Running, play: Play) -> RunningLiteLLM:
    """LiteLLM with all the policies but for one with a Redis."""
    equals = [entry("equal", host, providers) for host in ("openai", "cheap")]
    with_ollama = [entry("own", host, providers) for host in ("openai", "cheap", "ollama")]
    allowed = chain("allowed", providers, allowed_models=["allowed-claude"], fallback_strategy=["allowed-claude"])
    policies = [
        *(chain(name, providers) for name in ("order", "quota", "hang", "cache")),
        allowed,
        policy(["equal"], equals),
        policy(["own"], with_ollama),
        budgets(providers),
        chain("stream", providers, {name: {"monthly_limit_usd": BUDGET} for name in ("stream-claude", "stream-gpt")}),
        standing_in(providers),
        # The last one: what it has not is taken out of the settings, and only it has this limit.
        chain("rpm", providers, {"rpm-claude": {"rpm_limit": RPM}}),
    ]
    done = play.run(policies)
    assert done.returncode == 0, done.stdout
    litellm.start(play.config)
    return litellm


@pytest.fixture
def ask(served: RunningLiteLLM, providers: Running) -> Iterator[Asking]:
    providers.admin("POST", "/reset")
    with served.client() as client:
        yield Asking(client)
    providers.admin("POST", "/reset")


def test_the_config_is_written_once(served: RunningLiteLLM, providers: Running, play: Play):  # noqa: ARG001
    again = play.run([chain("rpm", providers, {"rpm-claude": {"rpm_limit": RPM}})])
    assert "changed=0" in again.stdout, again.stdout


def test_the_order_is_kept(ask: Asking, providers: Running):
    assert ask("order-claude").answered_by == "order-claude"
    providers.fault("anthropic", kind="status", status=500)
    second = ask("order-claude")
    assert (second.answered_by, second.fallbacks) == ("order-gpt", 1)
    assert "from openai" in second.text
    providers.fault("openai", kind="refuse")
    third = ask("order-claude")
    # By way of the second one's own list, which LiteLLM counts as one.
    assert (third.answered_by, third.fallbacks) == ("order-ollama", 1)
    assert ask("order-gpt").answered_by == "order-ollama"
    providers.fault("ollama", kind="status", status=500)
    with pytest.raises(requests.HTTPError):
        ask("order-claude")


def test_a_quota_error_falls_back(ask: Asking, providers: Running):
    providers.fault("anthropic", kind="status", status=429)
    assert ask("quota-claude").answered_by == "quota-gpt"
    assert providers.counters("anthropic")["by_status"] == {"429": 1}
    # It is left alone for a while.
    assert ask("quota-claude").answered_by == "quota-gpt"
    assert providers.counters("anthropic")["requests"] == 1


@pytest.mark.alone
def test_a_provider_that_says_nothing_is_left_after_the_timeout(ask: Asking, providers: Running):
    providers.fault("anthropic", kind="hang", where="before_headers")
    began = time.monotonic()
    assert ask("hang-claude").answered_by == "hang-gpt"
    assert time.monotonic() - began >= TIMEOUT * 0.9
    began = time.monotonic()
    assert ask("hang-claude").answered_by == "hang-gpt"
    assert time.monotonic() - began < TIMEOUT * 0.9


def test_a_repeated_request_is_answered_from_the_cache_and_says_so(ask: Asking, providers: Running):
    question = ask.question()
    first = ask.client.call_llm("cache-claude", [question])
    second = ask.client.call_llm("cache-claude", [question])
    assert (first.origin.cached, second.origin.cached) == (False, True)
    assert first.text == second.text
    assert providers.counters("anthropic")["requests"] == 1
    assert not ask.client.call_llm("cache-claude", [question], temperature=0.1).origin.cached


def test_the_request_after_the_last_of_a_minute_goes_to_the_next_model(ask: Asking):
    """Not to an error. LiteLLM's minute is the clock's, so a second try is made where it ended in between."""
    for _each in range(2):
        minute = time.time() // 60
        answers = [ask("rpm-claude") for _each in range(RPM + 2)]
        if time.time() // 60 == minute:
            break
        # The limit was reached in one minute, and left alone for ten seconds of the next.
        time.sleep(12)
    by = [answer.answered_by for answer in answers]
    assert by == ["rpm-claude"] * RPM + ["rpm-gpt"] * 2
    assert answers[-1].fallbacks == 1


def test_the_cheapest_of_equals_is_asked(ask: Asking, providers: Running):
    for _each in range(6):
        ask("equal")
    assert (providers.counters("cheap")["requests"], providers.counters("openai")["requests"]) == (6, 0)


def test_ones_own_machine_is_the_cheapest_of_equals_and_the_next_one_answers_for_it(ask: Asking, providers: Running):
    assert "from ollama" in ask("own").text
    providers.fault("ollama", kind="status", status=500)
    with pytest.raises(requests.HTTPError):
        ask("own")
    # It is left alone now, and there is nobody to fall back to but its equals.
    assert "from cheap" in ask("own").text


def test_a_model_that_is_not_allowed_is_refused(ask: Asking, providers: Running):
    assert "allowed-claude" in ask.client.get_available_models()
    assert "allowed-gpt" not in ask.client.get_available_models()
    for name in ("allowed-gpt", "openai/gpt-4o", "gpt-5", "*"):
        with pytest.raises(requests.HTTPError) as refused:
            ask(name)
        assert refused.value.response.status_code == 400
    assert providers.counters("openai")["requests"] == 0


def spend_all(ask: Asking, running: Running) -> None:
    """Ask until another model answers; what was spent by then has to be between 80 percent and all of the budget."""
    spent = 0.0
    for _each in range(20):
        answer = ask("budget-claude", DEAR)
        if answer.answered_by == "budget-gpt":
            break
        spent += answer.origin.cost
        # LiteLLM counts after it has answered.
        time.sleep(0.5)
    assert 0.8 * BUDGET <= spent <= BUDGET
    assert ask("budget-claude").answered_by == "budget-gpt"
    assert running.counters("anthropic")["by_status"] == {"200": running.counters("anthropic")["requests"]}


def test_a_budget_falls_back_at_80_percent_of_it(ask: Asking, providers: Running):
    spend_all(ask, providers)


def test_what_is_streamed_is_paid_for_too(ask: Asking):
    answered_by = []
    for _each in range(20):
        with ask.client.stream_llm("stream-claude", [ask.question(DEAR)]) as stream:
            assert "from" in "".join(stream)
        answered_by.append(stream.answered_by)
        if stream.answered_by == "stream-ollama":
            break
        time.sleep(0.5)
    assert list(dict.fromkeys(answered_by)) == ["stream-claude", "stream-gpt", "stream-ollama"]


def test_a_name_that_stands_for_a_model_has_a_chain_of_its_own(ask: Asking, providers: Running):
    assert "from anthropic" in ask("alias-name").text
    providers.fault("anthropic", kind="status", status=500)
    assert ask("alias-name").answered_by == "alias-gpt"


def test_the_client_asks_the_real_litellm(ask: Asking, served: RunningLiteLLM, providers: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", served.key)
    answer = call_llm("order-ollama", [ask.question()], base_url=served.url)
    assert answer["choices"][0]["message"]["content"] == answer.text
    assert "from ollama" in answer.text
    origin = answer.origin
    assert (answer.answered_by, answer.fallbacks, origin.model_id, origin.retries) == ("order-ollama", 0, "order-ollama", 0)
    assert origin.api_base == f"http://127.0.0.1:{providers.port('ollama')}"
    with LiteLLMClient(served.url, timeout=60) as client, client.stream_llm("order-gpt", [ask.question("[tokens=20]")]) as stream:
        pieces = list(stream)
    assert len(pieces) > 1
    assert "from openai" in "".join(pieces)
    assert stream.answered_by == "order-gpt"


def test_whatever_goes_wrong_with_the_real_litellm_is_a_request_exception(ask: Asking, served: RunningLiteLLM, providers: Running):
    assert LiteLLMClient(served.url, api_key="").get_health() is True
    assert LiteLLMClient(f"http://127.0.0.1:{free_port()}").get_health() is False
    with pytest.raises(requests.HTTPError) as unknown:
        ask("no-such-model")
    assert "no-such-model" in str(unknown.value)
    wrong = new_key()
    with pytest.raises(requests.HTTPError) as refused:
        LiteLLMClient(served.url, api_key=wrong).get_available_models()
    assert wrong not in str(refused.value)
    providers.fault("ollama", kind="hang", where="before_headers")
    with pytest.raises(requests.Timeout):
        Asking(LiteLLMClient(served.url, 0.5, served.key))("order-ollama")
    providers.fault("openai", kind="error_event", after_tokens=3)
    pieces: list[str] = []
    with pytest.raises(requests.RequestException):
        pieces.extend(ask.client.stream_llm("order-gpt", [ask.question("[tokens=20 rate=50]")]))


def test_a_budget_is_forgotten_at_a_restart_without_redis_and_kept_with_it(
    ask: Asking, served: RunningLiteLLM, providers: Running, play: Play, tmp_path: Path
):
    assert ask("budget-claude").answered_by == "budget-gpt"
    password = served.environ["REDIS_PASSWORD"]
    with running_redis(tmp_path, password) as port:
        told = {**budgets(providers), "redis": {"host": "127.0.0.1", "port": port, "password": "REDIS_PASSWORD"}}
        done = play.run([told])
        assert done.returncode == 0, done.stdout
        served.stop()
        served.start(play.config)
        # Nothing of before: it was counted in memory, and this Redis is new.
        assert ask("budget-claude").answered_by == "budget-claude"
        spend_all(ask, providers)
        until(lambda: "deployment_spend:budget-claude" in asked_of_redis(port, password, "KEYS", "*spend*"), 10)
        # What was counted goes there once a second.
        time.sleep(3)
        served.stop()
        served.start(play.config)
        assert ask("budget-claude").answered_by == "budget-gpt"
        served.stop()


def test_what_is_wrong_with_a_policy_is_one_error_and_nothing_is_written(providers: Running, tmp_path: Path):
    play = Play(tmp_path)
    wrong = chain("wrong", providers, {"wrong-claude": {"monthly_limit_usd": "a hundred"}})
    done = play.run([wrong])
    assert done.returncode != 0
    assert (
        "litellm.quota_limits.wrong-claude.monthly_limit_usd is 'a hundred': write a number of US dollars above 0"
        in done.stdout + done.stderr
    )
    assert not play.config.exists()
