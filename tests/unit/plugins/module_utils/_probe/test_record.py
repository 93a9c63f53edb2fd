# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_drill import VLLM, answer

from ansible_collections.homelab.llm.plugins.module_utils._probe.record import FINISHES, Request, line_of, parse

TIMES = st.floats(0, 1e6)
REQUESTS = st.builds(
    Request,
    id=st.text(min_size=1),
    load=st.text(),
    asked=st.text(),
    stream=st.booleans(),
    t_due=TIMES,
    t_start=st.just(1e6),
    t_end=st.floats(1e6, 2e6),
    finish=st.sampled_from(FINISHES),
    t_first=st.none() | TIMES,
    error=st.text(),
    said=st.text(),
)


@given(REQUESTS)
def test_a_request_survives_being_written_and_read(request: Request):
    line = line_of(request)
    assert "\n" not in line
    assert parse([line]).requests == (request,)


@given(st.text())
def test_no_line_whatsoever_breaks_the_reader(line: str):
    parse([line])


@pytest.mark.parametrize(
    "spoilt",
    [{"finish": "fine"}, {"t_end": None}, {"t_end": 1.0}, {"t_start": "soon"}, {"kind": 7, "nothing": 1}],
)
def test_a_spoilt_line_is_counted_or_ignored_but_never_a_request(spoilt):
    fields = {**json.loads(line_of(answer(1, VLLM, 1000.0, 0.1))), **spoilt}
    recording = parse([json.dumps(fields)])
    assert recording.requests == ()
    assert recording.broken_lines == (1 if "kind" not in spoilt else 0)


def test_a_line_without_a_kind_is_broken():
    assert parse(["{}", "[]", "3", "torn {"]).broken_lines == 4


def test_a_newer_worker_may_tell_more():
    fields = {**json.loads(line_of(answer(1, VLLM, 1000.0, 0.1))), "colour": "blue"}
    assert len(parse([json.dumps(fields)]).requests) == 1


def test_requests_come_in_the_order_of_their_start():
    lines = [line_of(answer(number, VLLM, start, 0.1)) for number, start in enumerate((3.0, 1.0, 2.0))]
    assert [request.t_start for request in parse(lines).requests] == [1.0, 2.0, 3.0]


def test_a_stream_is_waited_for_until_its_first_text_and_all_else_until_its_end():
    assert answer(1, VLLM, 1000.0, 0.25, stream=True, t_end=1009.0).wait == 0.25
    assert answer(1, VLLM, 1000.0, 0.25, stream=False, t_end=1009.0).wait == 9.0
    assert answer(1, VLLM, 1000.0, 0.25, stream=True, t_first=None, t_end=1009.0).wait == 9.0
