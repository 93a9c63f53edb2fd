# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked for, and what cannot be."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._leaks.needle import LONGEST, needles_of, why_not
from ansible_collections.homelab.llm.plugins.module_utils._leaks.public_part import public_mask

ARMOUR = b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqh\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"hunter2", "has fewer than 12 characters"),
        (b"hunter22345", "has fewer than 12 characters"),
        (b"a b c d e f g h i j k", "has fewer than 12 characters"),
        (b"sk-ant-oat01-short", "has, without what all values of its kind begin or end with, fewer than 12 characters"),
        (b"postgresql://litellm:hunter2@postgres.ml.svc.cluster.local:5432/litellm", "has, without what"),
        (b"0" * 40, "repeats the same few characters"),
        (b"x" * (LONGEST + 1), "is longer than 32 KiB"),
    ],
)
def test_says_which_values_cannot_be_looked_for(value: bytes, why: str) -> None:
    assert (why_not(value) or "").startswith(why)


@pytest.mark.parametrize("value", [b"hunter223456", b"sk-ant-oat01-0123456789ab", "schlüssel-öäü".encode(), ARMOUR])
def test_can_look_for_all_others(value: bytes) -> None:
    assert why_not(value) is None


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        (b"sk-ant-api03-Ab12", b"Ab12"),
        (b"sk-ant-oat01-Ab12", b"Ab12"),
        (b"sk-proj-Ab12", b"Ab12"),
        (b"gsk_Ab12", b"Ab12"),
        (b"no-prefix-Ab12", b"no-prefix-Ab12"),
        (b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", b"eyJzdWIiOiIxIn0.c2ln"),
        (ARMOUR, b"\nMIIEvQIBADANBgkqh\n\n"),
        (b"postgresql://user:pa:ss@host:5432/name\n", b"pa:ss"),
        (b"https://host/path?key=Ab12", b"https://host/path?key=Ab12"),
    ],
)
def test_what_all_values_of_a_kind_share_is_public(value: bytes, secret: bytes) -> None:
    mask = public_mask(value)
    assert bytes(byte for byte, public in zip(value, mask, strict=True) if not public) == secret


def test_a_fragment_of_nothing_but_a_providers_prefix_is_no_leak() -> None:
    plain = needles_of(0, b"sk-ant-api03-Zk2mVb8Xw1Qq")[0]
    assert not plain.tells(0, 12)
    assert not plain.tells(1, 13)
    assert plain.tells(2, 14), "one character of the secret behind it"


def test_a_fragment_that_a_public_text_has_is_no_leak() -> None:
    value = b'{"url": "http://litellm.ml.svc:4000", "key": "Zk2mVb8Xw1Qq77"}'
    plain, *encoded = needles_of(0, value, public=[b"see http://litellm.ml.svc:4000/docs"])
    at = plain.text.find(b"http")
    assert not plain.tells(at, at + len(b"http://litellm.ml.svc:4000"))
    assert plain.tells(len(plain.text) - 16, len(plain.text) - 2)
    for needle in encoded:
        found = needle.text.find(base64.b64encode(b"http://litellm.ml.svc:4000")[4:19])
        assert found < 0 or not needle.tells(found, found + 15)


@settings(deadline=None)
@given(st.binary(min_size=12, max_size=60), st.integers(0, 2), st.integers(0, 5))
def test_the_base64_at_each_alignment_is_in_that_of_any_text_around(value: bytes, alignment: int, behind: int) -> None:
    text = base64.b64encode(b"\xff" * alignment + value + b"\xff" * behind).replace(b"-", b"+").replace(b"_", b"/")
    for needle in needles_of(0, value):
        if needle.form == f"base64+{alignment}":
            assert needle.text in text
