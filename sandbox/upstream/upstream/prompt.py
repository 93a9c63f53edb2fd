# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request asks for, whatever the protocol it came by, and the script that its prompt may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
#: The largest number in a script: more tokens than any model's answer has.
MOST = 1_000_000
_WORD = re.compile(r"\s*(tokens|rate|first|tool|args)(?:=|(?=[\s\]]))")
_VALUE = re.compile(r"[^\s\]]+")


class BadRequestError(Exception):
    """The request cannot be understood; the text goes into the provider's own error body."""


@dataclass(frozen=True)
class Turn:
    """One message of the conversation, as text."""

    role: Role
    text: str


@dataclass(frozen=True)
class Tool:
    """A function that the client offers; `parameters` is a JSON schema."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Script:
    """How to answer, as in `[tokens=40 rate=10 first=0.5]` or `[tool=get_weather args={"city": "Bern"}]`."""

    tokens: int | None = None
    rate: float | None = None  # tokens per second
    first: float | None = None  # seconds before the first token
    tools: tuple[str, ...] = ()  # an empty name stands for the first tool offered
    args: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Question:
    """A request for an answer. `must_call` is a tool's name, empty for any tool, None when the model is free."""

    model: str
    stream: bool = False
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    must_call: str | None = None
    max_tokens: int | None = None
    wants_usage: bool = True
    wants_json: bool = False
    texts: tuple[str, ...] = ()  # what to embed, when the request is for embeddings
    wants_base64: bool = False
    dimensions: int = 8

    @property
    def prompt_tokens(self) -> int:
        """The words of all messages (or of all texts to embed)."""
        return sum(count_words(text) for text in (*(turn.text for turn in self.turns), *self.texts))

    @property
    def script(self) -> Script:
        """The last script in the last message of the user."""
        return script_in(next((turn.text for turn in reversed(self.turns) if turn.role == "user"), ""))

    @property
    def tool_results(self) -> int:
        """How many results of tools the conversation ends with."""
        return len(list(takewhile(lambda turn: turn.role == "tool", reversed(self.turns))))

    @property
    def called_tools(self) -> tuple[Tool, ...]:
        """The tools that the answer calls: those of the script, or the one that is forced; none after a tool's result.

        A tool is never called for another reason, since real clients offer tools with every request.
        """
        if not self.tools or self.tool_results:
            return ()
        offered = {tool.name: tool for tool in self.tools}
        names = self.script.tools or (() if self.must_call is None else (self.must_call,))
        return tuple(offered[name or self.tools[0].name] for name in names if not name or name in offered)


def count_words(text: str) -> int:
    """Return the tokens of a text: its words, divided by white space."""
    return len(text.split())


def text_of(content: Any) -> str:
    """Return the text of a message's content: a text, or a list of parts of which those with a text count."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part if isinstance(part, str) else text_of(part.get("text")) for part in content if isinstance(part, (str, dict)))
    return ""


def model_of(body: Mapping[str, Any], name: str = "model") -> str:
    """Return the model that a request body names."""
    model = body.get(name)
    if not isinstance(model, str) or not model:
        raise BadRequestError("you must provide a model parameter")
    return model


def objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the JSON objects in a JSON list, and none when it is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def whole_number(value: Any) -> int | None:
    """Return the value when it is a whole number above 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def script_in(text: str) -> Script:
    """Return the last script in a text. What only looks like one is ordinary text."""
    for start in reversed([match.start() for match in re.finditer(r"\[(?=\s*(?:tokens|rate|first|tool|args)\b)", text)]):
        script = _script_at(text, start + 1)
        if script:
            return script
    return Script()


def _script_at(text: str, place: int) -> Script | None:
    found: dict[str, Any] = {}
    tools: list[str] = []
    try:
        while not re.compile(r"\s*\]").match(text, place):
            word = _WORD.match(text, place)
            if not word:
                return None
            name, place = word.group(1), word.end()
            if name == "args":
                found[name], place = json.JSONDecoder().raw_decode(text, place)
                continue
            value = _VALUE.match(text, place) if text[place - 1] == "=" else None
            place = value.end() if value else place
            given = value.group() if value else ""
            if name == "tool":
                tools.append(given)
            else:
                found[name] = int(given) if name == "tokens" else float(given)
                if not 0 <= found[name] <= MOST:
                    return None
    except ValueError:
        return None
    if not isinstance(found.get("args", {}), dict):
        return None
    return Script(tools=tuple(tools), **found)
