# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client asked for, and how the backend is asked for it."""

from __future__ import annotations

import json

import pytest

from first_token.question import read


def test_a_whole_answer_is_asked_for_as_a_stream_with_its_usage():
    question = read('{"model": "m", "messages": [{"role": "user", "content": "Zürich"}], "temperature": 0.2}'.encode())
    assert not question.streams
    assert json.loads(question.as_stream()) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Zürich"}],
        "temperature": 0.2,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_other_options_of_a_stream_are_kept():
    asked = json.loads(read(b'{"stream": false, "stream_options": {"continuous_usage_stats": true}}').as_stream())
    assert asked["stream_options"] == {"continuous_usage_stats": True, "include_usage": True}


def test_half_a_surrogate_pair_is_passed_on():
    asked = read(rb'{"messages": [{"role": "user", "content": "cut \ud83d"}]}').as_stream()
    assert json.loads(asked)["messages"][0]["content"] == "cut \ud83d"


@pytest.mark.parametrize(
    ("body", "streams"), [(b'{"stream": true}', True), (b'{"stream": false}', False), (b'{"stream": null}', False), (b"{}", False)]
)
def test_it_is_known_who_streams(body, streams):
    assert read(body).streams is streams


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff"])
def test_what_is_no_question_is_none(body):
    assert read(body) is None


@pytest.mark.parametrize("name", ["prompt_logprobs", "use_beam_search", "audio"])
def test_what_cannot_be_streamed_is_left_alone(name):
    assert not read(json.dumps({name: 1}).encode()).can_stream
    assert read(json.dumps({name: None}).encode()).can_stream


def test_it_is_known_who_offers_tools():
    assert read(b'{"tools": [{}]}').offers_tools
    assert not read(b'{"tools": []}').offers_tools
