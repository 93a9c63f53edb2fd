# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An .env file is added to: nothing that a person wrote there is changed."""

from __future__ import annotations

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._stack.env_file import EnvFileError, Generate, merge, values_in

THEIRS = """\
# my keys
ANTHROPIC_API_KEY=theirs   # from the console
export OPENAI_API_KEY='quo#ted'

EMPTY=
"""


def test_values_are_read_as_compose_reads_them() -> None:
    assert values_in(THEIRS) == {"ANTHROPIC_API_KEY": "theirs", "OPENAI_API_KEY": "quo#ted", "EMPTY": ""}


def test_a_value_that_is_there_stays_with_every_byte_of_the_file() -> None:
    merged = merge(THEIRS, {"ANTHROPIC_API_KEY": "ours", "OPENAI_API_KEY": ""}, {})
    assert (merged.text, merged.added) == (THEIRS, ())
    assert merged.names == ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")


def test_an_empty_one_is_filled_in_where_it_stands_and_a_new_one_comes_last() -> None:
    merged = merge(THEIRS, {"EMPTY": "full", "NEW": "n"}, {})
    assert merged.text == THEIRS.replace("EMPTY=", "EMPTY=full") + "NEW=n\n"
    assert merged.added == ("EMPTY", "NEW")


def test_what_is_generated_is_made_once() -> None:
    first = merge("", {}, {"LITELLM_MASTER_KEY": Generate("sk-")})
    assert values_in(first.text)["LITELLM_MASTER_KEY"].startswith("sk-")
    assert len(values_in(first.text)["LITELLM_MASTER_KEY"]) == len("sk-") + 48
    assert merge(first.text, {}, {"LITELLM_MASTER_KEY": Generate("sk-")}).text == first.text


def test_a_given_value_goes_before_a_generated_one() -> None:
    assert values_in(merge("", {"KEY": "given"}, {"KEY": Generate()}).text) == {"KEY": "given"}


@pytest.mark.parametrize("value", ["plain-1.2_3:4/5+6=", "with space", "dollar$HOME", 'double"quote', "hash # sign", "ü"])
def test_what_is_written_is_read_back(value: str) -> None:
    assert values_in(merge("", {"KEY": value}, {}).text) == {"KEY": value}


@pytest.mark.parametrize("value", ["two\nlines", "single'quote", "back\\slash"])
def test_what_compose_would_not_read_back_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(EnvFileError, match="KEY") as refused:
        merge("", {"KEY": value}, {})
    assert value not in str(refused.value)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(EnvFileError, match="no name"):
        merge("", {"A-B": "x"}, {})
