# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upstream.faults import Fault
from upstream.prompt import Question, Script, Tool, Turn, count_words, script_in
from upstream.reply import example_of, reply_to, tokens_of

WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})


def asked(text: str, *more: Turn, **fields: object) -> Question:
    return Question(model="m", turns=(Turn("user", text), *more), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("say [tokens=40 rate=10 first=0.5] please", Script(tokens=40, rate=10, first=0.5)),
        ("[first=1] and then [first=2]", Script(first=2)),
        ("[tool]", Script(tools=("",))),
        ("[tool=a tool=b]", Script(tools=("a", "b"))),
        ('[tool=a args={"list": [1, "]"]} tokens=3]', Script(tokens=3, tools=("a",), args={"list": [1, "]"]})),
        ("[tokens=many]", Script()),
        ("[tokens=-1]", Script()),
        ("[rate=nan]", Script()),
        ("[tokens=1 and more]", Script()),
        ("[tokens=1", Script()),
        ("[toolbox] [first]", Script()),
        ("a list[0] and [a link](http://example.org)", Script()),
    ],
)
def test_a_prompt_scripts_its_answer_only_when_all_of_it_is_understood(text: str, script: Script) -> None:
    assert script_in(text) == script


@given(st.text(alphabet='[]tokens= rate1.{}"', max_size=40))
def test_no_prompt_breaks_the_script_reader(text: str) -> None:
    script_in(text)


def test_the_script_is_read_from_the_last_message_of_the_user() -> None:
    turns = (Turn("user", "[tokens=1]"), Turn("assistant", "[tokens=2]"), Turn("user", "[tokens=3]"), Turn("assistant", "[tokens=4]"))
    assert Question(model="m", turns=turns).script.tokens == 3


@given(st.text())
def test_the_tokens_of_a_text_are_its_words_and_joined_they_are_the_text(text: str) -> None:
    words = tokens_of(text)
    assert len(words) == count_words(text)
    if words:
        assert "".join(words) == text


def test_an_answer_tells_its_number_its_host_and_the_model() -> None:
    assert reply_to(asked("hi"), "vllm-api", 17, 0).text == "Answer 17 from vllm-api (m)"


def test_the_same_question_gets_the_same_answer() -> None:
    assert reply_to(asked("hi"), "h", 1, 5) == reply_to(asked("hi"), "h", 1, 5)


@given(st.integers(0, 60))
def test_a_scripted_number_of_tokens_is_what_comes_and_what_is_counted(tokens: int) -> None:
    reply = reply_to(asked(f"one two [tokens={tokens}]"), "h", 1, 0)
    assert len(reply.words) == reply.completion_tokens == tokens
    assert reply.prompt_tokens == 3


def test_the_limit_of_tokens_cuts_the_answer() -> None:
    reply = reply_to(asked("[tokens=9]", max_tokens=4), "h", 1, 0)
    assert (reply.completion_tokens, reply.finish) == (4, "length")
    assert reply_to(asked("[tokens=9]", max_tokens=9), "h", 1, 0).finish == "stop"


def test_rate_and_first_token_make_the_duration() -> None:
    assert reply_to(asked("[tokens=5 rate=2 first=1]"), "h", 1, 0).duration == 3.0


def test_a_slow_host_is_slower_than_the_script() -> None:
    reply = reply_to(asked("[tokens=5 rate=100 first=1]"), "h", 1, 0, Fault(kind="slow", first_token=2, tokens_per_second=4))
    assert (reply.first, reply.gap) == (2, 0.25)


def test_tools_are_called_only_when_the_prompt_or_the_client_asks_for_it() -> None:
    assert reply_to(asked("use your tool get_weather", tools=(WEATHER,)), "h", 1, 0).tool_calls == ()
    assert reply_to(asked("[tool]"), "h", 1, 0).tool_calls == ()
    assert [call.name for call in reply_to(asked("[tool]", tools=(WEATHER,)), "h", 1, 0).tool_calls] == ["get_weather"]
    assert [call.name for call in reply_to(asked("hi", tools=(WEATHER,), must_call=""), "h", 1, 0).tool_calls] == ["get_weather"]


def test_a_tool_that_is_not_offered_is_not_called() -> None:
    assert reply_to(asked("[tool=other]", tools=(WEATHER,)), "h", 1, 0).text == "Answer 1 from h (m)"


def test_a_call_has_the_scripts_arguments_or_examples_for_the_required_ones() -> None:
    scripted = reply_to(asked('[tool=get_weather args={"city": "Bern"}]', tools=(WEATHER,)), "h", 1, 0)
    assert scripted.tool_calls[0].arguments == {"city": "Bern"}
    assert reply_to(asked("[tool]", tools=(WEATHER,)), "h", 1, 0).tool_calls[0].arguments == {"city": "example"}


def test_after_a_tools_result_comes_the_final_text() -> None:
    reply = reply_to(asked("[tool]", Turn("assistant", ""), Turn("tool", "12 degrees"), tools=(WEATHER,), must_call=""), "h", 2, 0)
    assert (reply.text, reply.finish) == ("Answer 2 from h (m) with 1 tool result", "stop")


def test_a_schema_gets_a_value_that_fits_it() -> None:
    schema = {
        "type": "object",
        "properties": {
            "unit": {"enum": ["c", "f"]},
            "days": {"type": ["null", "integer"]},
            "deep": {"properties": {"on": {"type": "boolean"}}},
        },
        "required": ["unit", "days", "deep"],
    }
    assert example_of(schema) == {"unit": "c", "days": 1, "deep": {"on": True}}


def test_a_client_that_wants_json_gets_it() -> None:
    assert json.loads(reply_to(asked("hi", wants_json=True), "h", 1, 0).text) == {"answer": "Answer 1 from h (m)"}


def test_an_empty_answer_has_no_token_and_a_wrong_model_another_name() -> None:
    assert reply_to(asked("[tool]", tools=(WEATHER,)), "h", 1, 0, Fault(kind="empty")).completion_tokens == 0
    assert reply_to(asked("hi"), "h", 1, 0, Fault(kind="wrong_model", answers_as="x")).model == "x"
