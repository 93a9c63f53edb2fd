# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAI protocol, as vLLM, OpenAI, Groq, Mistral and Ollama speak it: chat completions, embeddings, models."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from upstream import errors
from upstream.errors import ErrorAnswer
from upstream.prompt import Question, Role, Tool, Turn, model_of, objects, text_of, whole_number
from upstream.protocol import Dialect, Frames, Json, Looked, Provider, Route, bearer, sse
from upstream.reply import Reply

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "assistant": "assistant", "tool": "tool", "function": "tool"}
#: When a stream tells the usage: only if asked for, always in the last chunk, or as Groq does, both.
UsageStyle = Literal["asked", "last", "groq"]


def turns_of(messages: Any) -> tuple[Turn, ...]:
    """Return the messages of a conversation in OpenAI's form."""
    return tuple(Turn(_ROLES.get(str(message.get("role")), "user"), text_of(message.get("content"))) for message in objects(messages))


def tools_of(tools: Any) -> tuple[Tool, ...]:
    """Return the functions in a list of tools in OpenAI's form."""
    functions = [tool.get("function") for tool in objects(tools)]
    return tuple(Tool(str(function.get("name")), function.get("parameters") or {}) for function in objects(functions))


def usage_of(reply: Reply) -> Json:
    """Return the tokens used, in OpenAI's form."""
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


def _forced_tool(choice: Any) -> str | None:
    if isinstance(choice, Mapping):
        function = choice.get("function")
        return str(function.get("name", "")) if isinstance(function, Mapping) else ""
    return "" if choice in ("required", "any") else None


class Chat(Dialect):
    """`chat/completions`."""

    def __init__(self, usage: UsageStyle = "asked") -> None:
        """Tell the usage in streams in the provider's way."""
        self._usage = usage

    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:  # noqa: ARG002
        options = body.get("stream_options")
        form = body.get("response_format")
        return Question(
            model=model_of(body),
            stream=body.get("stream") is True,
            turns=turns_of(body.get("messages")),
            tools=() if body.get("tool_choice") == "none" else tools_of(body.get("tools")),
            must_call=_forced_tool(body.get("tool_choice")),
            max_tokens=whole_number(body.get("max_completion_tokens")) or whole_number(body.get("max_tokens")),
            wants_usage=isinstance(options, Mapping) and options.get("include_usage") is True,
            wants_json=isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema"),
        )

    def whole(self, reply: Reply, question: Question) -> Json:  # noqa: ARG002
        message: Json = {"role": "assistant", "content": None if reply.tool_calls else reply.text}
        if reply.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_text}}
                for call in reply.tool_calls
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
        answer: Json = {**self._base(reply, "chat.completion"), "choices": [choice], "usage": usage_of(reply)}
        if self._usage == "groq":  # LiteLLM 1.106.2 fails on a Groq answer without its service tier
            answer |= {"service_tier": "on_demand", "x_groq": {"id": f"req_{reply.id}"}}
        return answer

    def frames(self, reply: Reply, question: Question) -> Frames:
        base = self._base(reply, "chat.completion.chunk")

        def chunk(delta: Json, finish: str | None = None, **more: Any) -> bytes:
            return sse({**base, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more})

        more: Json = {}
        if self._usage == "last":
            more["usage"] = usage_of(reply)
        elif self._usage == "groq":
            more["x_groq"] = {"id": f"req_{reply.id}", "usage": usage_of(reply)}
        closing = [chunk({}, reply.finish, **more)]
        if question.wants_usage and self._usage != "last":
            closing.append(sse({**base, "choices": [], "usage": usage_of(reply)}))
        closing.append(b"data: [DONE]\n\n")
        tokens = [chunk({"content": word}) for word in reply.words]
        tokens += [
            b"".join(chunk({"tool_calls": [part]}) for part in self._call_parts(reply, index)) for index in range(len(reply.tool_calls))
        ]
        return Frames((chunk({"role": "assistant", "content": ""}),), tuple(tokens), tuple(closing))

    def error_event(self, error: ErrorAnswer) -> bytes:
        return sse(json.loads(error.body)) + b"data: [DONE]\n\n"

    @staticmethod
    def _base(reply: Reply, kind: str) -> Json:
        return {"id": f"chatcmpl-{reply.id}", "object": kind, "created": reply.created, "model": reply.model}

    @staticmethod
    def _call_parts(reply: Reply, index: int) -> Iterator[Json]:
        call = reply.tool_calls[index]
        yield {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        # Real servers cut the arguments anywhere, so a client has to join them.
        middle = len(call.arguments_text) // 2
        for part in (call.arguments_text[:middle], call.arguments_text[middle:]):
            yield {"index": index, "function": {"arguments": part}}


def vector_of(text: str, dimensions: int) -> list[float]:
    """Return the embedding of a text: numbers from -1 to 1 that depend on nothing else."""
    digest = hashlib.shake_128(text.encode()).digest(dimensions * 2)
    return [number / 32768 for number in struct.unpack(f">{dimensions}h", digest)]


class Embeddings(Dialect):
    """`embeddings`."""

    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:  # noqa: ARG002
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        return Question(
            model=model_of(body),
            texts=tuple(text if isinstance(text, str) else json.dumps(text) for text in texts),
            wants_base64=body.get("encoding_format") == "base64",
            dimensions=min(whole_number(body.get("dimensions")) or 8, 4096),
        )

    def whole(self, reply: Reply, question: Question) -> Json:
        data = []
        for index, text in enumerate(question.texts):
            vector: Any = vector_of(text, question.dimensions)
            if question.wants_base64:
                vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            data.append({"object": "embedding", "index": index, "embedding": vector})
        return {
            "object": "list",
            "data": data,
            "model": reply.model,
            "usage": {"prompt_tokens": reply.prompt_tokens, "total_tokens": reply.prompt_tokens},
        }


def list_models(looked: Looked) -> Json:
    """Answer `GET models`."""
    return {"object": "list", "data": [_model(looked, model) for model in looked.models]}


def show_model(looked: Looked) -> Json | ErrorAnswer:
    """Answer `GET models/NAME`."""
    model = looked.path["model"]
    return _model(looked, model) if model in looked.models else looked.style.of_words(looked.style.unknown_model, model)


def _model(looked: Looked, model: str) -> Json:
    return {"id": model, "object": "model", "created": int(looked.now), "owned_by": looked.host}


def routes(prefix: str, usage: UsageStyle = "asked", style: errors.ErrorStyle | None = None) -> tuple[Route, ...]:
    """Return the endpoints of the protocol below a path."""
    return (
        Route("POST", f"{prefix}/chat/completions", "chat", Chat(usage), style=style),
        Route("POST", f"{prefix}/embeddings", "embeddings", Embeddings(), style=style),
        Route("GET", f"{prefix}/models", "models", list_models, style=style),
        Route("GET", f"{prefix}/models/{{model:.+}}", "models", show_model, style=style),
    )


def _credential(headers: Mapping[str, str], _query: Mapping[str, str]) -> str:
    return bearer(headers)


OPENAI = Provider("openai", routes("/v1"), errors.OPENAI, _credential, ("gpt-4o-mini", "gpt-4-turbo", "text-embedding-3-small"))
GROQ = Provider("groq", routes("/openai/v1", "groq"), errors.GROQ, _credential, ("llama-3.3-70b-versatile", "mixtral-8x7b-32768"))
MISTRAL = Provider("mistral", routes("/v1", "last"), errors.MISTRAL, _credential, ("mistral-small-latest",))
VLLM = Provider(
    "vllm",
    (
        *routes("/v1"),
        Route("GET", "/health", "health", lambda _looked: "", needs_key=False),
        Route("GET", "/ping", "health", lambda _looked: "", needs_key=False),
        Route("GET", "/version", "version", lambda _looked: {"version": "0.11.0"}, needs_key=False),
    ),
    errors.VLLM,
    _credential,
    ("Qwen/Qwen2.5-7B-Instruct-AWQ", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "ibm-granite/granite-docling-258M"),
    headers_first=True,
)
