# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream under its bounds, on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_chunks import DONE, ROLE, STOP, USAGE, WORD, event

from first_token.progress import BackendError, BrokenStreamError, Progress
from first_token.relay import Relay

#: Long enough that a busy machine makes none of the short ones into one.
GAP = 0.8
#: A part of it, that so many make more than it.
SHORT, MANY = GAP / 16, 20
Step = bytes | float | Exception
ALL = event(ROLE) + event(WORD) + event(STOP) + event(USAGE) + DONE


async def source(steps: list[Step]) -> AsyncIterator[bytes]:
    """Bytes to send, seconds to wait, an error to fail with."""
    for step in steps:
        if isinstance(step, Exception):
            raise step
        if isinstance(step, bytes):
            yield step
        else:
            await asyncio.sleep(step)


def relayed(*steps: Step) -> bytes:
    async def run() -> bytes:
        relay = Relay(source(list(steps)), Progress(), GAP)
        await relay.wait()
        return b"".join([piece async for piece in relay.pieces()])

    return asyncio.run(run())


def joined(*steps: Step) -> str:
    async def run() -> str:
        relay = Relay(source(list(steps)), Progress(), GAP)
        await relay.wait()
        return (await relay.whole())["choices"][0]["message"]["content"]

    return asyncio.run(run())


@given(st.lists(st.integers(0, len(ALL)), max_size=12))
def test_bytes_and_chunks_are_whole_wherever_they_are_cut(places):
    at = [0, *sorted(places), len(ALL)]
    pieces = [ALL[begin:end] for begin, end in pairwise(at)]
    assert relayed(*pieces) == ALL
    assert joined(*pieces) == "word"


def test_the_first_token_is_handed_on_before_the_rest_is_there():
    async def run() -> bytes:
        relay = Relay(source([event(ROLE), event(WORD), 10.0]), Progress(), GAP)
        await asyncio.wait_for(relay.wait(), 5)
        pieces = relay.pieces()
        return await anext(pieces) + await anext(pieces)

    assert asyncio.run(run()) == event(ROLE) + event(WORD)


def test_the_wait_for_the_first_token_is_for_its_caller_to_bound():
    assert relayed(GAP * 1.5, ALL) == ALL
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(Relay(source([event(ROLE), 10.0]), Progress(), GAP).wait(), GAP))


@pytest.mark.parametrize("read", [relayed, joined])
def test_a_gap_ends_the_stream(read):
    with pytest.raises(TimeoutError):
        read(event(WORD), GAP * 2, event(STOP), DONE)


@pytest.mark.parametrize("read", [relayed, joined])
def test_many_short_gaps_do_not(read):
    assert read(*[event(WORD), SHORT] * MANY, event(STOP), DONE)


@pytest.mark.parametrize("read", [relayed, joined])
def test_comments_are_no_sign_of_life(read):
    with pytest.raises(TimeoutError):
        read(event(WORD), *[b": ping\n\n", SHORT] * MANY, event(STOP), DONE)


@pytest.mark.parametrize("read", [relayed, joined])
def test_an_early_end_is_no_end(read):
    with pytest.raises(BrokenStreamError):
        read(event(WORD))


@pytest.mark.parametrize("read", [relayed, joined])
def test_an_error_of_the_connection_is_told(read):
    with pytest.raises(ConnectionResetError):
        read(event(WORD), ConnectionResetError())


@pytest.mark.parametrize("read", [relayed, joined])
def test_an_error_of_the_connection_after_the_last_word_is_none(read):
    assert read(event(WORD), event(STOP), ConnectionResetError())


@pytest.mark.parametrize("read", [relayed, joined])
def test_a_connection_that_stays_open_after_the_end_is_not_waited_for(read):
    assert read(ALL, 10.0)


@pytest.mark.parametrize("read", [relayed, joined])
def test_an_error_in_the_midst_is_an_error(read):
    with pytest.raises(BackendError):
        read(event(WORD), event({"error": {"message": "m", "code": 503}}), DONE)


def test_a_stream_that_is_one_piece_is_whole():
    assert joined(ALL) == "word"


def test_a_stream_without_done_and_last_blank_line_is_whole():
    assert joined(event(WORD), event(STOP).rstrip()) == "word"
