# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-sent events, however the network cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from first_token.events import Events

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
#: One line of data: anything but a line's end. A surrogate has no UTF-8.
LINES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)


def cut(text: bytes, at: list[int]) -> list[bytes]:
    places = sorted({place % (len(text) + 1) for place in at})
    return [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]


def read(pieces: list[bytes]) -> list[str]:
    events = Events()
    return [data for piece in pieces for data in events.feed(piece)] + events.end()


@given(st.lists(st.lists(LINES, min_size=1, max_size=3), max_size=5), LINE_ENDS, st.booleans(), st.lists(st.integers(0, 999), max_size=9))
def test_events_are_the_same_wherever_the_bytes_are_cut(events, line_end, begins_with_mark, places):
    text = "".join("".join(f"data: {line}{line_end}" for line in lines) + line_end for lines in events)
    content = (b"\xef\xbb\xbf" if begins_with_mark else b"") + text.encode()
    assert read(cut(content, places)) == ["\n".join(lines) for lines in events]


@given(st.binary(max_size=80), st.lists(st.integers(0, 99), max_size=6))
def test_no_bytes_break_the_parser_and_no_cut_changes_what_they_mean(content, places):
    assert read(cut(content, places)) == read([content])


def test_each_event_is_told_with_the_piece_that_ends_it():
    events = Events()
    assert events.feed(b"data: one\n") == []
    assert events.feed(b"\ndata: tw") == ["one"]
    assert events.feed(b"o\n\n") == ["two"]


@pytest.mark.parametrize("line", [b": ping", b"event: message", b"id: 7", b"retry: 10", b"nonsense", b": data: x"])
def test_other_lines_are_no_data(line):
    assert read([line + b"\n\ndata: x\n\n"]) == ["x"]


def test_only_one_space_after_the_colon_is_none_of_the_data():
    assert read([b"data:x\n\ndata:  y\n\n"]) == ["x", " y"]


def test_the_last_event_counts_without_its_blank_line():
    assert read([b"data: x"]) == ["x"]
