# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role says about the answers it got."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROLE = Path(__file__).resolve().parents[4] / "roles" / "litellm"


@pytest.fixture(scope="module")
def verdict() -> Any:
    spec = importlib.util.spec_from_file_location("verdict", ROLE / "files" / "verdict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ASK = {
    "served": ["vllm-qwen", "ollama-qwen"],
    "chains": {"vllm-qwen": ["vllm-qwen", "ollama-qwen"]},
    "explicit_only": [],
    "cloud": ["cloud-kimi", "cloud-glm"],
    "cloud_seconds": 60,
    "overhead_ms": 100,
    "strict": False,
}


def answer(model="vllm-qwen", answered_by="vllm-qwen", content="OK", **more):
    found = {"model": model, "status": 200, "seconds": 0.1, "content": content, "answered_by": answered_by, "backend": "http://b"}
    return {**found, "fallbacks": 0, "overhead_ms": 5.0, **more}


def found(*answers, **more):
    return {
        "served": ["ollama-qwen", "vllm-qwen"],
        "without_key": 401,
        "counted": {"vllm-qwen": (9, 9)},
        "overhead_ms": 5.0,
        "pairs": {"model": "vllm-qwen", "count": 7, "added_ms": 12.4, "own_ms": 5.0},
        "answers": list(answers),
        **more,
    }


def test_nothing_is_wrong_when_each_model_answers(verdict):
    assert verdict.judge(ASK, found(answer())) == []
    assert verdict.told(ASK, found(answer())) == [
        "2 models served",
        "vllm-qwen answered in 0.10 s (http://b)",
        "LiteLLM adds 12 ms to a request (vllm-qwen, median of 7 pairs; by its own count 5 ms)",
        "Metrics counted the requests for 1 models",
    ]


def test_an_answer_by_a_fallback_is_told_and_no_problem(verdict):
    result = found(answer(answered_by="ollama-qwen", fallbacks=1))
    assert verdict.judge(ASK, result) == []
    assert "by ollama-qwen" in verdict.told(ASK, result)[1]


def test_an_answer_by_a_fallback_is_a_problem_when_it_must_not_be(verdict):
    assert verdict.judge({**ASK, "strict": True}, found(answer(answered_by="ollama-qwen"))) == [
        "vllm-qwen was answered by its fallback ollama-qwen"
    ]


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (found(answer(answered_by="openai-gpt4o")), "not in its chain vllm-qwen → ollama-qwen"),
        (found(answer(content="  ")), "vllm-qwen answered nothing"),
        (found({"model": "vllm-qwen", "status": 500, "seconds": 1, "error": "why"}), "gave no answer (500 after 1 s): why"),
        (found(answer("cloud-kimi", "cloud-kimi", seconds=61.2)), "cloud-kimi took 61.2 s to answer, and 60 are too many"),
        (found(served=["vllm-qwen"]), "missing ['ollama-qwen'], not configured none"),
        (found(served=["ollama-qwen", "vllm-qwen", "x"]), "missing none, not configured ['x']"),
        (found(without_key=200), "without a key was answered with 200"),
        (found(counted=None), "no litellm_ metric"),
        (found(counted={"a": (9, 9), "b": (2, 1)}), "b was asked 2 times, and LiteLLM's metrics count 1 requests for it"),
        (found(overhead_ms=130.0), "says that it added 130 ms"),
        (found(pairs={"model": "m", "count": 3, "added_ms": 100.0, "own_ms": None}), "added 100 ms to a request to m (median of 3 pairs)"),
    ],
)
def test_a_mere_200_is_not_enough(verdict, result, problem):
    (only,) = verdict.judge(ASK, result)
    assert problem in only


def test_more_requests_than_ours_are_no_problem(verdict):
    assert verdict.judge(ASK, found(counted={"vllm-qwen": (9, 40)})) == []


def test_a_slow_model_of_our_own_is_no_problem(verdict):
    assert verdict.judge(ASK, found(answer(seconds=61.2))) == []


def test_a_model_to_be_asked_by_name_only_must_be_in_no_chain(verdict):
    ask = {**ASK, "explicit_only": ["openai-gpt4o"], "chains": {"openai-gpt4o": ["openai-gpt4o"], "a": ["a", "b", "openai-gpt4o"]}}
    assert verdict.judge(ask, found()) == ["openai-gpt4o is to answer only whoever asks for it by name, but is in the chain of a"]


def test_a_model_in_no_chain_is_told_when_it_is_served(verdict):
    ask = {**ASK, "explicit_only": ["vllm-qwen", "left-out"]}
    assert "In no chain: vllm-qwen" in verdict.told(ask, found())


def test_the_seconds_of_the_cloud_are_told_and_those_of_a_fallback_are_not_among_them(verdict):
    answers = [answer("cloud-kimi", "cloud-glm", seconds=2.0), answer("cloud-glm", "cloud-glm", seconds=4.0), answer(seconds=9.0)]
    assert "Cloud models answer in 2.00 s (p50) and 4.00 s (p95)" in verdict.told(ASK, found(*answers))


def test_without_a_backend_to_compare_with_its_own_count_is_told(verdict):
    assert "LiteLLM adds 5 ms to a request by its own count; no backend could be asked straight" in verdict.told(ASK, found(pairs=None))


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (95, 4), (1, 1), (100, 4)])
def test_a_percentile_is_one_of_the_values(verdict, percent, value):
    assert verdict.percentile([4, 1, 3, 2], percent) == value
