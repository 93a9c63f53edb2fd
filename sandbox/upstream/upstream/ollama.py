# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ollama's own protocol: chat, generate and embed as lines of JSON, and the list of models, which a pull adds to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from upstream import errors, openai
from upstream.errors import ErrorAnswer, ErrorStyle
from upstream.prompt import Question, Turn, model_of, text_of, whole_number
from upstream.protocol import Dialect, Frames, Json, Looked, Provider, Route, bearer
from upstream.reply import Reply, tokens_of

#: Ollama's OpenAI endpoints word their errors as OpenAI does.
_OPENAI_STYLE = ErrorStyle(
    envelope=errors.OPENAI.envelope,
    by_status=errors.OLLAMA.by_status,
    no_key=errors.OLLAMA.no_key,
    wrong_key=errors.OLLAMA.wrong_key,
    unknown_model=errors.OLLAMA.unknown_model,
    other_type="api_error",
    gateway="nginx",
)


def time_stamp(seconds: float) -> str:
    """Return a time as Ollama writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def same_model(name: str) -> str:
    """Return a model's name with its tag, which is `latest` when it has none."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _line(data: Json) -> bytes:
    return json.dumps(data).encode() + b"\n"


class _Lines(Dialect):
    """What chat and generate share: one JSON object a line, the last with `done` and the counts."""

    stream_type = "application/x-ndjson"

    def content(self, text: str, reply: Reply | None = None) -> Json:
        """Return the part of a line that holds text, or the tool calls of a reply."""
        raise NotImplementedError

    def whole(self, reply: Reply, question: Question) -> Json:
        return {**self._base(reply), **self.content(self.text(reply, question), reply), **self._end(reply)}

    def frames(self, reply: Reply, question: Question) -> Frames:
        base = self._base(reply)
        words = tokens_of(self.text(reply, question))
        tokens = [_line({**base, **self.content(word), "done": False}) for word in words]
        if reply.tool_calls and not words:
            tokens.append(_line({**base, **self.content("", reply), "done": False}))
        return Frames((), tuple(tokens), (_line({**base, **self.content(""), **self._end(reply)}),))

    def error_event(self, error: ErrorAnswer) -> bytes:
        return error.body + b"\n"

    def text(self, reply: Reply, question: Question) -> str:  # noqa: ARG002
        """Return the text of the answer."""
        return reply.text

    def question_of(self, body: Mapping[str, Any], turns: tuple[Turn, ...]) -> Question:
        """Return the question of a request with these messages."""
        options = body.get("options")
        return Question(
            model=model_of(body),
            stream=body.get("stream") is not False,  # Ollama streams unless told not to
            turns=turns,
            tools=openai.tools_of(body.get("tools")),
            max_tokens=whole_number(options.get("num_predict")) if isinstance(options, Mapping) else None,
            wants_json=bool(body.get("format")),
        )

    @staticmethod
    def _base(reply: Reply) -> Json:
        return {"model": reply.model, "created_at": time_stamp(reply.created)}

    @staticmethod
    def _end(reply: Reply) -> Json:
        nanoseconds = int(reply.duration * 1e9)
        return {
            "done": True,
            "done_reason": "length" if reply.finish == "length" else "stop",
            "total_duration": nanoseconds,
            "load_duration": 0,
            "prompt_eval_count": reply.prompt_tokens,
            "prompt_eval_duration": int(reply.first * 1e9),
            "eval_count": reply.completion_tokens,
            "eval_duration": nanoseconds - int(reply.first * 1e9),
        }


class Chat(_Lines):
    """`/api/chat`."""

    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:  # noqa: ARG002
        return self.question_of(body, openai.turns_of(body.get("messages")))

    def content(self, text: str, reply: Reply | None = None) -> Json:
        calls = reply.tool_calls if reply else ()
        message: Json = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [{"function": {"name": call.name, "arguments": call.arguments}} for call in calls]
        return {"message": message}


class Generate(_Lines):
    """`/api/generate`: a prompt instead of messages, and no tools.

    LiteLLM's `ollama/` models write the tools into the prompt and ask for JSON; the script's tool is then answered as the JSON object
    that such a prompt asks for.
    """

    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:  # noqa: ARG002
        turns = (Turn("system", text_of(body.get("system"))), Turn("user", text_of(body.get("prompt"))))
        return self.question_of({**body, "tools": None}, turns)

    def content(self, text: str, reply: Reply | None = None) -> Json:  # noqa: ARG002
        return {"response": text}

    def text(self, reply: Reply, question: Question) -> str:
        script = question.script
        if not (question.wants_json and script.tools):
            return reply.text
        offered = re.findall(r"""['"]name['"]: ['"]([\w-]+)['"]""", question.turns[-1].text)
        name = script.tools[0] or (offered[0] if offered else "")
        return json.dumps({"name": name, "arguments": script.args or {}})


class Embed(Dialect):
    """`/api/embed`, and the older `/api/embeddings` with one text."""

    def __init__(self, single: bool = False) -> None:
        """Speak the older form when `single`."""
        self._single = single

    def question(self, body: Mapping[str, Any], path: Mapping[str, str]) -> Question:
        return openai.Embeddings().question({**body, "input": body.get("prompt" if self._single else "input", "")}, path)

    def whole(self, reply: Reply, question: Question) -> Json:
        vectors = [openai.vector_of(text, question.dimensions) for text in question.texts]
        if self._single:
            return {"embedding": vectors[0] if vectors else []}
        return {
            "model": reply.model,
            "embeddings": vectors,
            "total_duration": 0,
            "load_duration": 0,
            "prompt_eval_count": reply.prompt_tokens,
        }


def _details(model: str) -> Json:
    size = model.rpartition(":")[2].upper()
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.partition(":")[0],
        "families": None,
        "parameter_size": size,
        "quantization_level": "Q4_K_M",
    }


def _tag(looked: Looked, model: str) -> Json:
    digest = hashlib.sha256(model.encode()).hexdigest()
    return {
        "name": model,
        "model": model,
        "modified_at": time_stamp(looked.now),
        "size": 1929912432,
        "digest": digest,
        "details": _details(model),
    }


def _tags(looked: Looked) -> Json:
    return {"models": [_tag(looked, model) for model in looked.models]}


def _running(looked: Looked) -> Json:
    expiry = {"expires_at": time_stamp(looked.now + 300), "size_vram": 0}
    return {"models": [{**_tag(looked, model), **expiry} for model in looked.models[:1]]}


def _show(looked: Looked) -> Json | ErrorAnswer:
    model = looked.body.get("model") or looked.body.get("name")
    if not isinstance(model, str) or same_model(model) not in map(same_model, looked.models):
        return looked.style.of_words(looked.style.unknown_model, str(model or ""))
    info = {"general.architecture": "qwen2", "qwen2.context_length": 32768}
    template = "{{ if .Tools }}{{ .Tools }}{{ end }}{{ .Prompt }}"
    return {
        "template": template,
        "details": _details(model),
        "model_info": info,
        "capabilities": ["completion", "tools"],
        "modified_at": time_stamp(looked.now),
    }


def _pull(looked: Looked) -> Json | bytes | ErrorAnswer:
    model = looked.body.get("model") or looked.body.get("name")
    if not isinstance(model, str) or not re.fullmatch(r"[\w./:-]+", model):
        return looked.style.custom(400, {"error": "invalid model name"})
    if same_model(model) not in map(same_model, looked.models):
        looked.models.append(same_model(model))
    if looked.body.get("stream") is False:
        return {"status": "success"}
    digest = hashlib.sha256(model.encode()).hexdigest()
    layer = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": 100, "completed": 100}
    return b"".join(
        _line(part) for part in ({"status": "pulling manifest"}, layer, {"status": "verifying sha256 digest"}, {"status": "success"})
    )


def _credential(headers: Mapping[str, str], _query: Mapping[str, str]) -> str:
    return bearer(headers)


OLLAMA = Provider(
    "ollama",
    (
        Route("POST", "/api/chat", "chat", Chat()),
        Route("POST", "/api/generate", "generate", Generate()),
        Route("POST", "/api/embed", "embeddings", Embed()),
        Route("POST", "/api/embeddings", "embeddings", Embed(single=True)),
        # As at ollama.com, the list of models needs no key: it proves nothing about one.
        Route("GET", "/api/tags", "models", _tags, needs_key=False),
        Route("POST", "/api/show", "show", _show, needs_key=False),
        Route("POST", "/api/pull", "pull", _pull),
        Route("GET", "/api/ps", "running", _running),
        Route("GET", "/api/version", "version", lambda _looked: {"version": "0.13.5"}, needs_key=False),
        Route("GET", "/", "health", lambda _looked: "Ollama is running", needs_key=False),
        *openai.routes("/v1", style=_OPENAI_STYLE),
    ),
    errors.OLLAMA,
    _credential,
    ("qwen2.5:3b",),
    same_model=same_model,
)
CLOUD_MODELS = ("kimi-k2.5", "minimax-m2.5", "qwen3-coder:480b")
