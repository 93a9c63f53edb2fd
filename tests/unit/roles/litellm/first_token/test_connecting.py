# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bound on connecting, before a transport that only notes what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from first_token.deployment import connecting

httpx = pytest.importorskip("httpx", reason="LiteLLM brings httpx, the collection does not need it")

from first_token.connecting import Connecting  # noqa: E402


class Transport(httpx.AsyncBaseTransport):
    """Notes the timeouts of each request."""

    told: list[dict[str, Any]]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.told.append(request.extensions["timeout"])
        return httpx.Response(200)


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What the transport is told while the bound is before it."""
    Transport.told = []
    connector = Connecting(Transport)
    yield Transport.told
    connector.remove()


def ask(seconds: float | None, timeout: httpx.Timeout) -> None:
    async def asking() -> None:
        connecting.set(seconds)
        async with httpx.AsyncClient(transport=Transport(), timeout=timeout) as client:
            await client.get("http://ollama")

    asyncio.run(asking())


def test_connecting_has_its_own_bound_and_nothing_else_another(told):
    ask(1, httpx.Timeout(120))
    assert told == [{"connect": 1, "read": 120, "write": 120, "pool": 120}]


def test_a_shorter_one_is_kept(told):
    ask(3, httpx.Timeout(0.5))
    assert told[0]["connect"] == 0.5


def test_where_nothing_bounds_it_it_is_bounded_now(told):
    ask(1, httpx.Timeout(None))
    assert told == [{"connect": 1, "read": None, "write": None, "pool": None}]


def test_a_deployment_without_a_bound_is_left_alone(told):
    ask(None, httpx.Timeout(120))
    assert told[0]["connect"] == 120


def test_it_can_be_taken_away_again():
    Transport.told = []
    Connecting(Transport).remove()
    ask(1, httpx.Timeout(120))
    assert Transport.told[0]["connect"] == 120
