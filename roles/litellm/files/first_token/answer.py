# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One chat.completion out of the chunks of a stream.

LiteLLM has such a function, `stream_chunk_builder`, but it loses logprobs and mixes several choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from first_token.progress import choices_of

Json = dict[str, Any]

#: Told once, though a server may repeat them in each chunk. All other texts are parts to be joined.
_TOLD_ONCE = ("role", "id", "type", "name")


class Answer:
    """The answer as far as it has come. Chunks are not kept: a long one has tens of thousands, of more than a kilobyte each."""

    def __init__(self) -> None:
        """Begin an answer."""
        self._top: Json = {}
        self._choices: dict[int, Json] = {}

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Add what a chunk says."""
        self._top |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for part in choices_of(chunk):
            index = part.get("index") or 0
            _add_part(self._choices.setdefault(index, {"index": index, "message": {"role": "assistant"}, "finish_reason": None}), part)

    def whole(self) -> Json:
        """Return the answer; nothing is to be added after that."""
        return self._top | {"object": "chat.completion", "choices": [_finished(self._choices[index]) for index in sorted(self._choices)]}


def _add_part(choice: Json, part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        if name == "delta":
            _add(choice["message"], value or {})
        elif name in ("index", "finish_reason") or not isinstance(value, dict | list):
            if value is not None:
                choice[name] = value
        else:  # logprobs, token_ids
            _add(choice, {name: value})


def _add(to: Json, delta: Mapping[str, Any]) -> None:
    """Add what is new: texts and lists grow, tool calls are matched, all else is set."""
    for name, value in delta.items():
        had = to.get(name)
        if value is None:
            continue
        if isinstance(value, str):
            to[name] = (had or value) if name in _TOLD_ONCE else (had or "") + value
        elif isinstance(value, Mapping):
            to[name] = had if isinstance(had, dict) else {}
            _add(to[name], value)
        elif isinstance(value, list):
            to[name] = had if isinstance(had, list) else []
            _extend(to[name], value, matched=name == "tool_calls")
        else:
            to[name] = value


def _extend(to: list[Any], new: list[Any], matched: bool) -> None:
    for item in new:
        if not isinstance(item, Mapping) or not (matched or "index" in item):
            to.append(item)
            continue
        same = _same(to, item)
        if same is None:
            same = {}
            to.append(same)
        _add(same, item)


def _same(to: list[Any], item: Mapping[str, Any]) -> Json | None:
    """Return what this is a further part of: by its index, or where a server leaves that out, by its id."""
    name = "index" if item.get("index") is not None else "id"
    for had in reversed(to):
        if isinstance(had, dict) and had.get(name) == item.get(name):
            return None if _begins_another(had, item) else had
    # Neither index nor id: more of the last one.
    return to[-1] if to and item.get(name) is None else None


def _begins_another(had: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether a call is another one in spite of its index.

    Ollama counts all calls as 0 (ollama/ollama#15457), each with an id and a name. An id alone says nothing: there are servers that give
    each part of a call one of its own.
    """
    named = isinstance(item.get("function"), Mapping) and item["function"].get("name")
    return bool(named and had.get("id") and item.get("id") and had["id"] != item["id"])


def _finished(choice: Json) -> Json:
    message = choice["message"]
    calls = message.pop("tool_calls", [])
    if calls:
        ordered = sorted(calls, key=lambda call: call.get("index") or 0)
        message["tool_calls"] = [{"type": "function", **call} for call in ordered]
        for call in message["tool_calls"]:
            call.pop("index", None)
    # A stream begins with an empty text, an answer that only calls tools has none.
    message["content"] = message.get("content") or (None if calls or "content" not in message else "")
    return choice
