# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks of values: the same for the same, telling nothing else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._secrets.fingerprint import checksum, fingerprint

VALUES = st.dictionaries(st.text(alphabet="ABC_", min_size=1), st.binary())


def test_the_same_value_has_the_same_fingerprint() -> None:
    assert fingerprint("uid-1", "KEY", b"value") == fingerprint("uid-1", "KEY", b"value") == "df38251e3c7e"


def test_another_secret_key_or_value_has_another_fingerprint() -> None:
    marks = [fingerprint(*of) for of in (("uid-1", "KEY", b"v"), ("uid-2", "KEY", b"v"), ("uid-1", "YEK", b"v"), ("uid-1", "KEY", b"w"))]
    assert len(set(marks)) == len(marks)


@given(VALUES, VALUES)
def test_the_checksum_changes_when_and_only_when_the_values_do(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (checksum("uid", one) == checksum("uid", other)) == (one == other)


@given(VALUES)
def test_the_checksum_does_not_depend_on_the_order_of_keys(values: dict[str, bytes]) -> None:
    assert checksum("uid", values) == checksum("uid", dict(reversed(values.items())))


def test_a_value_cannot_move_from_one_key_to_the_next_unnoticed() -> None:
    assert checksum("uid", {"A": b"1", "B": b"2"}) != checksum("uid", {"A": b"12", "B": b""})


@given(st.binary(min_size=1))
def test_a_mark_is_hexadecimal_only(value: bytes) -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", fingerprint("uid", "KEY", value))
    assert re.fullmatch(r"[0-9a-f]{64}", checksum("uid", {"KEY": value}))
