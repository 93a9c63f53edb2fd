# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_drill import Drill, failure, good, in_fault

from ansible_collections.homelab.llm.plugins.module_utils._probe import picture, report_html, report_junit, report_markdown
from ansible_collections.homelab.llm.plugins.module_utils._probe.compare import compare
from ansible_collections.homelab.llm.plugins.module_utils._probe.result import About, report_of, result_of, summary
from ansible_collections.homelab.llm.plugins.module_utils._probe.timeline import live_line, seconds_of

NOW = datetime(2026, 11, 21, 14, 2, tzinfo=UTC)
LOADS = [{"name": "chat", "model": "vllm-qwen", "rate": 10, "stream": "both", "prompt_tokens": 20}]
EVIL = "<script>alert(1)</script>\"'&|`]\n# x"


def result(drill: Drill, **about: Any) -> dict[str, Any]:
    described = About(**{"name": "refuse", "title": "vLLM refuses", "fault": "refuse", "target": "ml/vllm-server", "loads": LOADS, **about})
    return result_of(described, drill.judged(), drill.recording, drill.phases, drill.expectation, drill.counters, drill.clock_error)


def report(*drills: dict[str, Any]) -> dict[str, Any]:
    return report_of(drills, "Failover, homelab", NOW)


def failing(error: str = "connection refused") -> Drill:
    drill = good()
    drill.change(in_fault, lambda request: failure(request, "no_answer", error=error), most=3)
    return drill


class Page(HTMLParser):
    """Every element's name and attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_result_is_plain_data_with_the_documented_keys():
    found = result(good())
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {
        *(
            "schema",
            "name",
            "title",
            "verdict",
            "reasons",
            "headline",
            "thresholds",
            "metrics",
            "percentiles",
            "requests",
            "phases",
            "fault",
        ),
        *("restore", "clock", "tiers", "limit_s", "started_at", "environment", "loads", "counters", "seconds", "marks"),
    }
    assert set(found) - set(summary(found)) == {"seconds", "marks"}


def test_a_results_times_count_from_the_faults_effect():
    found = result(good())
    assert found["fault"]["effective_s"] == 0
    assert found["fault"]["commanded_s"] == pytest.approx(-0.4)
    assert found["phases"]["recovery"] == [pytest.approx(35.6), pytest.approx(49.6)]
    assert found["started_at"] == "2026-11-21T13:37:18+00:00"


def test_a_report_is_as_good_as_its_worst_drill():
    assert report(result(good()))["verdict"] == "pass"
    assert report(result(good()), result(Drill()))["verdict"] == "inconclusive"
    assert report(result(good()), result(Drill()), result(failing()))["verdict"] == "fail"
    assert report()["verdict"] == "inconclusive"


def test_the_headline_has_the_numbers_that_matter():
    assert result(good())["headline"] == (
        "None of 599 requests was lost; the slowest waited 0.39 s of 5 s allowed; the next tier answered 0.18 s after the fault; "
        "all was as before 8.1 s after the backend was ready."
    )


@pytest.mark.parametrize("drill", [good(), failing(), Drill()], ids=["pass", "fail", "inconclusive"])
def test_the_page_says_the_verdict_first_and_loads_nothing(drill: Drill):
    text = report_html.render(report(result(drill)))
    page = Page(text)
    body = page.text.partition("body{background:#fff}}\n")[2]
    assert body.startswith(f"{drill.judged().word.capitalize()}Failover")
    assert not [tag for tag, _attributes in page.elements if tag in ("script", "link", "img", "iframe", "object", "embed", "base", "form")]
    linked = [value for _tag, attributes in page.elements for name, value in attributes.items() if name in ("href", "src", "xlink:href")]
    assert all(value.startswith("#") for value in linked)
    assert not re.search(r"url\(|@import|//[a-z]", text.replace("-//", ""))
    assert "default-src 'none'" in text


def test_the_page_is_closed_and_its_ids_are_unique():
    page = Page(report_html.render(report(result(good()), result(failing()))))
    ids = [attributes["id"] for _tag, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    uses = {str(attributes["href"])[1:] for tag, attributes in page.elements if tag == "use"}
    assert uses <= set(ids)


def test_each_request_is_a_mark_with_a_text_and_a_shape_of_its_tier():
    text = picture.draw(result(failing()), picture.WIDE, "m")
    tree = ET.fromstring(text)  # noqa: S314 - our own
    pointed = [(group.find("use"), group.findtext("text") or "") for group in tree.findall("g")]
    told = [said for mark, said in pointed if mark is not None]
    marks = [mark for mark, _said in pointed if mark is not None]
    assert len(marks) == 599
    shapes = {mark.get("href") for mark in marks}
    assert shapes == {"#m0", "#m1", "#m-1"}
    assert any("lost (no_answer), whole, 0." in said for said in told)
    for mark in marks:
        assert 0 <= float(mark.get("x", "-1")) <= picture.WIDE.width
        assert 0 <= float(mark.get("y", "-1")) <= picture.WIDE.height
    bands = {(band.get("class") or "").split()[1] for band in tree.findall("g/rect") if "band" in (band.get("class") or "")}
    assert bands == {"fault", "restore", "recovery"}


def test_a_picture_of_too_many_requests_leaves_out_the_ordinary_ones_only():
    drill = good(rate=100)
    drill.change(in_fault, lambda request: failure(request, "no_answer"), most=7)
    found = result(drill)
    shown = picture.shown(found, 1000)
    assert len(shown) < 1300 < len(found["marks"])
    assert sum(mark[2] == -1 for mark in shown) == 7
    assert max(mark[1] for mark in shown) == max(mark[1] for mark in found["marks"])


@settings(deadline=None, max_examples=20)
@given(st.text() | st.just(EVIL))
def test_no_text_from_outside_escapes_into_any_report(text: str):
    drill = failing(text)
    drill.expectation = dataclasses.replace(
        drill.expectation, thresholds=(dataclasses.replace(drill.expectation.thresholds[0], sentence=text),)
    )
    found = report_of([result(drill, title=text, how=text, target=text, environment={text: text}, name=text)], text, NOW)
    tags = {tag for tag, _attributes in Page(report_html.render(found, found)).elements}
    assert "script" not in tags
    tree = ET.fromstring(report_junit.render(found).encode())  # noqa: S314 - our own
    assert len(tree.findall("testsuite")) == 1
    lines = report_markdown.render(found, found).split("\n")
    assert not [line for line in lines if re.search(r"(?<!\\)<", line) and "< 5 s" not in line]


def test_junit_has_a_case_for_the_drill_and_for_each_threshold():
    tree = ET.fromstring(report_junit.render(report(result(failing()), result(Drill()))).encode())  # noqa: S314 - our own
    first, second = tree.findall("testsuite")
    assert (first.get("tests"), first.get("failures"), first.get("errors")) == ("3", "2", "0")
    assert int(second.get("errors", "0")) > 0
    assert [case.get("name", "").split()[0] for case in first.findall("testcase")] == ["the", "NFR65", "NFR67"]
    assert "got no whole, right answer" in (first.findall("testcase")[0].find("failure").text or "")


def test_markdown_has_the_verdict_first_and_a_row_for_each_threshold():
    text = report_markdown.render(report(result(failing())))
    assert text.startswith("# ❌ fail: Failover, homelab\n")
    assert "| NFR67 | requests without a whole, right answer | ≤ 0 requests | 3 requests | ❌ fail |" in text


def test_an_earlier_report_is_compared_by_the_drills_name():
    now, then = result(good()), json.loads(json.dumps(report(result(good(first_wait=2.6)))))
    changes = {change.metric: change for change in compare(now, then)}
    assert (changes["worst_wait"].before, changes["worst_wait"].now, changes["worst_wait"].better) == (2.6, 0.39, True)
    assert changes["lost"].better is None
    assert compare({**now, "name": "another"}, then) == []
    assert "Compared with 2026-11-21 14:02" in Page(report_html.render(report(now), then)).text


def test_a_difference_that_may_be_chance_is_neither_better_nor_worse():
    now, then = result(good(first_wait=0.39)), report(result(good(first_wait=0.40)))
    assert {change.better for change in compare(now, then)} == {None}


def test_the_live_line_tells_a_second_at_a_glance():
    drill = failing()
    seconds = seconds_of(drill.judged().sights, 1010.4)
    assert live_line(next(second for second in seconds if second.lost), "fault", 0.39, 5) == (
        "  +0 s  fault      10 requests: ollama 6, vllm 1, LOST 3  worst 0.39 of 5 s"
    )
    assert sum(second.requests for second in seconds) == 599
