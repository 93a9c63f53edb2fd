# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployments that a config declares: which are watched, and what of it cannot be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from first_token.bounds import Bounds, BoundsError, bounds_of, connecting_of

#: Says which provider LiteLLM calls for `litellm_params`.
ProviderOf = Callable[[Mapping[str, Any]], str]
#: The provider that LiteLLM asks through the client with our transport, and that speaks server-sent events.
WATCHABLE = "openai"


def find_problems(config: Mapping[str, Any], provider_of: ProviderOf) -> Iterator[str]:
    """Yield what the config asks for and would not get, a sentence each. They are reasons not to start."""
    for name, params, model_info in _entries(config):
        try:
            connecting_of(model_info)
            bounds = bounds_of(model_info)
        except BoundsError as error:
            yield f"{name}: {error}"
            continue
        if bounds is not None:
            yield from (f"{name}: {problem}" for problem in _problems_of(params, bounds, provider_of(params)))


def find_warnings(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what works and is not as good as it could be."""
    watched = [name for name, _params, model_info in _entries(config) if _is_watched(model_info)]
    if watched and not (config.get("general_settings") or {}).get("cancel_on_disconnect"):
        yield "general_settings.cancel_on_disconnect is not true: a backend goes on with an answer whose client has left"


def watched(config: Mapping[str, Any]) -> dict[str, Bounds]:
    """Return the bounds of each watched model group. The config must have no problems."""
    found = {name: bounds_of(model_info) for name, _params, model_info in _entries(config)}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def connecting(config: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds to connect of each model group that is not watched. The config must have no problems."""
    found = {name: connecting_of(model_info) for name, _params, model_info in _entries(config) if bounds_of(model_info) is None}
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def _problems_of(params: Mapping[str, Any], bounds: Bounds, provider: str) -> Iterator[str]:
    if provider != WATCHABLE:
        yield (
            f"model_info.first_token_timeout has no effect on '{params.get('model')}', which LiteLLM asks as {provider}: only {WATCHABLE}/ "
            f"models can be watched. If the server speaks OpenAI's protocol (vLLM and Ollama do, below /v1), write {WATCHABLE}/ instead, "
            "else take the setting out; its timeout then bounds the whole answer"
        )
    timeout = params.get("timeout")
    if isinstance(timeout, int | float) and timeout <= bounds.first_token:
        yield (
            f"litellm_params.timeout of {timeout:g} s bounds the whole answer and ends before first_token_timeout "
            f"({bounds.first_token:g} s) does: make it as long as the longest answer, 600 say"
        )


def _is_watched(model_info: object) -> bool:
    try:
        return bounds_of(model_info) is not None
    except BoundsError:
        return False


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], object]]:
    for entry in config.get("model_list") or ():
        if isinstance(entry, Mapping):
            params = entry.get("litellm_params")
            yield str(entry.get("model_name")), params if isinstance(params, Mapping) else {}, entry.get("model_info")
