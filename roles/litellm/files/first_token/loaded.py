# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the transport into LiteLLM, after it was checked that this does what it shall."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import httpx
import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.llms.openai.common_utils import BaseOpenAILLM

from first_token import declared, self_check
from first_token.bounds import BoundsError, bounds_of, connecting_of
from first_token.connecting import Connecting
from first_token.deployment import Deployment, called, connecting
from first_token.transport import FirstTokenTransport

WRITTEN_FOR = "1.106.2"

# LiteLLM's own logger: what it writes is shown as the rest is, and LITELLM_LOG holds for it.
_log = logging.getLogger("LiteLLM Proxy")
#: LiteLLM's names for the calls that become a chat completion.
_CHATS = ("acompletion", "completion")


class NotStartedError(Exception):
    """LiteLLM shall not start. Its traceback ends with this text."""


class FirstToken(CustomLogger):
    """Notes which deployment is called, right before it is."""

    def __init__(self) -> None:
        """Watch no deployment yet."""
        super().__init__()
        self._wrong: set[str] = set()

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> dict[str, Any] | None:
        """Tell the transport which bounds hold for the request that this task is about to send."""
        # A semantic cache asks for an embedding between this and the request: that shall not take the bounds away.
        if call_type in _CHATS:
            called.set(self._deployment(kwargs))
            connecting.set(_connecting(kwargs.get("model_info")))
        return None

    def _deployment(self, kwargs: Mapping[str, Any]) -> Deployment | None:
        model_info = kwargs.get("model_info")
        try:
            bounds = bounds_of(model_info)
        except BoundsError as error:
            # Not of the config, whose bounds are right: somebody added it since.
            self._complain(str(kwargs.get("model")), str(error))
            return None
        if bounds is None:
            return None
        metadata = kwargs.get("metadata")
        name = metadata.get("model_group") if isinstance(metadata, Mapping) else None
        return Deployment(str(name or kwargs.get("model")), bounds)

    def _complain(self, model: str, problem: str) -> None:
        if model not in self._wrong:
            self._wrong.add(model)
            _log.error("first_token: %s is not watched: %s", model, problem)


def load(config: Mapping[str, Any]) -> FirstToken:
    """Install the transport and return the callback; raises NotStartedError."""
    if not config:
        raise _unfit("the config that is loaded is not told by litellm.proxy.proxy_server")
    problems = list(declared.find_problems(config, _provider_of))
    if problems:
        raise NotStartedError("first_token: the config asks for what cannot be done\n" + "\n".join(f"- {problem}" for problem in problems))
    if getattr(litellm, "aclient_session", _MISSING) is not None:
        raise _unfit("litellm.aclient_session is gone, or somebody else uses it")
    bound = declared.connecting(config)
    transport, callback = FirstTokenTransport(_own_client, _broken, _log), FirstToken()
    connector = Connecting(_transport_of_others()) if bound else None
    litellm.aclient_session = httpx.AsyncClient(transport=transport, follow_redirects=True)
    try:
        self_check.check(transport, connector, callback)
        _own_client()
    except Exception as error:
        litellm.aclient_session = None
        if connector is not None:
            connector.remove()
        raise _unfit(str(error)) from error
    for warning in declared.find_warnings(config):
        _log.warning("first_token: %s", warning)
    for name, bounds in declared.watched(config).items():
        _log.info("first_token: %s has %g s for its first token, %g s between tokens", name, bounds.first_token, bounds.gap)
    for seconds in sorted(set(bound.values())):
        _log.info("first_token: %s have %g s to connect", ", ".join(name for name, told in bound.items() if told == seconds), seconds)
    return callback


_MISSING = object()


def _unfit(what: str) -> NotStartedError:
    return NotStartedError(
        f"first_token: it cannot work with this LiteLLM ({_version()}; it was written for {WRITTEN_FOR}): {what}. "
        "LiteLLM is not started, because a backend that hangs would cost each request its whole timeout. Use a LiteLLM it works with, or "
        "take first_token.entry.callback out of litellm_settings.callbacks (role homelab.llm.litellm: litellm_first_token_timeout: 0) "
        "and give each deployment a timeout that bounds its whole answer."
    )


def _connecting(model_info: object) -> float | None:
    try:
        return connecting_of(model_info)
    except BoundsError:
        # Told already: see FirstToken.
        return None


def _transport_of_others() -> type[httpx.AsyncBaseTransport]:
    """Return the transport that LiteLLM asks all providers through that have no library of their own."""
    try:
        from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport
    except ImportError as error:
        raise _unfit("litellm.llms.custom_httpx.aiohttp_transport.LiteLLMAiohttpTransport is gone") from error
    transport: type[httpx.AsyncBaseTransport] = LiteLLMAiohttpTransport
    return transport


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("litellm")
    except PackageNotFoundError:
        return "of unknown version"


def _provider_of(params: Mapping[str, Any]) -> str:
    try:
        provider = litellm.get_llm_provider(
            model=str(params.get("model")), custom_llm_provider=params.get("custom_llm_provider"), api_base=params.get("api_base")
        )[1]
    except litellm.BadRequestError:
        return "a provider it does not know"
    return str(provider)


def _own_client() -> httpx.AsyncClient:
    """Return the client that LiteLLM would make were we not here, after its settings for TLS, proxies and pools."""
    ours, litellm.aclient_session = litellm.aclient_session, None
    try:
        client = BaseOpenAILLM.get_async_http_client()
    finally:
        litellm.aclient_session = ours
    return client or httpx.AsyncClient(follow_redirects=True)


def _broken(deployment: str, what: str) -> Exception:
    """Return the error of a stream that breaks after its first token.

    LiteLLM would make an APIConnectionError of it, which no allowed_fails_policy covers: the deployment would never be cooled down.
    """
    error: Exception = litellm.ServiceUnavailableError(what, llm_provider="openai", model=deployment)
    return error
