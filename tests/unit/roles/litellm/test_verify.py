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
def verify() -> Any:
    spec = importlib.util.spec_from_file_location("verify", ROLE / "files" / "verify.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ASK = {
    "served": ["vllm-qwen", "ollama-qwen"],
    "chains": {"vllm-qwen": ["vllm-qwen", "ollama-qwen"]},
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
        "metrics": True,
        "overhead_ms": 5.0,
        "answers": list(answers),
        **more,
    }


def test_nothing_is_wrong_when_each_model_answers(verify):
    assert verify.judge(ASK, found(answer())) == []
    assert verify.told(found(answer())) == ["2 models served", "vllm-qwen answered in 0.10 s (http://b)"]


def test_an_answer_by_a_fallback_is_told_and_no_problem(verify):
    result = found(answer(answered_by="ollama-qwen", fallbacks=1))
    assert verify.judge(ASK, result) == []
    assert "by ollama-qwen" in verify.told(result)[1]


def test_an_answer_by_a_fallback_is_a_problem_when_it_must_not_be(verify):
    assert verify.judge({**ASK, "strict": True}, found(answer(answered_by="ollama-qwen"))) == [
        "vllm-qwen was answered by its fallback ollama-qwen"
    ]


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (found(answer(answered_by="openai-gpt4o")), "not in its chain vllm-qwen → ollama-qwen"),
        (found(answer(content="  ")), "vllm-qwen answered nothing"),
        (found({"model": "vllm-qwen", "status": 500, "seconds": 1, "error": "why"}), "gave no answer (500 after 1 s): why"),
        (found(served=["vllm-qwen"]), "missing ['ollama-qwen'], not configured none"),
        (found(served=["ollama-qwen", "vllm-qwen", "x"]), "missing none, not configured ['x']"),
        (found(without_key=200), "without a key was answered with 200"),
        (found(metrics=False), "no litellm_ metric"),
        (found(overhead_ms=130.0), "added 130 ms"),
    ],
)
def test_a_mere_200_is_not_enough(verify, result, problem):
    (only,) = verify.judge(ASK, result)
    assert problem in only
