"""A second master key beside LiteLLM's own, for as long as a rotation takes: `litellm_settings.callbacks: [next_key.callback]`.

LiteLLM knows one master key. While it is changed there are clients with the old one and clients with the new one, and for a moment pods of
two revisions behind one Service; so each pod has to take both. A request with the key in LITELLM_MASTER_KEY_NEXT is handed on as one with
the key in LITELLM_MASTER_KEY, before LiteLLM looks at it: whatever that allows, limits or counts is the same for both.

LiteLLM's own place for this (`custom_auth`) replaces its authentication instead of adding to it, virtual keys, public routes and all.
Standard library, but for what LiteLLM wants a callback to be.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

#: What a client may put before a key: in a header as in `authorization`, and in that of a WebSocket where it cannot set another.
_BEFORE_A_KEY = (b"", b"Bearer ", b"bearer ", b"Basic ", b"openai-insecure-api-key.")


class NotStartedError(Exception):
    """LiteLLM shall not start. Its traceback ends with this text."""


class NextKey:
    """An ASGI application around another one."""

    def __init__(self, app: Asgi, own: str, following: str) -> None:
        """Hand a request with the key `following` on as one with the key `own`."""
        self._app = app
        self._own, self._next = own.encode(), following.encode()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve a request, or whatever else a server tells an application."""
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "headers": [(name, self.told(value)) for name, value in scope["headers"]]}
            if "subprotocols" in scope:
                scope["subprotocols"] = [self.told(each.encode()).decode() for each in scope["subprotocols"]]
        await self._app(scope, receive, send)

    def told(self, value: bytes) -> bytes:
        """Return what LiteLLM is told of the value of a header, which may be a list."""
        if len(value) < len(self._next):
            return value
        return b",".join(self._translated(part) for part in value.split(b","))

    def _translated(self, part: bytes) -> bytes:
        stripped = part.strip()
        for before in _BEFORE_A_KEY:
            # In the same time whatever the first wrong letter is.
            if len(stripped) == len(before) + len(self._next) and hmac.compare_digest(stripped, before + self._next):
                return part.replace(self._next, self._own)
        return part


def install(app: Any, own: str, following: str) -> None:
    """Put it around LiteLLM's application, all of whose own layers come after it. Raises NotStartedError."""
    if not own:
        raise NotStartedError("next_key: there is no LITELLM_MASTER_KEY for LITELLM_MASTER_KEY_NEXT to stand for")
    if not hasattr(app, "middleware_stack"):
        raise NotStartedError(
            "next_key: this LiteLLM has no application of Starlette's to be put around, so its master key cannot be rotated"
        )
    # LiteLLM reads its config when it has begun to serve: too late for add_middleware.
    app.middleware_stack = NextKey(app.middleware_stack or app.build_middleware_stack(), own, following)


def __getattr__(name: str) -> Any:
    """LiteLLM asks for `callback`, once, when it loads its config. What it gets is one that does nothing."""
    if name != "callback":
        raise AttributeError(name)
    from litellm.integrations.custom_logger import CustomLogger
    from litellm.proxy import proxy_server

    if following := os.environ.get("LITELLM_MASTER_KEY_NEXT", ""):
        install(proxy_server.app, os.environ.get("LITELLM_MASTER_KEY", ""), following)
    return CustomLogger()
