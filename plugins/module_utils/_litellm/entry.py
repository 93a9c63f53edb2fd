# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""One entry of `model_list` (a deployment, in LiteLLM's words): which one it is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._litellm.secret_fields import inline_secrets, references

Entry = Mapping[str, Any]

_ORDER = ("model_name", "litellm_params", "model_info")
_PARAMS_ORDER = ("model", "api_base", "api_key")


def in_order(entry: Entry) -> dict[str, Any]:
    """The entry with its keys in the order everybody writes them."""
    ordered = _first(entry, _ORDER)
    if isinstance(ordered.get("litellm_params"), Mapping):
        ordered["litellm_params"] = _first(ordered["litellm_params"], _PARAMS_ORDER)
    return ordered


def _first(mapping: Entry, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in [*(key for key in keys if key in mapping), *(key for key in mapping if key not in keys)]}


def entry_id(entry: Entry) -> str | None:
    """`model_info.id`, or None."""
    found = (entry.get("model_info") or {}).get("id")
    return None if found is None else str(found)


def address(entry: Entry) -> tuple[str, str, str]:
    """What tells entries without an id apart: the group, the backend's model and where it is."""
    params = entry.get("litellm_params") or {}
    return (str(entry.get("model_name")), str(params.get("model")), str(params.get("api_base") or "").rstrip("/"))


def label(entry: Entry) -> str:
    """How an error names the entry."""
    found = entry_id(entry)
    return f"model '{entry.get('model_name')}'" + (f" (id {found})" if found else "")


def shape_problem(entry: Any) -> str | None:
    """What keeps this from being an entry at all, or None."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("model_name"), str) or not entry["model_name"]:
        return "an entry of models has no model_name: every entry needs one (text)"
    params = entry.get("litellm_params")
    if not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
        return f"{label(entry)} has no litellm_params.model: name the backend's model, for example openai/gpt-4o-mini"
    if not isinstance(entry.get("model_info") or {}, Mapping):
        return f"{label(entry)} has a model_info that is no mapping"
    return None


def find_problems(entry: Entry) -> Iterator[str]:
    """Yield what would make the entry fail, or make it unsafe, one sentence each."""
    params = entry["litellm_params"]
    for field in inline_secrets(params):
        yield (
            f"{label(entry)} has its {field} in plain text: put the value into the Secret and write os.environ/NAME here "
            "(for a backend that wants no key, write none)"
        )
    base = str(params.get("api_base") or "").rstrip("/")
    if params["model"].startswith(("ollama_chat/", "ollama/")) and base.endswith("/api"):
        yield f"{label(entry)} has api_base '{base}': LiteLLM adds /api/chat itself, so write '{base.removesuffix('/api')}'"


def env_names(entry: Entry) -> tuple[str, ...]:
    """Environment variables that the entry reads, in order."""
    return references(entry.get("litellm_params") or {})
