# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a stream has its first token, when it is over, and when it failed."""

from __future__ import annotations

import pytest
from openai_chunks import BASE, DONE, ROLE, STOP, USAGE, WORD, chunk, event

from first_token.progress import BackendError, BrokenStreamError, Progress


def after(*pieces: bytes, role_is_token: bool = False) -> Progress:
    progress = Progress(role_is_token)
    for piece in pieces:
        progress.feed(piece)
    return progress


@pytest.mark.parametrize(
    "said",
    [
        WORD,
        chunk({"reasoning_content": "hm"}),
        chunk({"reasoning": "hm"}),
        chunk({"refusal": "no"}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}),
        chunk({"content": " "}),
        STOP,
    ],
)
def test_a_token_is_whatever_says_something(said):
    assert after(event(ROLE), event(said)).spoke


@pytest.mark.parametrize("nothing", [ROLE, chunk({"role": "assistant", "content": None, "tool_calls": []}), USAGE, chunk(None), {**BASE}])
def test_a_chunk_that_says_nothing_is_no_token(nothing):
    assert not after(event(nothing), b": ping\n\n").spoke


def test_the_role_is_a_token_where_a_server_may_hold_back_a_call():
    assert after(event(ROLE), role_is_token=True).spoke
    assert not after(event(USAGE), role_is_token=True).spoke


def test_an_answer_is_complete_when_the_backend_says_so():
    assert not after(event(WORD)).complete
    assert after(event(WORD), DONE).complete
    assert after(event(WORD), event(STOP)).complete


def test_an_answer_is_complete_when_all_of_its_choices_are():
    both = [event(chunk({"content": "a"}, index=0)), event(chunk({"content": "b"}, index=1)), event(chunk({}, "stop", index=0))]
    assert not after(*both).complete
    assert after(*both, event(chunk({}, "length", index=1))).complete


@pytest.mark.parametrize("pieces", [[], [event(ROLE)], [b": ping\n\n"]])
def test_a_stream_that_ends_without_a_token_is_no_answer(pieces):
    with pytest.raises(BrokenStreamError, match="ended before its first token"):
        after(*pieces).end()


@pytest.mark.parametrize("pieces", [[DONE], [event(ROLE), DONE]])
def test_a_stream_that_is_done_without_a_token_is_no_answer(pieces):
    with pytest.raises(BrokenStreamError, match="ended before its first token"):
        after(*pieces)


def test_a_stream_that_ends_in_the_midst_is_no_answer():
    with pytest.raises(BrokenStreamError, match="ended in the middle of the answer"):
        after(event(WORD)).end()


def test_the_end_completes_what_has_no_blank_line():
    progress = after(event(WORD))
    progress.feed(b"data: [DONE]")
    assert progress.end() == []
    assert progress.done


def test_what_comes_after_the_end_is_ignored():
    assert after(event(WORD), DONE, b"data: rubbish\n\n").complete


@pytest.mark.parametrize("rubbish", ["<html>", "[1]", '"text"', "{"])
def test_an_event_that_is_no_chunk_breaks_the_stream(rubbish):
    with pytest.raises(BrokenStreamError, match="an event of the stream is no JSON"):
        after(event(rubbish))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"error": {"message": "m", "code": 503}}, 503),
        ({"error": {"message": "m", "code": "429"}}, 429),
        ({"error": {"message": "m", "code": "context_length_exceeded"}}, 500),
        ({"error": {"message": "m", "code": None}}, 500),
        ({"error": {"message": "m", "code": 200}}, 500),
        ({"error": "out of memory"}, 500),
        ({"object": "error", "message": "m", "code": 400}, 400),
    ],
)
def test_an_error_event_is_the_error_it_would_have_been(error, status):
    with pytest.raises(BackendError) as raised:
        after(event(ROLE), event(error))
    assert raised.value.status == status
    assert raised.value.error
