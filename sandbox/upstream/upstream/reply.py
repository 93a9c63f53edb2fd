# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to a question: its text says who answered, the rest follows from the question alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from upstream.faults import NONE, Fault
from upstream.prompt import Question, Tool, count_words


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the client's functions."""

    id: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def arguments_text(self) -> str:
        """The arguments as JSON."""
        return json.dumps(self.arguments)


@dataclass(frozen=True)
class Reply:
    """One whole answer and its timing, in seconds."""

    id: str  # host and number: every protocol builds its own identifiers from it
    model: str
    created: int
    words: tuple[str, ...] = ()  # the tokens: joined they are the text
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Literal["stop", "length", "tool_calls"] = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first: float = 0.0  # until the first token
    gap: float = 0.0  # between two tokens
    number: int = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.words)

    @property
    def duration(self) -> float:
        """How long a model needs for all of it."""
        return self.first + self.gap * max(0, len(self.words) + len(self.tool_calls) - 1)


def tokens_of(text: str) -> tuple[str, ...]:
    """Cut a text into its tokens: words with the white space that follows them."""
    return tuple(re.findall(r"\s*\S+\s*", text))


def example_of(schema: Any) -> Any:
    """Return a value for a JSON schema: its first enum value or default, else a plain one of its type."""
    if not isinstance(schema, Mapping):
        return "example"
    if schema.get("enum"):
        return schema["enum"][0]
    if "default" in schema:
        return schema["default"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else kind).lower()
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: example_of(properties.get(name)) for name in schema.get("required", properties)}
    return {"integer": 1, "number": 1.5, "boolean": True, "array": [], "null": None}.get(kind, "example")


def _call(host: str, number: int, index: int, tool: Tool, given: Mapping[str, Any] | None) -> ToolCall:
    arguments = given if given is not None else example_of({"type": "object", **tool.parameters})
    return ToolCall(f"call_{re.sub('[^A-Za-z0-9]', '', host)}{number}x{index}", tool.name, arguments)


def _words(question: Question, host: str, number: int, model: str) -> tuple[str, ...]:
    results = question.tool_results
    text = f"Answer {number} from {host} ({model})" + (f" with {results} tool result{'s' if results > 1 else ''}" if results else "")
    wanted = question.script.tokens
    if wanted is not None:
        known = text.split()
        text = " ".join([*known, *(f"t{index + 1}" for index in range(len(known), wanted))][:wanted])
    return tokens_of(json.dumps({"answer": text}) if question.wants_json else text)


def reply_to(question: Question, host: str, number: int, now: float, fault: Fault = NONE) -> Reply:
    """Return the answer number `number` of a host, made at the time `now`, as the fault lets it be."""
    script = question.script
    model = fault.answers_as if fault.kind == "wrong_model" else question.model
    rate = fault.tokens_per_second or script.rate
    calls = tuple(_call(host, number, index, tool, script.args) for index, tool in enumerate(question.called_tools))
    words = () if calls or fault.kind == "empty" else _words(question, host, number, model)
    limit = question.max_tokens
    is_cut = limit is not None and len(words) > limit
    words = words[:limit] if is_cut else words
    calls = () if fault.kind == "empty" else calls
    return Reply(
        id=f"{host}-{number}",
        model=model,
        created=int(now),
        words=words,
        tool_calls=calls,
        finish="tool_calls" if calls else "length" if is_cut else "stop",
        prompt_tokens=question.prompt_tokens,
        completion_tokens=len(words) + sum(1 + count_words(call.arguments_text) for call in calls),
        first=max(script.first or 0.0, fault.first_token if fault.kind == "slow" else 0.0),
        gap=1 / rate if rate else 0.0,
        number=number,
    )
