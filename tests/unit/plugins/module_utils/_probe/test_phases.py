# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_drill import OLLAMA, PHASES, VLLM, ZERO, answer

from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases


@pytest.mark.parametrize(
    ("after", "phase"), [(0, "steady"), (9.9, "steady"), (10, "fault"), (39, "fault"), (40, "restore"), (46, "recovery"), (60, "recovery")]
)
def test_a_moment_has_one_phase(after: float, phase: str):
    assert PHASES.at(ZERO + after) == phase


def test_a_request_that_the_fault_met_under_way_belongs_to_the_fault():
    assert PHASES.of(answer(1, OLLAMA, ZERO + 9, 3)) == "fault"
    assert PHASES.of(answer(1, VLLM, ZERO + 9, 0.5)) == "steady"


def test_without_a_fault_all_is_steady():
    assert Phases(0, 60).spans() == {"steady": (0, 60)}


def test_a_fault_that_was_never_undone_lasts_to_the_end():
    assert Phases(0, 60, 10, 11).spans() == {"steady": (0, 10), "fault": (10, 60)}


@pytest.mark.parametrize("times", [(10, 5), (0, 60, 10, 9), (0, 60, 10, 11, 40, 39), (0, 60, 70)])
def test_phases_out_of_order_are_refused(times):
    with pytest.raises(ValueError, match="the phases are not in order"):
        Phases(*times)


@given(st.lists(st.floats(0, 100), min_size=6, max_size=6), st.floats(-10, 110))
def test_phases_follow_each_other_without_a_gap(times: list[float], moment: float):
    begun, commanded, effective, restore, ready, ended = sorted(times)
    phases = Phases(begun, ended, commanded, effective, restore, ready)
    spans = list(phases.spans().values())
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert (spans[0][0], spans[-1][1]) == (begun, ended)
    assert phases.at(moment) in phases.spans()
