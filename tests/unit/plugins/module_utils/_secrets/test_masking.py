# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hiding values in texts that others wrote."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._secrets.masking import masked_forms, redact

VALUE = 'sk-Zk2m/Vb8+"Xw1'


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        base64.b64encode(VALUE.encode()).decode().rstrip("="),
        quote(VALUE, safe=""),
        json.dumps(VALUE),
    ],
)
def test_hides_every_spelling(form: str) -> None:
    assert redact(f"webhook said: {form}.", [VALUE.encode()]).strip('"').replace('"', "") == "webhook said: ********."


def test_hides_a_value_whose_white_space_somebody_cut_off() -> None:
    assert redact("key abcdefgh refused", [b"abcdefgh\n"]) == "key ******** refused"


def test_hides_the_longer_of_two_values_whole() -> None:
    assert redact("abcdefghijkl", [b"abcdefgh", b"abcdefghijkl"]) == "********"


def test_leaves_words_alone_that_are_too_short_to_be_searched_for() -> None:
    assert redact("namespace ml", [b"ml", b"a"]) == "namespace ml"


def test_hides_the_base64_of_bytes_that_are_no_text() -> None:
    raw = b"\xff\xfe\x00\x01\x02\x03"
    assert masked_forms([raw]) >= {base64.b64encode(raw).decode()}


@given(st.lists(st.text(min_size=6, max_size=30).filter(lambda text: text.strip() == text and "*" not in text)), st.text())
def test_no_value_is_left_in_any_text(values: list[str], text: str) -> None:
    left = redact(text.join(["", *values, ""]), [value.encode() for value in values])
    assert not [value for value in values if value in left and value not in text]
