# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Bounds on the first token that could not work: what the callback of the role litellm refuses at LiteLLM's start, told before that.

The same rules as roles/litellm/files/first_token/{bounds,declared}.py, which runs in LiteLLM and cannot be imported here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm.deployment import FIRST_TOKEN, WATCHABLE, number, provider_of, watches

_BOUNDS = ("first_token_timeout", "gap_timeout", "connect_timeout")


def find_problems(entry: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the bounds of an entry, so wrong that LiteLLM would not start with `data`."""
    info = entry.get("model_info") or {}
    if not watches(data):
        return
    first, params = info.get("first_token_timeout"), entry["litellm_params"]
    unwatched = first is None or (_is_seconds(first) and first == 0)
    # Connecting is bounded without the others too.
    names = _BOUNDS[2:] if unwatched else _BOUNDS
    wrong = [name for name in names if info.get(name) is not None and not _is_seconds(info[name])]
    if wrong:
        yield from (f"has model_info.{name} {info[name]!r}: write a number of seconds, 0 or more" for name in wrong)
        return
    for name in names:
        if name != "first_token_timeout" and info.get(name) == 0:
            yield f"has model_info.{name} 0: write more than 0 seconds, or leave it out for the default"
    if first is None or first == 0:
        return
    if provider_of(params) != WATCHABLE and ("custom_llm_provider" in params or "/" in params["model"]):
        yield (
            f"has model_info.first_token_timeout, which has no effect on '{params['model']}': only {WATCHABLE}/ models can be watched. If "
            f"the server speaks OpenAI's protocol (vLLM and Ollama do, below /v1), write {WATCHABLE}/, else take the setting out"
        )
    timeout = number(params.get("timeout"))
    if timeout is not None and timeout <= first:
        yield (
            f"has timeout {timeout:g}, which bounds the whole answer and ends no later than model_info.first_token_timeout ({first:g}): "
            "take the timeout out, or make it as long as the longest answer, or set model_info.first_token_timeout to 0"
        )


def find_warnings(entries: Iterable[Mapping[str, Any]], data: Mapping[str, Any]) -> Iterator[str]:
    """Yield whose bound has no effect because nobody loads what would hold it."""
    names = [str(each["model_name"]) for each in entries if (number((each.get("model_info") or {}).get("first_token_timeout")) or 0) > 0]
    if names and not watches(data):
        yield (
            f"model_info.first_token_timeout has no effect on {', '.join(dict.fromkeys(names))}: "
            f"litellm_settings.callbacks does not load {FIRST_TOKEN}, which is a part of the role homelab.llm.litellm"
        )


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
