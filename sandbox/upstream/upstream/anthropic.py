# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Anthropic's Messages protocol, with an API key (x-api-key) or a subscription's token (Bearer)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from upstream import errors
from upstream.errors import ErrorAnswer
from upstream.prompt import Question, Tool, Turn, model_of, objects, text_of, whole_number
from upstream.protocol import Dialect, Frames, Json, Looked, Provider, Route, bearer, sse
from upstream.reply import Reply

_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}

#: What `claude setup-token` makes, and the beta without which the API takes none.
_TOKEN, _TOKEN_BETA = "sk-ant-oat", "oauth-2025-04-20"


def _turns(body: Mapping[str, Any]) -> Iterator[Turn]:
    if body.get("system"):
        yield Turn("system", text_of(body["system"]))
    for message in objects(body.get("messages")):
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)
        for part in parts:
            if part.get("type") == "tool_result":
                yield Turn("tool", text_of(part.get("content")))
        texts = [part for part in parts if part.get("type") == "text"]
        if texts:
            yield Turn("assistant" if message.get("role") == "assistant" else "user", text_of(texts))


def _forced_tool(choice: Any) -> str | None:
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    return str(choice.get("name", "")) if kind == "tool" else "" if kind == "any" else None


class Messages(Dialect):
    """`/v1/messages`."""

    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:  # noqa: ARG002
        choice = body.get("tool_choice")
        tools = tuple(Tool(str(tool.get("name")), tool.get("input_schema") or {}) for tool in objects(body.get("tools")))
        return Question(
            model=model_of(body),
            stream=body.get("stream") is True,
            turns=tuple(_turns(body)),
            tools=() if isinstance(choice, Mapping) and choice.get("type") == "none" else tools,
            must_call=_forced_tool(choice),
            max_tokens=whole_number(body.get("max_tokens")),
        )

    def whole(self, reply: Reply, question: Question) -> Json:  # noqa: ARG002
        content: list[Json] = [{"type": "text", "text": reply.text}] if reply.words else []
        content += [
            {"type": "tool_use", "id": self._call_id(call.id), "name": call.name, "input": call.arguments} for call in reply.tool_calls
        ]
        return self._message(reply, content, reply.completion_tokens, _FINISH[reply.finish])

    def frames(self, reply: Reply, question: Question) -> Frames:  # noqa: ARG002
        def event(kind: str, **data: Any) -> bytes:
            return sse({"type": kind, **data}, event=kind)

        def delta(index: int, kind: str, **data: Any) -> bytes:
            return event("content_block_delta", index=index, delta={"type": kind, **data})

        opening = [event("message_start", message=self._message(reply, [], 1, None)), event("ping")]
        tokens = [delta(0, "text_delta", text=word) for word in reply.words]
        closing = []
        if reply.words:
            opening.insert(1, event("content_block_start", index=0, content_block={"type": "text", "text": ""}))
            closing.append(event("content_block_stop", index=0))
        for index, call in enumerate(reply.tool_calls):
            block = {"type": "tool_use", "id": self._call_id(call.id), "name": call.name, "input": {}}
            middle = len(call.arguments_text) // 2
            parts = [
                delta(index, "input_json_delta", partial_json=part) for part in (call.arguments_text[:middle], call.arguments_text[middle:])
            ]
            tokens.append(
                b"".join([event("content_block_start", index=index, content_block=block), *parts, event("content_block_stop", index=index)])
            )
        end = {"stop_reason": _FINISH[reply.finish], "stop_sequence": None}
        closing.append(event("message_delta", delta=end, usage={"output_tokens": reply.completion_tokens}))
        closing.append(event("message_stop"))
        return Frames(tuple(opening), tuple(tokens), tuple(closing))

    def error_event(self, error: ErrorAnswer) -> bytes:
        return sse(json.loads(error.body), event="error")

    @staticmethod
    def _call_id(name: str) -> str:
        return f"toolu_{name.removeprefix('call_')}"

    @staticmethod
    def _message(reply: Reply, content: list[Json], completion: int, stop: str | None) -> Json:
        usage = {
            "input_tokens": reply.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": completion,
        }
        return {
            "id": f"msg_{reply.id}",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": usage,
        }


def _count(looked: Looked) -> Json:
    return {"input_tokens": Messages().question({"model": "any", **looked.body}, {}).prompt_tokens}


def _model(model: str) -> Json:
    return {"type": "model", "id": model, "display_name": model, "created_at": "2025-11-24T00:00:00Z"}


def _list(looked: Looked) -> Json:
    ends = {"first_id": looked.models[0], "last_id": looked.models[-1]} if looked.models else {"first_id": None, "last_id": None}
    return {"data": [_model(model) for model in looked.models], "has_more": False, **ends}


def _show(looked: Looked) -> Json | ErrorAnswer:
    model = looked.path["model"]
    return _model(model) if model in looked.models else looked.style.of_words(looked.style.unknown_model, model)


def _credential(headers: Mapping[str, str], _query: Mapping[str, str]) -> str:
    """A subscription's token counts where it belongs only: as Bearer, with the beta that allows it."""
    found = headers.get("x-api-key") or bearer(headers)
    in_place = found == bearer(headers) and _TOKEN_BETA in headers.get("anthropic-beta", "")
    return "" if found.startswith(_TOKEN) and not in_place else found


ANTHROPIC = Provider(
    "anthropic",
    (
        Route("POST", "/v1/messages", "chat", Messages()),
        Route("POST", "/v1/messages/count_tokens", "count_tokens", _count),
        Route("GET", "/v1/models", "models", _list),
        Route("GET", "/v1/models/{model}", "models", _show),
    ),
    errors.ANTHROPIC,
    _credential,
    ("claude-opus-4-5", "claude-opus-5"),
    headers_first=True,
)
