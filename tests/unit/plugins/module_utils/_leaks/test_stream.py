# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values are found in whatever form, wherever they stand and however the stream is cut; and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import random
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._leaks.matcher import Matcher
from ansible_collections.homelab.llm.plugins.module_utils._leaks.needle import needles_of, why_not
from ansible_collections.homelab.llm.plugins.module_utils._leaks.stream import Looked, look_through

ROOT = Path(__file__).resolve().parents[5]

KEY = b'sk-ant-oat01-Zk2m/Vb8+Xw1"Qq7&hJ_4-pL9<sD'
ALPHABET = string.ascii_letters + string.digits + "-_"

VALUES = st.one_of(st.binary(min_size=12, max_size=80), st.text(ALPHABET, min_size=12, max_size=80).map(str.encode))
SURROUNDINGS = st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode))
#: A machine may be busy: speed is for the bench to measure.
unhurried = settings(deadline=None, max_examples=60)

CUTS = st.lists(st.integers(1, 30), max_size=8)


def looked(value: bytes, text: bytes, cuts: list[int] | None = None, chunk: int = 64) -> Looked:
    """Look through a text that comes in pieces of the lengths `cuts`, and then of one byte less than a chunk."""
    pieces, at = [], 0
    for length in cuts or []:
        pieces.append(text[at : at + length])
        at += length
    pieces += [text[start : start + chunk - 1] for start in range(at, len(text), chunk - 1)]
    return look_through(Matcher(needles_of(0, value)), pieces, chunk)


def forms(found: Looked) -> set[tuple[str, str]]:
    return {(form, part) for _value, form, part in found.found}


def at(alignment: int) -> Callable[[bytes], bytes]:
    return lambda value: base64.b64encode(b"x" * alignment + value + b"yz")


PLANTED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("plain", lambda value: value, "whole"),
    ("base64+0", at(0), "whole"),
    ("base64+1", at(1), "whole"),
    ("base64+2", at(2), "whole"),
    ("base64+0", lambda value: base64.urlsafe_b64encode(value), "whole"),
    ("base64+0, split over lines", lambda value: base64.encodebytes(b"-" * 30 + value), "whole"),
    ("plain, URL-encoded", lambda value: quote(value, safe="").encode(), "whole"),
    ("plain, URL-encoded", lambda value: quote(quote(value, safe="")).encode(), "whole"),
    ("plain, URL-encoded", lambda value: value.replace(b"/", b"%2f"), "whole"),
    ("plain, split over lines", lambda value: value[:9] + b"\n" + value[9:], "whole"),
    ("plain, split over lines", lambda value: value[:20] + b"\r\n        " + value[20:], "whole"),
    ("plain", lambda value: json.dumps(value.decode())[1:-1].encode(), "whole"),
    ("plain", lambda value: json.dumps(json.dumps(value.decode()))[3:-3].encode(), "whole"),
    ("plain, JSON-escaped", lambda value: value.replace(b"&", b"\\u0026").replace(b"<", b"\\u003c"), "whole"),
    ("plain, HTML-escaped", lambda value: html.escape(value.decode()).encode(), "whole"),
    ("plain", lambda value: value[-12:], "end"),
    ("plain", lambda value: value[:14], "start"),
    ("plain", lambda value: value[13:25], "middle"),
    ("base64+2", lambda value: base64.b64encode(b"x" + value[-12:] + b"y"), "end"),
]


@pytest.mark.parametrize(("form", "write", "part"), PLANTED)
def test_a_planted_leak_is_found_and_its_form_named(form: str, write: Callable[[bytes], bytes], part: str) -> None:
    text = b"2026-11-21 INFO ready\n" * 10 + b"upstream said: " + write(KEY) + b" is invalid\n" + b"2026-11-21 INFO again\n" * 10
    found = looked(KEY, text, chunk=1 << 20)
    assert (form, part) in forms(found)
    (where,) = {tally.lines[0] for tally in found.found.values()}
    assert where == 11


@unhurried
@given(VALUES, SURROUNDINGS, SURROUNDINGS, CUTS)
@example(b"deadbeefcafe", b"100%", b"", [])
@example(b"nnnabcdefghi", b"C:\\", b"", [])
def test_any_value_is_found_whatever_stands_around_it_and_wherever_the_stream_is_cut(
    value: bytes, before: bytes, behind: bytes, cuts: list[int]
) -> None:
    assume(why_not(value) is None)
    assert looked(value, before + value + behind, cuts).found


@unhurried
@given(VALUES, st.integers(0, 200), st.integers(0, 200), CUTS)
def test_any_value_is_found_in_base64_at_any_alignment(value: bytes, before: int, behind: int, cuts: list[int]) -> None:
    assume(why_not(value) is None and 1 in needles_of(0, value)[-1].telling)
    text = base64.b64encode(b"\xfe" * before + value + b"\xfd" * behind)
    assert any(form.startswith("base64") for form, _part in forms(looked(value, text, cuts)))


@unhurried
@given(st.text(min_size=12, max_size=60), st.text(max_size=20), CUTS)
def test_any_text_is_found_as_json_and_urls_write_it(value: str, around: str, cuts: list[int]) -> None:
    plain = value.encode()
    assume(why_not(plain) is None and "\\" not in value)
    for text in (json.dumps(around + value), quote(value, safe=""), quote_plus(value)):
        assert looked(plain, text.encode(), cuts).found


@unhurried
@given(VALUES, st.data(), CUTS)
def test_any_fragment_of_twelve_characters_is_found(value: bytes, data: st.DataObject, cuts: list[int]) -> None:
    assume(why_not(value) is None)
    (plain, *_others) = needles_of(0, value)
    assume(plain.form == "plain")
    start = data.draw(st.integers(0, len(plain.text) - 12))
    assume(plain.tells(start, start + 12))
    assert looked(value, b"<" * 30 + plain.text[start : start + 12] + b">" * 30, cuts).found


@unhurried
@given(st.text(ALPHABET, min_size=12, max_size=60), st.integers(1, 59), st.sampled_from(["\n", "\r\n", "\n    ", "\\n", "\n\t"]))
def test_a_value_split_over_two_lines_is_found_whole(value: str, where: int, line_end: str) -> None:
    assume(why_not(value.encode()) is None and where < len(value))
    text = f"it is {value[:where]}{line_end}{value[where:]} it was".encode()
    assert {part for _form, part in forms(looked(value.encode(), text))} == {"whole"}


@pytest.mark.parametrize("alphabet", [ALPHABET, "0123456789abcdef", ALPHABET + "+/=%&;\\\n"])
def test_random_text_of_the_same_alphabet_is_no_leak(alphabet: str) -> None:
    chance = random.Random(4)  # noqa: S311
    values = ["".join(chance.choices(ALPHABET if len(alphabet) > 16 else alphabet, k=48)).encode() for _ in range(40)]
    matcher = Matcher(needle for number, value in enumerate(values) for needle in needles_of(number, value))
    text = "".join(chance.choices(alphabet, k=1_000_000)).encode()
    assert not look_through(matcher, [text]).found


@unhurried
@given(st.text(ALPHABET, min_size=12, max_size=60), st.integers(0, 48), st.integers(0, 11))
def test_fewer_than_twelve_characters_are_no_leak(value: str, start: int, length: int) -> None:
    assume(why_not(value.encode()) is None)
    assert not looked(value.encode(), b"<" + value[start : start + length].encode() + b">").found


@unhurried
@given(CUTS, st.integers(1, 6), st.integers(200, 9000))
def test_every_leak_is_counted_once_with_its_line_however_the_stream_is_cut(cuts: list[int], times: int, chunk: int) -> None:
    between = b"2026-11-21 INFO nothing to see here\n" * 50
    text = (between + b"key=" + KEY + b"\n") * times
    found = looked(KEY, text, cuts, chunk)
    ((key, tally),) = found.found.items()
    assert key == (0, "plain", "whole")
    assert (tally.count, tally.lines) == (times, [51 * nth for nth in range(1, times + 1)])
    assert tally.offset == text.index(KEY)
    assert found.size == len(text)


def test_the_lines_of_a_leak_in_a_loop_are_not_all_kept() -> None:
    ((tally),) = looked(KEY, (KEY + b"\n") * 5000, chunk=1 << 16).found.values()
    assert (tally.count, tally.lines) == (5000, list(range(1, 11)))


def test_values_are_told_apart() -> None:
    values = [b"alpha-0123456789", b"gamma-9876543210"]
    matcher = Matcher(needle for number, value in enumerate(values) for needle in needles_of(number, value))
    found = look_through(matcher, [b"one ", values[1], b" two ", values[0], b" three ", values[1]])
    assert {key[0]: tally.count for key, tally in found.found.items()} == {0: 1, 1: 2}


MEMORY = """
import resource, secrets, sys
from ansible_collections.homelab.llm.plugins.module_utils._leaks.matcher import Matcher
from ansible_collections.homelab.llm.plugins.module_utils._leaks.needle import needles_of
from ansible_collections.homelab.llm.plugins.module_utils._leaks.stream import look_through
values = [secrets.token_urlsafe(40).encode() for _ in range(20)]
line = b'{"level": "INFO", "text": "a line of a log, with 100%25 of \\\\"escapes\\\\" in it"}\\n'
piece = line * 800 + values[0] + b"\\n"
matcher = Matcher(needle for number, value in enumerate(values) for needle in needles_of(number, value))
found = look_through(matcher, (piece for _ in range(int(sys.argv[1]))))
assert found.found
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, found.size)
"""


def test_the_memory_does_not_grow_with_the_stream() -> None:
    peaks = []
    for pieces in ("32", "128"):
        command = [sys.executable, "-c", MEMORY, pieces]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT / "collections")})
        assert done.returncode == 0, done.stderr
        peak, size = (int(word) for word in done.stdout.split())
        assert size > int(pieces) * 60_000
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 4096, f"{peaks} KiB"
