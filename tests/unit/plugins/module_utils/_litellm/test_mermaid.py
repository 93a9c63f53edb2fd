# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains as a Mermaid flowchart."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.mermaid import flowchart


def test_draws_each_list_once_in_the_order_of_the_tries():
    drawn = flowchart({"cloud": ["gpu", "cpu"], "gpu": ["cpu"]}, ["cloud", "gpu", "cpu"], seconds={"gpu": 3.4, "cloud": 61.4})
    assert drawn == "\n".join(
        [
            "flowchart LR",
            '  m0["cloud"]',
            '  m1["gpu"]',
            '  m2["cpu"]',
            '  m0 -->|"1, 61.4 s"| m1',
            '  m1 -->|"1, 3.4 s"| m2',
        ]
    )


def test_numbers_the_tries_of_a_list():
    assert '  m0 -->|"1"| m1\n  m0 -->|"2"| m2' in flowchart({"a": ["b", "c"]}, ["a", "b", "c"])


def test_shows_apart_what_only_answers_by_name_and_what_has_no_fallback():
    drawn = flowchart({"a": ["b"]}, ["a", "b", "paid", "alone"], explicit_only=["paid"])
    assert 'subgraph s0["only by its name, in no chain"]\n    m2["paid"]\n  end' in drawn
    assert 'subgraph s1["no fallback"]\n    m3["alone"]\n  end' in drawn


def test_names_are_labels_and_never_ids():
    drawn = flowchart({"groq/llama-3.3-70b": ["end"]}, ["groq/llama-3.3-70b", "end", 'x"] --> y'])
    assert 'm0["groq/llama-3.3-70b"]' in drawn
    assert 'm1["end"]' in drawn
    assert "x#34;] --#62; y" in drawn


@given(st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True), st.data())
def test_every_line_is_a_node_an_edge_or_a_box_whatever_the_names(names, data):
    fallbacks = data.draw(st.dictionaries(st.sampled_from(names), st.lists(st.sampled_from(names), max_size=3)))
    line = r'(?s)flowchart LR|  +m\d+\["[^"]*"\]|  m\d+ -->\|"\d+"\| m\d+|  subgraph s\d\["[^"]*"\]|  end'
    assert all(re.fullmatch(line, each) for each in flowchart(fallbacks, names).split("\n"))
