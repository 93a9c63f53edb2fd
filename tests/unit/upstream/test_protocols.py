# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every protocol over the wire, in one piece and streamed, with text and with a call of a tool."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from running_simulator import VLLM_MODEL, Answer, Running, call

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPENAI_TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
CALL = '[tool=get_weather args={"city": "Bern"}]'
BERN = {"city": "Bern"}

OPENAI_HOSTS = [
    ("vllm-api", "/v1", VLLM_MODEL),
    ("api.openai.com", "/v1", "gpt-4o-mini"),
    ("api.groq.com", "/openai/v1", "llama-3.3-70b-versatile"),
    ("api.mistral.ai", "/v1", "mistral-small-latest"),
    ("ollama", "/v1", "qwen2.5:3b"),
]


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(("host", "prefix", "model"), OPENAI_HOSTS)
class TestOpenAI:
    def ask(self, simulator: Running, host: str, prefix: str, model: str, text: str, **more: Any) -> Answer:
        return simulator.ask(host, f"{prefix}/chat/completions", {"model": model, "messages": messages(text), **more})

    def test_a_whole_answer_tells_who_answered_and_its_usage(self, simulator: Running, host: str, prefix: str, model: str) -> None:
        answer = self.ask(simulator, host, prefix, model, "one two").json
        assert answer["choices"][0]["message"]["content"] == f"Answer 1 from {host} ({model})"
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}

    def test_a_stream_has_the_same_text_and_usage(self, simulator: Running, host: str, prefix: str, model: str) -> None:
        answer = self.ask(simulator, host, prefix, model, "one two", stream=True, stream_options={"include_usage": True})
        assert answer.body.endswith(b"data: [DONE]\n\n")
        chunks = answer.events
        assert (
            "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
            == f"Answer 1 from {host} ({model})"
        )
        assert [chunk["usage"] for chunk in chunks if "usage" in chunk] == [{"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}]

    def test_a_tool_is_called_in_one_piece(self, simulator: Running, host: str, prefix: str, model: str) -> None:
        choice = self.ask(simulator, host, prefix, model, CALL, tools=OPENAI_TOOLS).json["choices"][0]
        function = choice["message"]["tool_calls"][0]["function"]
        assert (function["name"], json.loads(function["arguments"]), choice["finish_reason"]) == ("get_weather", BERN, "tool_calls")

    def test_a_tools_arguments_come_in_parts_of_a_stream(self, simulator: Running, host: str, prefix: str, model: str) -> None:
        answer = self.ask(simulator, host, prefix, model, CALL, tools=OPENAI_TOOLS, stream=True)
        parts = [part for chunk in answer.events for choice in chunk["choices"] for part in choice["delta"].get("tool_calls", [])]
        assert parts[0]["function"]["name"] == "get_weather"
        assert json.loads("".join(part["function"]["arguments"] for part in parts)) == BERN

    def test_the_models_are_listed(self, simulator: Running, host: str, prefix: str, model: str) -> None:
        assert model in [entry["id"] for entry in simulator.get(host, f"{prefix}/models").json["data"]]
        assert simulator.get(host, f"{prefix}/models/{model}").json["id"] == model


def test_a_stream_tells_no_usage_unless_asked(simulator: Running) -> None:
    assert not [chunk for chunk in simulator.chat(stream=True).events if "usage" in chunk]


@pytest.mark.parametrize(
    ("host", "model"), [("vllm-api", VLLM_MODEL), ("api.openai.com", "text-embedding-3-small"), ("ollama", "qwen2.5:3b")]
)
def test_embeddings_depend_on_the_text_alone(simulator: Running, host: str, model: str) -> None:
    answer = simulator.ask(host, "/v1/embeddings", {"model": model, "input": ["a b", "c", "a b"]}).json
    first, second, third = (entry["embedding"] for entry in answer["data"])
    assert first == third != second
    assert answer["usage"]["prompt_tokens"] == 5
    packed = simulator.ask(host, "/v1/embeddings", {"model": model, "input": "a b", "encoding_format": "base64"}).json["data"][0][
        "embedding"
    ]
    assert list(struct.unpack("<8f", base64.b64decode(packed))) == first


def test_what_can_be_got_can_be_asked_for_its_headers(simulator: Running) -> None:
    answer = call(simulator.port("ollama"), "HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")


def test_vllm_tells_its_health_and_version(simulator: Running) -> None:
    assert simulator.get("vllm-api", "/health").status == 200
    assert "version" in simulator.get("vllm-api", "/version").json


class TestOllama:
    MODEL = "qwen2.5:3b"

    def chat(self, simulator: Running, text: str, **more: Any) -> Answer:
        return simulator.ask("ollama", "/api/chat", {"model": self.MODEL, "messages": messages(text), **more})

    def test_a_whole_answer(self, simulator: Running) -> None:
        answer = self.chat(simulator, "one two", stream=False).json
        assert answer["message"]["content"] == "Answer 1 from ollama (qwen2.5:3b)"
        assert (answer["done"], answer["prompt_eval_count"], answer["eval_count"]) == (True, 2, 5)

    def test_it_streams_lines_unless_told_otherwise(self, simulator: Running) -> None:
        answer = self.chat(simulator, "one two")
        assert answer.headers["content-type"] == "application/x-ndjson"
        *tokens, last = answer.lines
        assert "".join(line["message"]["content"] for line in tokens) == "Answer 1 from ollama (qwen2.5:3b)"
        assert [line["done"] for line in tokens] == [False] * 5
        assert (last["done"], last["prompt_eval_count"], last["eval_count"]) == (True, 2, 5)

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_tool_is_called(self, simulator: Running, stream: bool) -> None:
        answer = self.chat(simulator, CALL, tools=OPENAI_TOOLS, stream=stream)
        calls = [call["function"] for line in answer.lines for call in line["message"].get("tool_calls", [])]
        assert calls == [{"name": "get_weather", "arguments": BERN}]

    @pytest.mark.parametrize("stream", [False, True])
    def test_generate_answers_a_prompt(self, simulator: Running, stream: bool) -> None:
        answer = simulator.ask("ollama", "/api/generate", {"model": self.MODEL, "prompt": "one two", "stream": stream})
        assert "".join(line["response"] for line in answer.lines) == "Answer 1 from ollama (qwen2.5:3b)"
        assert answer.lines[-1]["eval_count"] == 5

    def test_embed_and_the_older_embeddings_agree(self, simulator: Running) -> None:
        new = simulator.ask("ollama", "/api/embed", {"model": self.MODEL, "input": ["a"]}).json["embeddings"][0]
        assert simulator.ask("ollama", "/api/embeddings", {"model": self.MODEL, "prompt": "a"}).json["embedding"] == new

    def test_a_pulled_model_is_listed_and_answers(self, simulator: Running) -> None:
        assert simulator.ask("ollama", "/api/generate", {"model": "neural-chat", "prompt": "hi"}).status == 404
        assert simulator.ask("ollama", "/api/pull", {"name": "neural-chat"}).lines[-1] == {"status": "success"}
        assert [entry["name"] for entry in simulator.get("ollama", "/api/tags").json["models"]] == [self.MODEL, "neural-chat:latest"]
        assert simulator.ask("ollama", "/api/generate", {"model": "neural-chat", "prompt": "hi"}).status == 200

    def test_a_model_is_shown(self, simulator: Running) -> None:
        assert "tools" in simulator.ask("ollama", "/api/show", {"name": self.MODEL}).json["capabilities"]
        assert simulator.ask("ollama", "/api/show", {"model": "none"}).json == {"error": "model 'none' not found"}

    def test_it_tells_what_runs_and_its_version(self, simulator: Running) -> None:
        assert simulator.get("ollama", "/").body == b"Ollama is running"
        assert simulator.get("ollama", "/api/ps").json["models"][0]["name"] == self.MODEL
        assert "version" in simulator.get("ollama", "/api/version").json

    def test_the_cloud_has_models_of_its_own(self, simulator: Running) -> None:
        names = [entry["name"] for entry in simulator.get("ollama.com", "/api/tags").json["models"]]
        assert names == ["kimi-k2.5", "minimax-m2.5", "qwen3-coder:480b"]


class TestGemini:
    HOST = "generativelanguage.googleapis.com"
    TOOLS = [{"function_declarations": [{"name": "get_weather", "parameters": PARAMETERS}]}]  # noqa: RUF012

    def ask(self, simulator: Running, method: str, text: str, **more: Any) -> Answer:
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}
        return simulator.ask(self.HOST, f"/v1beta/models/gemini-2.0-flash:{method}", body)

    def test_a_whole_answer(self, simulator: Running) -> None:
        answer = self.ask(simulator, "generateContent", "one two").json
        assert answer["candidates"][0]["content"]["parts"] == [{"text": f"Answer 1 from {self.HOST} (gemini-2.0-flash)"}]
        assert answer["candidates"][0]["finishReason"] == "STOP"
        usage = answer["usageMetadata"]
        assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["totalTokenCount"]) == (2, 5, 7)

    def test_a_stream(self, simulator: Running) -> None:
        events = self.ask(simulator, "streamGenerateContent?alt=sse", "one two").events
        text = "".join(part["text"] for event in events for part in event["candidates"][0]["content"]["parts"])
        assert text == f"Answer 1 from {self.HOST} (gemini-2.0-flash)"
        assert events[-1]["usageMetadata"]["totalTokenCount"] == 7

    @pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse"])
    def test_a_tool_is_called(self, simulator: Running, method: str) -> None:
        answer = self.ask(simulator, method, CALL, tools=self.TOOLS)
        answers = answer.events or [answer.json]
        calls = [part["functionCall"] for one in answers for part in one["candidates"][0]["content"]["parts"] if "functionCall" in part]
        assert calls == [{"name": "get_weather", "args": BERN}]

    def test_the_models_are_listed(self, simulator: Running) -> None:
        names = [entry["name"] for entry in simulator.get(self.HOST, "/v1beta/models").json["models"]]
        assert names == ["models/gemini-2.0-flash", "models/gemini-2.5-flash"]


class TestAnthropic:
    HOST = "api.anthropic.com"
    MODEL = "claude-opus-4-5"
    TOOLS = [{"name": "get_weather", "input_schema": PARAMETERS}]  # noqa: RUF012

    def ask(self, simulator: Running, content: Any, **more: Any) -> Answer:
        body = {"model": self.MODEL, "max_tokens": 99, "messages": [{"role": "user", "content": content}], **more}
        return simulator.ask(self.HOST, "/v1/messages", body)

    def test_a_subscriptions_token_counts_where_it_belongs_only(self, simulator: Running) -> None:
        token = "sk-ant-oat01-right"
        (simulator.keys / self.HOST).write_text(f"sk-ant-api03-right\n{token}\n")
        beta = {"anthropic-beta": "claude-code-20250219,oauth-2025-04-20"}
        as_bearer = {"Authorization": f"Bearer {token}"}
        statuses = [
            simulator.get(self.HOST, "/v1/models", headers).status
            for headers in ({**as_bearer, **beta}, as_bearer, {"x-api-key": token, **beta}, {"x-api-key": "sk-ant-api03-right"})
        ]
        assert statuses == [200, 401, 401, 200]

    def test_a_whole_answer(self, simulator: Running) -> None:
        answer = self.ask(simulator, "one two").json
        assert answer["content"] == [{"type": "text", "text": f"Answer 1 from {self.HOST} ({self.MODEL})"}]
        assert (answer["stop_reason"], answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == ("end_turn", 2, 5)

    def test_a_stream(self, simulator: Running) -> None:
        events = self.ask(simulator, "one two", stream=True).events
        kinds = [event["type"] for event in events]
        assert kinds[:2] == ["message_start", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
        assert text == f"Answer 1 from {self.HOST} ({self.MODEL})"
        assert events[0]["message"]["usage"]["input_tokens"] == 2
        assert events[-2]["usage"]["output_tokens"] == 5

    def test_a_tool_is_called_in_one_piece(self, simulator: Running) -> None:
        answer = self.ask(simulator, CALL, tools=self.TOOLS).json
        assert [(part["name"], part["input"]) for part in answer["content"]] == [("get_weather", BERN)]
        assert answer["stop_reason"] == "tool_use"

    def test_a_tools_arguments_come_in_parts_of_a_stream(self, simulator: Running) -> None:
        events = self.ask(simulator, CALL, tools=self.TOOLS, stream=True).events
        assert [event["content_block"]["name"] for event in events if event["type"] == "content_block_start"] == ["get_weather"]
        assert json.loads("".join(event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta")) == BERN

    def test_a_tools_result_gets_a_final_text(self, simulator: Running) -> None:
        answer = self.ask(simulator, [{"type": "tool_result", "tool_use_id": "x", "content": "12 degrees"}], tools=self.TOOLS).json
        assert answer["content"][0]["text"].endswith("with 1 tool result")

    def test_models_and_counts(self, simulator: Running) -> None:
        assert self.MODEL in [entry["id"] for entry in simulator.get(self.HOST, "/v1/models").json["data"]]
        assert simulator.ask(self.HOST, "/v1/messages/count_tokens", {"messages": messages("one two")}).json == {"input_tokens": 2}
