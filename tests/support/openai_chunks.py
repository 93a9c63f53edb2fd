# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks as vLLM sends them."""

from __future__ import annotations

import json
from typing import Any

BASE = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "qwen"}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A chunk with one choice; `more` are other fields of that choice."""
    return {**BASE, "choices": [{"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish, **more}]}


def event(data: dict[str, Any] | str) -> bytes:
    """The bytes of one event."""
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


ROLE = chunk({"role": "assistant", "content": ""})
WORD = chunk({"content": "word"})
STOP = chunk({}, "stop")
USAGE = {**BASE, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
DONE = event("[DONE]")
