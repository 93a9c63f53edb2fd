# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe import catalogue, report_html, report_junit, report_markdown
from ansible_collections.homelab.llm.plugins.module_utils._probe.catalogue import BadCatalogue
from ansible_collections.homelab.llm.plugins.module_utils._probe.checks import checks_of, with_checks
from ansible_collections.homelab.llm.plugins.module_utils._probe.outcome import Outcome, outcomes
from ansible_collections.homelab.llm.plugins.module_utils._probe.result import report_of

CATALOGUE = catalogue.load(
    [
        {
            "id": "NFR95",
            "sentence": "No secret is in any log.",
            "limit": {"value": 0, "unit": "hits", "inclusive": True},
            "proof": {"by": "check", "where": "drill.yml"},
        },
        {"id": "UI", "sentence": "It loads.", "limit": {"value": 3, "unit": "s"}, "proof": {"by": "check", "where": "a browser"}},
        {"id": "NFR99", "sentence": "It resolves.", "proof": {"by": "check", "where": "verify"}},
        {
            "id": "NFR65",
            "sentence": "The next tier answers.",
            "limit": {"value": 5, "unit": "s"},
            "proof": {"by": "drill", "drills": ["failover"], "metric": "worst_wait"},
        },
    ]
)
SCAN = {"id": "NFR95", "by": "secret_leak_scan: looked for 8 values"}
EVIL = "<script>alert(1)</script>|\n# x"


def verdict(**given: Any) -> str:
    (found,) = checks_of([{**SCAN, **given}], CATALOGUE)
    return str(found["verdict"])


def report(**given: Any) -> dict[str, Any]:
    return with_checks(report_of([], "Keys", datetime(2026, 11, 21, tzinfo=UTC)), checks_of([{**SCAN, **given}], CATALOGUE))


def test_nothing_found_where_all_was_looked_at_is_a_pass():
    assert verdict(measured=0) == "pass"


def test_one_hit_is_a_failure_however_little_was_looked_at():
    assert verdict(measured=1) == "fail"
    assert verdict(measured=1, complete=False) == "fail"


def test_nothing_found_where_something_was_not_looked_at_proves_nothing():
    assert verdict(measured=0, complete=False) == "inconclusive"


def test_what_was_not_measured_is_no_pass_whatever_else_is_said():
    assert verdict(measured=None, complete=True) == "inconclusive"
    assert verdict() == "inconclusive"


def test_a_limit_that_is_not_inclusive_is_itself_too_much():
    assert [checks_of([{"id": "UI", "by": "x", "measured": took}], CATALOGUE)[0]["verdict"] for took in (2.99, 3)] == ["pass", "fail"]


@pytest.mark.parametrize("wrong", ["NFR65", "NFR99", "NFR0"], ids=["a-drill's", "without-a-limit", "unknown"])
def test_only_a_check_with_a_limit_can_be_measured_so(wrong: str):
    with pytest.raises(BadCatalogue, match=f"checks: {wrong} is no requirement"):
        checks_of([{"id": wrong, "by": "x", "measured": 0}], CATALOGUE)


def test_a_row_of_the_table_tells_what_was_measured_and_by_what():
    rows = outcomes(CATALOGUE, [], checks_of([{**SCAN, "measured": 2}], CATALOGUE))
    assert rows[0] == Outcome("NFR95", "0 hits", "2 hits", "fail", "secret_leak_scan: looked for 8 values")
    assert rows[2].verdict == "checked elsewhere"


def test_a_report_is_as_good_as_its_worst_check():
    assert [report(measured=0)["verdict"], report(measured=1)["verdict"], report()["verdict"]] == ["pass", "fail", "inconclusive"]
    failed = {**report_of([], "x", datetime(2026, 11, 21, tzinfo=UTC)), "verdict": "fail", "drills": [{"name": "failover"}]}
    assert with_checks(failed, checks_of([{**SCAN, "measured": 0}], CATALOGUE))["verdict"] == "fail"
    assert with_checks(failed, []) == failed


def test_every_report_has_the_check_and_what_it_found():
    found = report(measured=1, details=["log Pod ml/litellm, line 7: key OPENAI_API_KEY"])
    for text in (report_html.render(found), report_markdown.render(found), report_junit.render(found)):
        assert "NFR95" in text
        assert "1 hits" in text
        assert "log Pod ml/litellm, line 7" in text
    suite = ET.fromstring(report_junit.render(found).encode()).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")


def test_many_details_are_cut_and_counted():
    details = report(measured=99, details=[f"line {number}" for number in range(99)])["checks"][0]["details"]
    assert (len(details), details[-1]) == (21, "and 79 more")


def test_words_from_elsewhere_are_words_only():
    found = report(measured=1, by=EVIL, details=[EVIL])
    assert "<script>" not in report_html.render(found)
    assert not [line for line in report_markdown.render(found).splitlines() if line.startswith("# x")]
    ET.fromstring(report_junit.render(found).encode())  # noqa: S314 - our own
