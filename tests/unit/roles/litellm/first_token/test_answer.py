# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chunks of a stream joined into one answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from openai_chunks import ROLE, STOP, USAGE, chunk

from first_token.answer import Answer


def join(chunks):
    answer = Answer()
    for each in chunks:
        answer.add(each)
    return answer.whole()


def message(*chunks):
    return join([ROLE, *chunks])["choices"][0]["message"]


def call(index, name=None, arguments=None, **more):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**({} if index is None else {"index": index}), "function": function, **more}


@given(st.lists(st.text(max_size=5), max_size=8), st.lists(st.text(max_size=5), max_size=4))
def test_texts_are_joined(words, thoughts):
    chunks = [chunk({"reasoning_content": each}) for each in thoughts] + [chunk({"content": each}) for each in words]
    joined = message(*chunks, STOP)
    assert joined["content"] == "".join(words)
    assert joined.get("reasoning_content", "") == "".join(thoughts)


def test_an_answer_is_a_chat_completion():
    assert join([ROLE, chunk({"content": "Hi"}), STOP, USAGE]) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "qwen",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }


def test_fields_of_a_server_are_kept():
    joined = join([{**ROLE, "system_fingerprint": "fp", "service_tier": None}, chunk({"content": "x"}, "stop", stop_reason=7)])
    assert joined["system_fingerprint"] == "fp"
    assert joined["choices"][0]["stop_reason"] == 7


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3)), max_size=20))
def test_choices_do_not_mix(parts):
    joined = join([chunk({"content": text}, index=index) for index, text in parts])
    expected: dict[int, str] = {}
    for index, text in parts:
        expected[index] = expected.get(index, "") + text
    assert {choice["index"]: choice["message"]["content"] for choice in joined["choices"]} == expected
    assert [choice["index"] for choice in joined["choices"]] == sorted(expected)


@given(st.lists(st.tuples(st.integers(0, 2), st.text(max_size=4)), max_size=20))
def test_arguments_are_joined_by_the_index_of_their_call(parts):
    first = [chunk({"tool_calls": [call(index, f"f{index}", "", id=f"id{index}", type="function")]}) for index in range(3)]
    joined = message(*first, *(chunk({"tool_calls": [call(index, None, text)]}) for index, text in parts))
    assert joined["tool_calls"] == [
        {
            "id": f"id{index}",
            "type": "function",
            "function": {"name": f"f{index}", "arguments": "".join(text for at, text in parts if at == index)},
        }
        for index in range(3)
    ]
    assert joined["content"] is None


def test_a_name_that_is_repeated_is_told_once():
    again = [chunk({"tool_calls": [call(0, "f", part, id="a", type="function")]}) for part in ("{", "}")]
    assert message(*again)["tool_calls"] == [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_calls_without_an_index_are_told_apart_by_their_id():
    parts = [call(None, "f", "{}", id="a"), call(None, "g", "{}", id="b"), call(None, None, " ", id="b"), call(None, None, " ")]
    joined = message(*(chunk({"tool_calls": [part]}) for part in parts))
    assert [each["function"] for each in joined["tool_calls"]] == [{"name": "f", "arguments": "{}"}, {"name": "g", "arguments": "{}  "}]


def test_calls_that_all_count_as_the_first_are_told_apart():
    """As Ollama sends them: whole, each with an id, all of index 0."""
    joined = message(*(chunk({"tool_calls": [call(0, name, "{}", id=name.upper())]}) for name in "fg"))
    assert [(each["id"], each["function"]) for each in joined["tool_calls"]] == [
        ("F", {"name": "f", "arguments": "{}"}),
        ("G", {"name": "g", "arguments": "{}"}),
    ]


def test_parts_of_a_call_may_have_an_id_each():
    parts = [call(0, "f", "{", id="a"), call(0, None, '"x": 1', id="b"), call(0, None, "}", id="c")]
    joined = message(*(chunk({"tool_calls": [part]}) for part in parts))
    assert [each["function"] for each in joined["tool_calls"]] == [{"name": "f", "arguments": '{"x": 1}'}]


def test_a_call_that_comes_whole_is_one():
    joined = message(chunk({"tool_calls": [call(0, "f", "{}", id="a"), call(1, "g", "{}", id="b")]}))
    assert [each["id"] for each in joined["tool_calls"]] == ["a", "b"]


def test_the_old_form_of_a_call_is_joined():
    joined = message(chunk({"function_call": {"name": "f", "arguments": "{"}}), chunk({"function_call": {"arguments": "}"}}))
    assert joined["function_call"] == {"name": "f", "arguments": "{}"}


def test_a_text_beside_a_call_is_kept():
    assert message(chunk({"content": "I look."}), chunk({"tool_calls": [call(0, "f", "{}")]}))["content"] == "I look."


def test_logprobs_and_token_ids_are_joined():
    one, two = ({"token": text, "logprob": -0.1, "bytes": [97], "top_logprobs": []} for text in "ab")
    joined = join(
        [
            chunk({"content": "a"}, logprobs={"content": [one], "refusal": None}, token_ids=[1]),
            chunk({"content": "b"}, "stop", logprobs={"content": [two]}, token_ids=[2]),
        ]
    )
    assert joined["choices"][0]["logprobs"] == {"content": [one, two]}
    assert joined["choices"][0]["token_ids"] == [1, 2]


def test_an_answer_without_a_text_has_none():
    assert message()["content"] == ""
    assert join([chunk({"role": "assistant"}), STOP])["choices"][0]["message"]["content"] is None


def test_the_chunks_stay_as_they_were():
    part = chunk({"tool_calls": [call(0, "f", "{")], "annotations": [{"type": "x"}]})
    before = repr(part)
    join([part, chunk({"tool_calls": [call(0, None, "}")], "annotations": [{"type": "y"}]})])
    assert repr(part) == before
