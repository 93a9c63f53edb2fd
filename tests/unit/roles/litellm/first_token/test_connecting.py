# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bound on connecting, before a transport that only notes what it is told."""

from __future__ import annotations

import asyncio
import time
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


class Sleepy(httpx.AsyncBaseTransport):
    """Connects in time from the second request on; `late` seconds are what its loop sleeps over the first."""

    late: float
    asked: int

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        type(self).asked += 1
        if self.asked > 1:
            return httpx.Response(200)
        time.sleep(request.extensions["timeout"]["connect"] + self.late)
        raise httpx.ConnectTimeout("late", request=request)


@pytest.fixture
def sleepy() -> Iterator[type[Sleepy]]:
    Sleepy.asked = 0
    connector = Connecting(Sleepy)
    yield Sleepy
    connector.remove()


def post(content: Any) -> int:
    async def asking() -> int:
        connecting.set(0.05)
        async with httpx.AsyncClient(transport=Sleepy()) as client:
            return int((await client.post("http://ollama", content=content)).status_code)

    return asyncio.run(asking())


def test_a_connection_that_this_process_slept_over_is_tried_once_more(sleepy):
    sleepy.late = 0.2
    assert (post(b"what"), sleepy.asked) == (200, 2)


def test_one_that_was_late_while_it_was_awake_is_not(sleepy):
    sleepy.late = 0
    with pytest.raises(httpx.ConnectTimeout):
        post(b"what")
    assert sleepy.asked == 1


def test_a_body_that_can_be_read_only_once_is_not_sent_twice(sleepy):
    async def pieces():
        yield b"what"

    sleepy.late = 0.2
    with pytest.raises(httpx.ConnectTimeout):
        post(pieces())
    assert sleepy.asked == 1
