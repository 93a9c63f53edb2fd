# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Google's Gemini protocol: generateContent, streamGenerateContent and the list of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from upstream import errors
from upstream.errors import ErrorAnswer
from upstream.prompt import Question, Tool, Turn, objects, text_of, whole_number
from upstream.protocol import Dialect, Frames, Json, Looked, Provider, Route, bearer, sse
from upstream.reply import Reply

_FINISH = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}


def _either(body: Mapping[str, Any], *names: str) -> Any:
    """Return the first of several spellings of a field: Google takes camelCase and snake_case."""
    return next((body[name] for name in names if name in body), None)


def _turns(body: Mapping[str, Any]) -> Iterator[Turn]:
    system = _either(body, "systemInstruction", "system_instruction")
    if isinstance(system, Mapping):
        yield Turn("system", text_of(system.get("parts")))
    for content in objects(body.get("contents")):
        parts = objects(content.get("parts"))
        for part in parts:
            result = _either(part, "functionResponse", "function_response")
            if result is not None:
                yield Turn("tool", str(result.get("response", "")) if isinstance(result, Mapping) else "")
        if any("text" in part for part in parts):
            yield Turn("assistant" if content.get("role") == "model" else "user", text_of(parts))


def _tools(body: Mapping[str, Any]) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        for function in objects(_either(tool, "functionDeclarations", "function_declarations")):
            yield Tool(str(function.get("name")), _either(function, "parameters", "parametersJsonSchema") or {})


class Generate(Dialect):
    """`models/NAME:generateContent`, or with `stream` `models/NAME:streamGenerateContent?alt=sse`."""

    def __init__(self, stream: bool) -> None:
        """Answer in one piece or as a stream: the path tells, not the body."""
        self._stream = stream

    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:
        config = _either(body, "generationConfig", "generation_config") or {}
        tool_config = _either(body, "toolConfig", "tool_config") or {}
        calling = _either(tool_config, "functionCallingConfig", "function_calling_config") or {}
        mode = str(calling.get("mode", "")).upper()
        allowed = _either(calling, "allowedFunctionNames", "allowed_function_names") or [""]
        return Question(
            model=path["model"],
            stream=self._stream,
            turns=tuple(_turns(body)),
            tools=() if mode == "NONE" else tuple(_tools(body)),
            must_call=str(allowed[0]) if mode == "ANY" else None,
            max_tokens=whole_number(_either(config, "maxOutputTokens", "max_output_tokens")),
            wants_json=_either(config, "responseMimeType", "response_mime_type") == "application/json",
        )

    def whole(self, reply: Reply, question: Question) -> Json:  # noqa: ARG002
        return self._answer(
            reply, [*([{"text": reply.text}] if reply.words else []), *self._calls(reply)], reply.completion_tokens, finish=True
        )

    def frames(self, reply: Reply, question: Question) -> Frames:  # noqa: ARG002
        parts: list[Json] = [{"text": word} for word in reply.words] + self._calls(reply)
        tokens = [sse(self._answer(reply, [part], index), end="\r\n\r\n") for index, part in enumerate(parts, 1)]
        closing = sse(self._answer(reply, [{"text": ""}], reply.completion_tokens, finish=True), end="\r\n\r\n")
        return Frames((), tuple(tokens), (closing,))

    def error_event(self, error: ErrorAnswer) -> bytes:
        return b"data: " + error.body + b"\r\n\r\n"

    @staticmethod
    def _calls(reply: Reply) -> list[Json]:
        return [{"functionCall": {"name": call.name, "args": call.arguments}} for call in reply.tool_calls]

    @staticmethod
    def _answer(reply: Reply, parts: list[Json], completion: int, finish: bool = False) -> Json:
        candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = _FINISH[reply.finish]
        usage = {
            "promptTokenCount": reply.prompt_tokens,
            "candidatesTokenCount": completion,
            "totalTokenCount": reply.prompt_tokens + completion,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": reply.prompt_tokens}],
        }
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": reply.model, "responseId": reply.id}


def _model(model: str) -> Json:
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model,
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 8192,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def _list(looked: Looked) -> Json:
    return {"models": [_model(model) for model in looked.models]}


def _show(looked: Looked) -> Json | ErrorAnswer:
    model = looked.path["model"]
    return _model(model) if model in looked.models else looked.style.of_words(looked.style.unknown_model, model)


def _credential(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    return headers.get("x-goog-api-key") or query.get("key") or bearer(headers)


GEMINI = Provider(
    "gemini",
    (
        Route("POST", "/v1beta/models/{model:[^:/]+}:generateContent", "chat", Generate(stream=False)),
        Route("POST", "/v1beta/models/{model:[^:/]+}:streamGenerateContent", "chat", Generate(stream=True)),
        Route("GET", "/v1beta/models", "models", _list),
        Route("GET", "/v1beta/models/{model:[^:/]+}", "models", _show),
    ),
    errors.GEMINI,
    _credential,
    ("gemini-2.0-flash", "gemini-2.5-flash"),
)
