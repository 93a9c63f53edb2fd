# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An httpx transport that bounds the first token of the chat completions of watched deployments, and leaves all else alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from first_token import question
from first_token.deployment import Deployment, called
from first_token.exchange import Exchange
from first_token.progress import BackendError, BrokenStreamError

#: Makes the error of a stream that fails after its first token, out of the deployment's name and a sentence.
BrokenOf = Callable[[str, str], Exception]


class FirstTokenTransport(httpx.AsyncBaseTransport):
    """Sends through the client that LiteLLM would have without it: that one's proxies, certificates and pools are kept."""

    def __init__(self, make_client: Callable[[], httpx.AsyncClient], broken: BrokenOf, log: logging.Logger) -> None:
        """Make the client at the first request: only then has LiteLLM read all its settings.

        `broken` has to make an error for which LiteLLM cools the deployment down.
        """
        self._make_client = make_client
        self._client: httpx.AsyncClient | None = None
        self._broken = broken
        self._log = log
        self._tells = True

    @contextmanager
    def talking_to(self, client: httpx.AsyncClient) -> Iterator[None]:
        """Send through this client for a while, and not into the network; nobody has to know what became of it."""
        before, self._client, self._tells = self._client, client, False
        try:
            yield
        finally:
            self._client, self._tells = before, True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. What fails before the first token raises httpx.TransportError, or is the response that tells it."""
        if self._client is None:
            self._client = self._make_client()
        deployment = called.get()
        asked = question.read(await request.aread()) if deployment and _is_chat(request) else None
        if deployment is None or asked is None or not asked.can_stream:
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
            return httpx.Response(response.status_code, headers=response.headers, stream=response.stream, extensions=response.extensions)
        return await self._watch(deployment, request, asked, Exchange(self._client, request, asked, deployment.bounds))

    async def _watch(self, deployment: Deployment, request: httpx.Request, asked: question.Question, exchange: Exchange) -> httpx.Response:
        # Tokens may come for as long as they come, but who waits for all of them has a `timeout`.
        total = None if asked.streams else request.extensions.get("timeout", {}).get("read")
        patience = asyncio.timeout(total)
        try:
            async with patience:
                return await (exchange.stream(lambda what: self._failed(deployment, what)) if asked.streams else exchange.whole())
        except TimeoutError:
            await exchange.close()
            what = f"no whole answer in {total:g} s" if patience.expired() else exchange.late
            raise httpx.ReadTimeout(self._told(deployment, what), request=request) from None
        except BackendError as error:
            await exchange.close()
            self._told(deployment, f"an error in the stream, {error.status}")
            return httpx.Response(error.status, json={"error": error.error})
        except BrokenStreamError as end:
            await exchange.close()
            raise httpx.RemoteProtocolError(self._told(deployment, str(end)), request=request) from None
        except httpx.TransportError as failure:
            await exchange.close()
            self._told(deployment, f"{type(failure).__name__} {failure}".rstrip())
            raise
        except BaseException:
            # Also a cancelled one, whose client has left: the backend shall stop.
            await exchange.close()
            raise

    def _failed(self, deployment: Deployment, what: str) -> Exception:
        return self._broken(deployment.name, self._told(deployment, what))

    def _told(self, deployment: Deployment, what: str) -> str:
        """Log what LiteLLM would hide behind `Request timed out.` and `Connection error.`."""
        sentence = f"first_token: {deployment.name}: {what}"
        if self._tells:
            self._log.warning(sentence)
        return sentence

    async def aclose(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()


def _is_chat(request: httpx.Request) -> bool:
    return request.method == "POST" and str(request.url.path).endswith("/chat/completions")
