# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiteLLM: no key in its log, nor in an error that a client gets, when a provider repeats the key it was sent.

LiteLLM writes a provider's error into its log and hands it on to its client. What it masks in it is what looks like a key of a kind that it
knows: of five providers that repeated the key, four keys were then in the log, whole or in part. This module knows the values themselves.
It lies beside LiteLLM's config and is loaded by `callbacks: [masked_keys.callback]`. It masks them in the bodies of errors as they come in,
and in whatever is logged.
"""

from __future__ import annotations

import logging
import os
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import wraps
from typing import Any

import httpx

MASK = "********"
#: What is shorter is as likely a word as a key.
_SHORTEST = 12
_ERROR = 400


def keys_of(config: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of all variables that the config reads, and the master key; the longest first, for one may begin with another."""
    names = {"LITELLM_MASTER_KEY", *re.findall(r"os\.environ/([A-Za-z0-9_]+)", config)}
    values = {environ.get(name, "").strip() for name in names}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True))


class Mask:
    """Replaces keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Keep them in the two forms in which they are looked for."""
        self._keys = tuple(keys)
        self._bytes = tuple(key.encode() for key in self._keys)

    def text(self, text: str) -> str:
        """Return the text without a key."""
        for key in self._keys:
            if key in text:
                text = text.replace(key, MASK)
        return text

    def body(self, body: bytes) -> bytes:
        """Return the body without a key."""
        for key in self._bytes:
            if key in body:
                body = body.replace(key, MASK.encode())
        return body


class _MaskedStream(httpx.AsyncByteStream):
    """The body of an error, held back until it is whole: a key may lie across two of its parts."""

    def __init__(self, stream: Any, mask: Mask, inflate: Callable[[bytes], bytes]) -> None:
        self._stream, self._mask, self._inflate = stream, mask, inflate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = [part async for part in self._stream]
        yield self._mask.body(self._inflate(b"".join(parts)))

    async def aclose(self) -> None:
        await self._stream.aclose()


#: How a body is unpacked, by its content-encoding. Another one is masked in the log only.
_INFLATE: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "identity": lambda body: body,
    "gzip": lambda body: zlib.decompress(body, 16 + zlib.MAX_WBITS) if body else body,
    "deflate": lambda body: zlib.decompress(body) if body else body,
}


def mask_response(response: httpx.Response, mask: Mask) -> None:
    """Mask the body of an error, whether it has been read yet or not."""
    if response.status_code < _ERROR:
        return
    if response.is_closed:  # read to its end
        response._content = mask.body(response.content)
        return
    inflate = _INFLATE.get(response.headers.get("content-encoding", "").lower())
    if inflate:
        for header in ("content-encoding", "content-length"):
            response.headers.pop(header, None)
        response.stream = _MaskedStream(response.stream, mask, inflate)


def install(mask: Mask) -> None:
    """Mask all errors that come through httpx from now on, and all that is logged by whatever logger."""
    send = httpx.AsyncClient.send

    @wraps(send)
    async def sent(self: httpx.AsyncClient, *given: Any, **named: Any) -> httpx.Response:
        response = await send(self, *given, **named)
        mask_response(response, mask)
        return response

    httpx.AsyncClient.send = sent  # type: ignore[method-assign]
    rendered = logging.Handler.format

    @wraps(rendered)
    def masked(self: logging.Handler, record: logging.LogRecord) -> str:
        return mask.text(rendered(self, record))

    logging.Handler.format = masked  # type: ignore[method-assign]


def _load() -> object:
    from pathlib import Path

    from litellm.integrations.custom_logger import CustomLogger
    from litellm.proxy import proxy_server

    install(Mask(keys_of(Path(str(proxy_server.user_config_file_path)).read_text(), os.environ)))
    return CustomLogger()


def __getattr__(name: str) -> object:
    """Make the callback when LiteLLM asks for it: who else imports this has no LiteLLM."""
    if name != "callback":
        raise AttributeError(name)
    globals()["callback"] = _load()
    return globals()["callback"]
