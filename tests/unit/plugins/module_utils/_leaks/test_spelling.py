# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One spelling for all ways to write a text."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._leaks.spelling import (
    Origins,
    decoded,
    decoded_if_escaped,
    folded,
    spellings,
    trace,
)

#: Rich in what escapes are made of.
PARTS = [b"\\", b"n", b"u", b"0", b"0", b"6", b"1", b"%", b"25", b"&amp;", b"&#39;", b" ", b"\n", b"x"]
LIKE_ESCAPES = st.lists(st.sampled_from(PARTS)).map(b"".join)


@pytest.mark.parametrize(
    "written",
    [
        b'a"b/c',
        b'a\\"b\\/c',
        b"a%22b%2Fc",
        b"a%2522b%252fc",
        b"a\\u0022b\\u002fc",
        b"a&quot;b/c",
        b"a&amp;quot;b&#47;c",
        b"a&#x22;b\\x2fc",
        b'a\n    "b/c',
        b'a\\n"b/c',
        b'a\\\\\\n\\\\"b/c',
        'a"b/c'.encode("utf-16-le"),
    ],
)
def test_all_ways_to_write_a_text_have_one_spelling(written: bytes) -> None:
    assert decoded(written) == b'a"b/c'


def test_both_alphabets_of_base64_are_one() -> None:
    assert folded(b"a-b_c") == folded(b"a+b/c")


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_folding_does_not_depend_on_what_stands_around(left: bytes, right: bytes) -> None:
    assert folded(left + right) == folded(left) + folded(right)


@settings(deadline=None)
@given(st.text())
def test_what_json_html_and_urls_make_of_a_text_is_decoded_to_the_text(text: str) -> None:
    plain = text.encode()
    for written in (json.dumps(text)[1:-1], quote(text, safe="")):
        if decoded_if_escaped(plain) is None and "\\" not in text:
            assert decoded(written.encode()) == folded(plain)
    if decoded_if_escaped(plain) is None:
        assert decoded(html.escape(text).encode()) == folded(plain)


@settings(deadline=None)
@given(st.one_of(LIKE_ESCAPES, st.binary()))
def test_a_trace_makes_the_same_views(text: bytes) -> None:
    assert trace(text, decode=False).view == folded(text)
    assert trace(text, decode=True).view == decoded(text)


@settings(deadline=None)
@given(st.one_of(LIKE_ESCAPES, st.binary(min_size=1)), st.data())
def test_a_trace_leads_back_to_what_a_piece_was_written_as(text: bytes, data: st.DataObject) -> None:
    for decode in (False, True):
        traced = trace(text, decode=decode)
        if traced.view:
            start = data.draw(st.integers(0, len(traced.view) - 1))
            end = data.draw(st.integers(start + 1, len(traced.view)))
            first, last = traced.span(start, end)
            again = trace(text[first:last], decode=decode).view
            assert 0 <= first < last <= len(text)
            assert traced.view[start:end] in again


@settings(deadline=None)
@given(st.lists(st.one_of(LIKE_ESCAPES, st.binary(max_size=20))), st.integers(1, 600), st.data())
def test_a_long_text_leads_back_as_a_whole_does(lines: list[bytes], times: int, data: st.DataObject) -> None:
    text = b"\n".join(lines * times)[:20_000]
    for decode in (False, True):
        traced, origins = trace(text, decode=decode), Origins(text, decode=decode)
        if traced.view:
            start = data.draw(st.integers(0, len(traced.view) - 1))
            end = data.draw(st.integers(start + 1, len(traced.view)))
            assert origins.span(start, end) == traced.span(start, end)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"abc", []),
        (b"ab\n  c", ["split over lines"]),
        (b"ab%2Fc", ["URL-encoded"]),
        (b"ab&amp;c", ["HTML-escaped"]),
        (b"ab\\u0026c", ["JSON-escaped"]),
        (b"a\\nb%2Fc", ["split over lines", "URL-encoded", "JSON-escaped"]),
    ],
)
def test_says_how_a_value_is_written(written: bytes, said: list[str]) -> None:
    assert spellings(written, decode=True) == said
