# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What masked_keys.py takes out of errors and out of the log."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import io
import logging
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).resolve().parents[4] / "roles" / "litellm" / "files" / "masked_keys.py"
KEY = "b" * 10 + "0123456789" * 3
CONFIG = "api_key: os.environ/MISTRAL_API_KEY\nother: os.environ/SHORT\n"
ENVIRON = {"MISTRAL_API_KEY": KEY, "LITELLM_MASTER_KEY": f"{KEY}-and-more", "SHORT": "hunter2", "PATH": "/usr/bin:/usr/local/bin"}


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("masked_keys", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


masked_keys = loaded()


@pytest.fixture
def mask() -> Iterator[Any]:
    """Installed, and taken out again."""
    send, rendered = httpx.AsyncClient.send, logging.Handler.format
    mask = masked_keys.Mask(masked_keys.keys_of(CONFIG, ENVIRON))
    masked_keys.install(mask)
    yield mask
    httpx.AsyncClient.send, logging.Handler.format = send, rendered  # type: ignore[method-assign]


class Parts(httpx.AsyncByteStream):
    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def answer(status: int, *parts: bytes, stream: bool = False, **headers: str) -> bytes:
    """What a client reads, whole or as it comes."""

    def respond(_request: httpx.Request) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, headers=named, stream=Parts(*parts))

    async def ask() -> bytes:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
            if not stream:
                return (await client.get("http://provider")).content
            async with client.stream("GET", "http://provider") as response:
                return b"".join([part async for part in response.aiter_bytes()])

    return asyncio.run(ask())


def test_the_keys_are_those_that_the_config_reads_and_the_master_key_but_no_short_word():
    assert masked_keys.keys_of(CONFIG, ENVIRON) == (f"{KEY}-and-more", KEY)
    assert masked_keys.keys_of("", {}) == ()


def test_a_key_that_begins_with_another_one_leaves_nothing_behind():
    mask = masked_keys.Mask(masked_keys.keys_of(CONFIG, ENVIRON))
    assert mask.text(f"{KEY}-and-more, {KEY}") == "********, ********"


@pytest.mark.usefixtures("mask")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [401, 500])
def test_an_error_that_repeats_the_key_comes_without_it(status: int, stream: bool):
    assert answer(status, b'{"error": "wrong key ', KEY.encode(), b'"}', stream=stream) == b'{"error": "wrong key ********"}'


@pytest.mark.usefixtures("mask")
@given(cut=st.integers(0, len(KEY)), stream=st.booleans())
def test_a_key_across_two_parts_is_found(cut: int, stream: bool):
    assert answer(403, b"no " + KEY[:cut].encode(), KEY[cut:].encode() + b".", stream=stream) == b"no ********."


@pytest.mark.usefixtures("mask")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_packed_error_is_unpacked_for_it(name: str, pack: Any, stream: bool):
    assert answer(401, pack(f"no {KEY}".encode()), stream=stream, content_encoding=name) == b"no ********"


@pytest.mark.usefixtures("mask")
def test_an_answer_is_left_as_it_is():
    assert answer(200, KEY.encode(), stream=True) == KEY.encode()


@pytest.mark.usefixtures("mask")
def test_an_error_with_nothing_in_it_stays_one():
    assert answer(500) == answer(500, content_encoding="gzip", stream=True) == b""


@pytest.mark.usefixtures("mask")
def test_whatever_is_logged_is_masked_with_its_traceback_by_handlers_old_and_new():
    written = io.StringIO()
    logger = logging.Logger("provider")
    logger.addHandler(logging.StreamHandler(written))
    try:
        raise ValueError(f"no {KEY}")
    except ValueError:
        logger.exception("it said %s", KEY)
    assert KEY not in written.getvalue()
    assert "ValueError: no ********" in written.getvalue()
