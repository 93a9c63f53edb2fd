# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Exchange, find_jumps, offset_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import Beat

DELAYS = st.tuples(st.floats(0, 3), st.floats(0, 3))


@given(st.floats(-1e5, 1e5), st.lists(DELAYS, min_size=1, max_size=9))
def test_the_true_offset_is_within_the_error_whatever_the_ways_took(offset: float, delays: list[tuple[float, float]]):
    exchanges = [Exchange(10.0 * at, 10.0 * at + there + offset, 10.0 * at + there + back) for at, (there, back) in enumerate(delays)]
    found = offset_of(exchanges)
    assert abs(found.seconds - offset) <= found.error + 1e-6
    assert found.error <= min(there + back for there, back in delays) / 2 + 1e-6


def test_one_fast_exchange_is_enough():
    assert offset_of([Exchange(0, 102, 4), Exchange(10, 110.001, 10.002)]).error == pytest.approx(0.001)


def test_a_clock_that_jumped_between_two_exchanges_has_no_offset():
    with pytest.raises(ValueError, match=r"one of them jumped by at least 4\.998 s"):
        offset_of([Exchange(0, 100.001, 0.002), Exchange(10, 115.001, 10.002)])


def test_clocks_that_were_never_compared_have_no_offset():
    with pytest.raises(ValueError, match="never compared"):
        offset_of([])


def test_regular_heartbeats_are_no_jump():
    assert list(find_jumps([Beat(float(at), 5000.0 + at * 1.0004) for at in range(60)])) == []


@pytest.mark.parametrize(
    ("beats", "text"),
    [
        ([Beat(1, 101), Beat(2, 103)], "disagree by 1.00 s within 1.0 s"),
        ([Beat(1, 101), Beat(2, 98)], "disagree by 4.00 s"),
        ([Beat(1, 101), Beat(7, 107)], "silent for 6.0 s"),
        ([Beat(5, 105), Beat(4, 104)], "went back by 1.00 s"),
    ],
)
def test_tells_what_kind_of_jump_it_was(beats: list[Beat], text: str):
    assert text in " ".join(find_jumps(beats))
