# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe.task import BadTask, Task, task_of

DURATIONS = {"steady": 5, "fault": 5, "recovery": 5, "effect": 60, "ready": 300}
TOLD = {
    "vllm-qwen": [{"model": "openai/Qwen", "api_base": "http://vllm-api:8000/v1"}],
    "ollama-qwen": [{"model": "ollama_chat/qwen", "api_base": "http://ollama:11434"}],
    "gpt": [{"model": "gpt-4o-mini", "api_base": ""}],
}


def task(**changes: Any) -> Task:
    given = {
        "name": "drill",
        "namespace": "ml",
        "url": "http://litellm:4000/v1",
        "models": [{"model": "vllm-qwen", "chain": ["vllm-qwen", "ollama-qwen"], "stream": "both"}],
        "fault": {"kind": "scale", "backends": [{"deployment": "vllm-server", "service": "vllm-api"}]},
        "durations": DURATIONS,
        "patience": 60,
        "backend_path": "/v1/models",
    }
    return task_of({**given, **changes})


def test_tiers_are_filled_with_what_litellm_tells() -> None:
    (chain,) = task().expectation(TOLD).chains
    assert [(tier.name, tier.api_base, tier.models) for tier in chain.tiers] == [
        ("vllm-qwen", "http://vllm-api:8000/v1", ("openai/Qwen",)),
        ("ollama-qwen", "http://ollama:11434", ("ollama_chat/qwen",)),
    ]


def test_the_primary_is_what_the_fault_takes_unless_told() -> None:
    assert task().expectation(TOLD).chains[0].down == {"vllm-qwen"}
    assert task(down=["vllm-qwen", "ollama-qwen"]).expectation(TOLD).chains[0].standing is None
    assert task(fault={}).expectation(TOLD).chains[0].down == frozenset()


def test_model_groups_in_no_chain_have_no_business_answering() -> None:
    assert [tier.name for tier in task().expectation(TOLD).others] == ["gpt"]


def test_a_group_at_several_addresses_is_known_by_its_name() -> None:
    several = {**TOLD, "ollama-qwen": [*TOLD["ollama-qwen"], {"model": "ollama_chat/other", "api_base": "http://other:11434"}]}
    tier = task().expectation(several).chains[0].tiers[1]
    assert (tier.api_base, tier.models) == ("", ("ollama_chat/qwen", "ollama_chat/other"))


def test_models_and_fallbacks_that_are_not_served_are_named() -> None:
    assert task().unserved(["vllm-qwen"]) == ["ollama-qwen"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Not so"}, "must be at most 40 small letters"),
        ({"url": None}, "url: say where"),
        ({"models": []}, "models: name at least one"),
        ({"models": [{"model": "a", "stream": "both", "rate": 0.0}]}, "rate must be above 0"),
        ({"models": [{"model": "a", "stream": "both", "chain": [{"name": "x"}]}]}, "has no model_group"),
        ({"models": [{"model": "a", "stream": "both", "chain": [{"group": "x"}]}]}, "a tier has no group"),
        ({"down": ["gpt"]}, "gpt is in no chain; there are ollama-qwen, vllm-qwen"),
        ({"thresholds": [{"id": "NFR65", "metric": "worst_wait", "limit": 5}]}, "has no unit"),
        ({"thresholds": [{"metric": "worst_wait", "limit": 5, "unit": "s"}]}, "has no id"),
        ({"durations": {**DURATIONS, "steady": 0}}, "steady must be a number of seconds above 0"),
        ({"fault": {"kind": "melt"}}, "'melt' is no fault"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadTask, match=message):
        task(**change)


def test_a_model_may_have_several_loads() -> None:
    chain = ["vllm-qwen", "ollama-qwen"]
    chat, documents = ({"model": "vllm-qwen", "chain": chain, "stream": "both", "name": name} for name in ("chat", "documents"))
    made = task(models=[chat, {**documents, "prompt_tokens": 8200}])
    assert [load.name for load in made.plan(ca_file=None, verify=True).loads] == ["chat", "documents"]
    assert len(made.expectation(TOLD).chains) == 1


def test_a_load_with_an_address_of_its_own_goes_there_without_a_key() -> None:
    through = {"model": "vllm-qwen", "chain": ["vllm-qwen"], "stream": "both"}
    straight = {"model": "Qwen", "name": "straight", "url": "http://vllm-api:8000/v1", "stream": "both"}
    made = task(models=[through, straight], key_secret={"name": "litellm", "key": "KEY"})
    assert [(load.url, bool(load.key_env)) for load in made.plan(ca_file=None, verify=True).loads] == [
        ("http://litellm:4000/v1", True),
        ("http://vllm-api:8000/v1", False),
    ]
    assert made.expectation(TOLD).direct_loads == {"straight"}


def test_the_same_model_has_one_chain() -> None:
    loads = [{"model": "vllm-qwen", "name": name, "chain": ["vllm-qwen", name], "stream": "both"} for name in ("ollama-qwen", "gpt")]
    with pytest.raises(BadTask, match="one chain for each model asked"):
        task(models=loads)


CLAUDE, LITELLM = "anthropic/claude-opus-4-5", "litellm/vllm-qwen"
TURNS = {"protocol": "openclaw", "url": None, "namespace": "apps", "models": [{"model": CLAUDE, "chain": [CLAUDE, LITELLM]}], "fault": {}}


def test_turns_are_whole_one_a_second_and_taken_where_the_gateway_is() -> None:
    made = task(**TURNS, gateway={"namespace": None, "deployment": "claw", "container": None})
    (load,) = made.plan(ca_file=None, verify=True).loads
    assert (load.protocol, load.turn, load.rate, load.stream, load.key_env) == ("openclaw", "full", 1.0, False, "")
    assert str(made.gateway) == "OpenClaw (Deployment apps/claw)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "http://litellm:4000/v1"}, "url: not for the protocol openclaw"),
        ({"key_secret": {"name": "s", "key": "k"}}, "key_secret: not for the protocol openclaw"),
        ({"models": [{"model": CLAUDE}, {"model": "x", "url": "http://x"}]}, "models: url: not for"),
        ({"models": [{"model": CLAUDE, "turn": "slow"}]}, "turn must be full or light"),
        ({"fault": {"kind": "egress", "backends": [{"deployment": "a", "service": "a"}], "clients": ["c"]}}, "fault egress: only a pod"),
    ],
)
def test_what_has_no_meaning_for_turns_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadTask, match=message):
        task(**{**TURNS, **change})


def test_the_internet_is_taken_from_a_gateway_only() -> None:
    with pytest.raises(BadTask, match="only OpenClaw's own pod"):
        task(fault={"kind": "internet", "policy": "p", "hosts": ["h"]})


def test_a_turn_is_no_matter_of_chat_completions() -> None:
    with pytest.raises(BadTask, match="turn is for the protocol openclaw"):
        task(models=[{"model": "vllm-qwen", "turn": "light"}])


def test_tiers_behind_one_group_fall_by_their_own_names() -> None:
    behind = [{"name": who, "model_group": LITELLM, "says": f"from {who}"} for who in ("vllm", "ollama")]
    made = task(**{**TURNS, "models": [{"model": CLAUDE, "chain": [CLAUDE, *behind]}]}, down=[CLAUDE, "vllm"])
    (chain,) = made.expectation({}).chains
    assert chain.down == {CLAUDE, "vllm"}
    assert chain.standing is not None
    assert chain.standing.name == "ollama"


PERSON = {
    "protocol": "open_webui",
    "url": "http://open-webui.apps.svc.cluster.local",
    "email": "someone@example.org",
    "key_secret": {"name": "open-webui-secrets", "key": "PASSWORD"},
    "models": [{"model": "vllm-qwen", "chain": ["vllm-qwen", "ollama-qwen"]}],
}


def test_somebody_at_a_page_is_answered_by_a_stream() -> None:
    made = task(**PERSON)
    (load,) = made.plan(ca_file=None, verify=True).loads
    assert (load.protocol, load.stream, load.email, load.key_env) == ("open_webui", True, "someone@example.org", "FAILOVER_PROBE_KEY")
    assert made.front == "Open-WebUI at http://open-webui.apps.svc.cluster.local"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"email": None}, "email: say who signs in"),
        ({"key_secret": None}, "by the password that key_secret names"),
        ({"url": None}, "url: say where Open-WebUI is, for example http://open-webui"),
        ({"models": [{"model": "vllm-qwen", "stream": "both"}]}, "stream must be true, it is 'both': Open-WebUI's page streams"),
        ({"protocol": "openai"}, "email: only for the protocol open_webui"),
    ],
)
def test_what_somebody_at_a_page_lacks_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadTask, match=message):
        task(**{**PERSON, **change})
