# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of a request for a chat completion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: What vLLM and OpenAI refuse in a stream, or leave out of it. Such a request goes to the backend as its client wrote it.
NEVER_STREAMED = ("prompt_logprobs", "use_beam_search", "audio")


@dataclass(frozen=True)
class Question:
    """What a client asked for."""

    body: Mapping[str, Any]

    @property
    def streams(self) -> bool:
        """Whether the client asked for a stream itself."""
        return bool(self.body.get("stream"))

    @property
    def can_stream(self) -> bool:
        """Whether the answer can be had as a stream at all."""
        return not any(self.body.get(name) for name in NEVER_STREAMED)

    @property
    def offers_tools(self) -> bool:
        """Whether the answer may be a call of a tool."""
        return bool(self.body.get("tools") or self.body.get("functions"))

    def as_stream(self) -> bytes:
        """Return the body that asks for the same as a stream, with the usage that a whole answer would tell."""
        options = {**(self.body.get("stream_options") or {}), "include_usage": True}
        # ASCII, so that half a surrogate pair, which clients that cut texts send, stays what it was: as UTF-8 there is no such thing.
        return json.dumps({**self.body, "stream": True, "stream_options": options}).encode()


def read(content: bytes) -> Question | None:
    """Return the question in the body of a request, None when it holds none."""
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return Question(body) if isinstance(body, Mapping) else None
