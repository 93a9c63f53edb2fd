# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors are each provider's own: keys, unknown models, requests that make no sense, and the statuses of a fault."""

from __future__ import annotations

from typing import Any

import pytest
from running_simulator import VLLM_MODEL, Answer, Running

KEY = "a-right-key-0123456789"
WRONG = "a-wrong-key-0123456789"
GEMINI = "generativelanguage.googleapis.com"
#: Host, path, model, header of the key, prefix of its value.
HOSTS = [
    ("vllm-api", "/v1/chat/completions", VLLM_MODEL, "Authorization", "Bearer "),
    ("api.openai.com", "/v1/chat/completions", "gpt-4o-mini", "Authorization", "Bearer "),
    ("api.groq.com", "/openai/v1/chat/completions", "llama-3.3-70b-versatile", "Authorization", "Bearer "),
    ("api.mistral.ai", "/v1/chat/completions", "mistral-small-latest", "Authorization", "Bearer "),
    (GEMINI, "/v1beta/models/gemini-2.0-flash:generateContent", "gemini-2.0-flash", "x-goog-api-key", ""),
    ("ollama.com", "/api/chat", "kimi-k2.5", "Authorization", "Bearer "),
    ("api.anthropic.com", "/v1/messages", "claude-opus-4-5", "x-api-key", ""),
    ("api.anthropic.com", "/v1/messages", "claude-opus-4-5", "Authorization", "Bearer "),
]
REFUSALS = {
    "vllm-api": (401, {"error": "Unauthorized"}),
    "api.openai.com": (401, "invalid_api_key"),
    "api.groq.com": (401, {"error": {"message": "Invalid API Key", "type": "invalid_request_error", "code": "invalid_api_key"}}),
    "api.mistral.ai": (401, {"detail": "Unauthorized"}),
    GEMINI: (400, "API_KEY_INVALID"),
    "ollama.com": (401, {"error": "unauthorized"}),
    "api.anthropic.com": (401, "authentication_error"),
}
UNKNOWN = {
    "vllm-api": (404, "The model `nothing` does not exist."),
    "api.openai.com": (404, "model_not_found"),
    "api.groq.com": (404, "model_not_found"),
    "api.mistral.ai": (400, "Invalid model: nothing"),
    GEMINI: (404, "models/nothing is not found for API version v1beta"),
    "ollama.com": (404, "model 'nothing' not found"),
    "api.anthropic.com": (404, "not_found_error"),
}


def ask(simulator: Running, host: str, path: str, model: str, headers: dict[str, str] | None = None) -> Answer:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": False, "max_tokens": 9}
    return simulator.ask(host, path, body, headers)


@pytest.mark.parametrize(("host", "path", "model", "header", "prefix"), HOSTS)
def test_only_an_accepted_key_is_answered_once_there_is_a_file_of_keys(
    simulator: Running, host: str, path: str, model: str, header: str, prefix: str
) -> None:
    assert ask(simulator, host, path, model).status == 200
    (simulator.keys / host).write_text(f"another\n{KEY}\n")
    status, told = REFUSALS[host]
    refused = ask(simulator, host, path, model, {header: prefix + WRONG})
    assert refused.status == status
    assert refused.json == told if isinstance(told, dict) else told in refused.body.decode()
    assert ask(simulator, host, path, model).status in (401, 403)
    assert ask(simulator, host, path, model, {header: prefix + KEY}).status == 200


def test_a_changed_file_of_keys_counts_at_the_next_request(simulator: Running) -> None:
    file = simulator.keys / "vllm-api"
    file.write_text(KEY)
    assert simulator.get("vllm-api", "/v1/models", {"Authorization": f"Bearer {KEY}"}).status == 200
    file.write_text("rotated")
    assert simulator.get("vllm-api", "/v1/models", {"Authorization": f"Bearer {KEY}"}).status == 401


def test_an_empty_file_of_keys_accepts_none(simulator: Running) -> None:
    (simulator.keys / "vllm-api").write_text("\n")
    assert simulator.chat().status == 401


def test_gemini_takes_its_key_in_the_query_too_and_the_log_does_not_show_it(simulator: Running) -> None:
    (simulator.keys / GEMINI).write_text(KEY)
    assert simulator.get(GEMINI, f"/v1beta/models?key={KEY}").status == 200
    assert KEY not in str(simulator.last(GEMINI))


@pytest.mark.parametrize(("host", "path", "model", "header", "prefix"), HOSTS[:-1])
def test_an_unknown_model_gets_the_providers_answer(simulator: Running, host: str, path: str, model: str, header: str, prefix: str) -> None:
    answer = ask(simulator, host, path.replace(model, "nothing"), "nothing", {header: prefix + KEY})
    status, told = UNKNOWN[host]
    assert answer.status == status
    assert told in answer.body.decode()


@pytest.mark.parametrize("code", [400, 401, 403, 404, 418, 429, 500, 502, 503, 529])
@pytest.mark.parametrize(("host", "path", "model", "header", "prefix"), HOSTS[:-1])
def test_any_status_comes_in_the_providers_form(
    simulator: Running, code: int, host: str, path: str, model: str, header: str, prefix: str
) -> None:
    simulator.fault(host, kind="status", status=code)
    answer = ask(simulator, host, path, model, {header: prefix + KEY})
    assert answer.status == code
    if code == 502:
        assert answer.headers["content-type"] == "text/html"
    else:
        assert {"error", "message", "detail"} & set(answer.json)
        assert "{model}" not in answer.body.decode()


def test_a_status_may_have_a_body_of_its_own_and_a_retry_after(simulator: Running) -> None:
    simulator.fault(kind="status", status=429, retry_after=1.5, body={"own": True})
    answer = simulator.chat()
    assert (answer.status, answer.headers["retry-after"], answer.json) == (429, "1.5", {"own": True})
    simulator.fault(kind="status", status=503, body="down")
    assert simulator.chat().body == b"down"


@pytest.mark.parametrize(("host", "path", "model", "header", "prefix"), HOSTS)
def test_a_careless_provider_echoes_the_credential_in_its_body_and_nowhere_else(
    simulator: Running, host: str, path: str, model: str, header: str, prefix: str
) -> None:
    simulator.fault(host, kind="echo_credential")
    answer = ask(simulator, host, path, model, {header: prefix + KEY})
    assert answer.status == 401
    assert KEY in answer.body.decode()
    shown = [simulator.admin("GET", place).body.decode() for place in ("/log", "/counters", "/hosts")]
    assert KEY not in "".join([*shown, *simulator.lines])


@pytest.mark.parametrize(
    ("raw", "told"),
    [({}, "you must provide a model parameter"), ([1], "must be a JSON object"), ({"model": 5}, "you must provide a model parameter")],
)
def test_a_request_that_makes_no_sense_is_a_400(simulator: Running, raw: Any, told: str) -> None:
    answer = simulator.ask("vllm-api", "/v1/chat/completions", raw)
    assert answer.status == 400
    assert told in answer.json["error"]["message"]


@pytest.mark.parametrize("messages", [None, "text", [1, None], [{"role": 5, "content": [None, 3, {"text": 7}]}], [{}]])
def test_odd_messages_do_no_harm(simulator: Running, messages: Any) -> None:
    assert simulator.ask("vllm-api", "/v1/chat/completions", {"model": VLLM_MODEL, "messages": messages, "tools": [3, {}]}).status == 200


def test_an_unknown_path_is_not_found_and_does_not_count_as_a_request(simulator: Running) -> None:
    assert simulator.get("vllm-api", "/nowhere").status == 404
    assert (simulator.counters()["requests"], simulator.counters()["lookups"]) == (0, 1)
