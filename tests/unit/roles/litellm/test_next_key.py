# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second master key beside LiteLLM's own, on an application that says what it was told."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).resolve().parents[4] / "roles" / "litellm" / "files" / "next_key.py"
SPEC = importlib.util.spec_from_file_location("next_key", FILE)
assert SPEC
assert SPEC.loader
next_key = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(next_key)

OWN, NEXT = "sk-old" + "a" * 40, "sk-new-and-longer" + "b" * 40


def told(headers: list[tuple[bytes, bytes]], kind: str = "http", **scope: Any) -> dict[str, Any]:
    """What LiteLLM's own layers see of a request."""
    seen: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], _receive: object, _send: object) -> None:
        seen.append(scope)

    asyncio.run(next_key.NextKey(app, OWN, NEXT)({"type": kind, "headers": headers, **scope}, None, None))
    return seen[0]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        (b"authorization", "Bearer "),
        (b"authorization", "bearer "),
        (b"authorization", "Basic "),
        (b"authorization", ""),
        (b"x-api-key", ""),
        (b"api-key", ""),
        (b"x-goog-api-key", ""),
        (b"sec-websocket-protocol", "realtime, openai-insecure-api-key."),
    ],
)
def test_the_next_key_is_as_good_as_the_own_one_wherever_a_client_puts_it(name: bytes, before: str) -> None:
    assert told([(b"host", b"litellm"), (name, f"{before}{NEXT}".encode())])["headers"][1] == (name, f"{before}{OWN}".encode())


def test_that_of_a_websocket_too() -> None:
    protocols = ["realtime", f"openai-insecure-api-key.{NEXT}"]
    assert told([], "websocket", subprotocols=protocols)["subprotocols"] == ["realtime", f"openai-insecure-api-key.{OWN}"]


@given(st.binary(max_size=120).filter(lambda value: NEXT.encode() not in value))
def test_all_else_is_passed_on_as_it_is(value: bytes) -> None:
    assert told([(b"authorization", value)])["headers"] == [(b"authorization", value)]


@given(st.sampled_from([NEXT[:-1], NEXT + "c", "Bearer  " + NEXT[1:], "x" + NEXT, NEXT.upper()]))
def test_what_is_nearly_the_next_key_is_not(value: str) -> None:
    assert told([(b"authorization", value.encode())])["headers"] == [(b"authorization", value.encode())]


def test_what_is_no_request_is_not_looked_at() -> None:
    seen = []

    async def app(scope: dict[str, Any], _receive: object, _send: object) -> None:
        seen.append(scope)

    asyncio.run(next_key.NextKey(app, OWN, NEXT)({"type": "lifespan"}, None, None))
    assert seen == [{"type": "lifespan"}]


def test_it_is_put_around_an_application_that_serves_already() -> None:
    serving = SimpleNamespace(middleware_stack="all of LiteLLM's layers")
    next_key.install(serving, OWN, NEXT)
    assert isinstance(serving.middleware_stack, next_key.NextKey)


@pytest.mark.parametrize(
    ("app", "own", "text"),
    [(SimpleNamespace(middleware_stack=None), "", "there is no LITELLM_MASTER_KEY"), (SimpleNamespace(), OWN, "cannot be rotated")],
)
def test_litellm_is_not_started_where_it_cannot_be(app: Any, own: str, text: str) -> None:
    with pytest.raises(next_key.NotStartedError, match=text):
        next_key.install(app, own, NEXT)
