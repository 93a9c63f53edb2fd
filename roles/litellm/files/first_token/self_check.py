# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether LiteLLM still works as this package needs it to: requests through its real code, answered by a stand-in for a backend.

Nothing leaves the process while it does. Each check is a promise of LiteLLM's that is documented nowhere, or hardly.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import httpx
import litellm
from litellm.integrations.custom_logger import CustomLogger

from first_token.bounds import CONNECT, FIRST_TOKEN, GAP
from first_token.connecting import Connecting
from first_token.transport import FirstTokenTransport

#: Seconds. LiteLLM loads much of itself at its first call.
_PATIENCE = 60
_NAME = "first-token-self-check"
#: Where nobody listens: a LiteLLM that does not ask through the transport is refused at once.
_NOBODY = "http://127.0.0.1:9/v1"
_SOON = 0.2
_BOUNDS = {FIRST_TOKEN: _SOON, GAP: _SOON, CONNECT: _SOON}


class ChangedError(Exception):
    """LiteLLM is not what this package was written for; the text says what has changed."""


class _Backend(httpx.AsyncByteStream):
    """Streams two tokens, or hangs before the first."""

    def __init__(self, hangs: bool) -> None:
        self._hangs = hangs

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._hangs:
            await asyncio.sleep(_PATIENCE)
        for choice in ({"delta": {"role": "assistant", "content": "one "}}, {"delta": {"content": "two"}, "finish_reason": "stop"}):
            chunk = {"id": _NAME, "object": "chat.completion.chunk", "created": 1, "model": _NAME, "choices": [{"index": 0, **choice}]}
            yield f"data: {json.dumps(chunk)}\n\n".encode()
        yield b"data: [DONE]\n\n"


def check(transport: FirstTokenTransport, connector: Connecting | None, callback: CustomLogger) -> None:
    """Raise ChangedError unless LiteLLM keeps its promises; `connector` is None where nothing but watched deployments is bounded."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(_check(transport, connector))
        except BaseException as failure:
            failures.append(failure)

    # A loop is running already in this thread, and it waits: no request is served before this is over.
    with _only(callback):
        thread = threading.Thread(target=run, name=_NAME)
        thread.start()
        thread.join()
    if failures:
        raise failures[0]


async def _check(transport: FirstTokenTransport, connector: Connecting | None) -> None:
    promises = [partial(each, transport) for each in (_asks_through_the_transport, _fails_over_after_a_hang, _fails_over_after_an_end)]
    if connector is not None:
        promises.append(partial(_bounds_connecting, connector))
    for promise in promises:
        try:
            await asyncio.wait_for(promise(), _PATIENCE)
        except ChangedError:
            raise
        except Exception as error:
            raise ChangedError(f"a request through its own code failed with {type(error).__name__}: {error}") from error


async def _asks_through_the_transport(transport: FirstTokenTransport) -> None:
    bodies: list[dict[str, object]] = []

    def backend(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Backend(hangs=False))

    answer, failure = None, None
    with _answered_by(transport, backend):
        try:
            answer = await _ask()
        except Exception as error:  # which one says less than whether and how the backend was asked
            failure = error
    if not bodies:
        raise ChangedError("it does not ask openai/ models through litellm.aclient_session") from failure
    if bodies[0].get("stream") is not True:
        raise ChangedError(
            "it does not tell CustomLogger.async_pre_call_deployment_hook the deployment's model_info, or sends the request in another task"
        ) from failure
    if answer is None or answer.choices[0].message.content != "one two":
        raise ChangedError(f"it does not read the answer that was joined from a stream: {failure or answer}") from failure


async def _fails_over_after_a_hang(transport: FirstTokenTransport) -> None:
    def backend(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Backend(hangs=True))

    with _answered_by(transport, backend):
        await _must_raise(litellm.Timeout, "a backend that hangs", _ask)


async def _fails_over_after_an_end(transport: FirstTokenTransport) -> None:
    def backend(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"")

    with _answered_by(transport, backend):
        await _must_raise(litellm.InternalServerError, "a stream that ends before its first token", _ask)


async def _bounds_connecting(connector: Connecting) -> None:
    seen: list[object] = []

    async def nobody(_transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"]["connect"])
        raise httpx.ConnectTimeout("no connection", request=request)

    async def ask() -> litellm.ModelResponse:
        return await _ask("ollama_chat", {CONNECT: _SOON})

    with connector.talking_to(nobody):
        try:
            await _must_raise(litellm.Timeout, "a backend that nobody can connect to", ask)
        except ChangedError as error:
            if seen:
                raise
            raise ChangedError(
                "it does not ask ollama_chat/ models through LiteLLMAiohttpTransport, so that connecting cannot be bounded (role "
                "homelab.llm.litellm: litellm_connect_timeout and litellm_connect_timeout_internet: 0)"
            ) from error
    if seen != [_SOON]:
        raise ChangedError("it does not tell its transport in `extensions` how long connecting may take, or tells it in another task")


async def _must_raise(expected: type[Exception], what: str, ask: Callable[[], Awaitable[object]]) -> None:
    try:
        await ask()
    except expected:
        return
    except Exception as error:
        raise ChangedError(
            f"{what} is a {type(error).__name__} to it and no {expected.__name__}, so that allowed_fails_policy does not hold"
        ) from error
    raise ChangedError(f"{what} is no failure to it")


async def _ask(provider: str = "openai", bounds: Mapping[str, float] | None = None) -> litellm.ModelResponse:
    # What the router passes on of a deployment.
    return await litellm.acompletion(
        model=f"{provider}/{_NAME}",
        api_base=_NOBODY,
        api_key="none",
        messages=[{"role": "user", "content": "one two"}],
        model_info={"id": _NAME, **(_BOUNDS if bounds is None else bounds)},
        timeout=_PATIENCE,
        max_retries=0,
        num_retries=0,
        # An answer to the question before would be none to this one.
        cache={"no-cache": True, "no-store": True},
    )


@contextmanager
def _answered_by(transport: FirstTokenTransport, backend: Callable[[httpx.Request], httpx.Response]) -> Iterator[None]:
    with transport.talking_to(httpx.AsyncClient(transport=httpx.MockTransport(backend))):
        yield


@contextmanager
def _only(callback: CustomLogger) -> Iterator[None]:
    """Keep these requests out of logs, metrics and bills."""
    names = ("callbacks", "success_callback", "failure_callback", "_async_success_callback", "_async_failure_callback", "input_callback")
    before = {name: getattr(litellm, name) for name in names}
    for name in names:
        setattr(litellm, name, [])
    litellm.callbacks = [callback]
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(litellm, name, value)
