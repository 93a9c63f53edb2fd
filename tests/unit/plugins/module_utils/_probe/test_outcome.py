# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe import catalogue
from ansible_collections.homelab.llm.plugins.module_utils._probe.outcome import Outcome, outcomes, table

CATALOGUE = catalogue.load(
    [
        {
            "id": "NFR65",
            "sentence": "The next tier answers.",
            "limit": {"value": 5, "unit": "s"},
            "proof": {"by": "drill", "drills": ["failover", "hang"], "metric": "worst_wait"},
        },
        {"id": "NFR99", "sentence": "It resolves.", "proof": {"by": "check", "where": "verify"}},
        {"id": "UI", "sentence": "It loads.", "limit": {"value": 3, "unit": "s"}, "proof": {"by": "none", "why": "arrives later"}},
    ]
)


def drill(name: str, verdict: str, measured: float | None, held: str) -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "thresholds": [{"id": "NFR65", "unit": "s", "measured": measured, "verdict": held}]}


def test_the_worst_of_all_drills_counts():
    rows = outcomes(CATALOGUE, [drill("failover", "pass", 0.41, "pass"), drill("hang", "pass", 3.071, "pass")])
    assert rows[0] == Outcome("NFR65", "< 5 s", "3.07 s", "pass", "hang, the worst of 2")


def test_one_failure_among_passes_is_a_failure():
    rows = outcomes(CATALOGUE, [drill("failover", "pass", 0.41, "pass"), drill("hang", "fail", 8.9, "fail")])
    assert (rows[0].measured, rows[0].verdict) == ("8.9 s", "fail")


def test_a_limit_kept_in_a_drill_that_shows_nothing_is_not_proven():
    rows = outcomes(CATALOGUE, [drill("failover", "inconclusive", 0.01, "pass")])
    assert rows[0].verdict == "inconclusive"


def test_what_could_not_be_measured_is_told():
    rows = outcomes(CATALOGUE, [drill("failover", "inconclusive", None, "inconclusive")])
    assert (rows[0].measured, rows[0].verdict) == ("not measured", "inconclusive")


def test_what_no_drill_measured_says_what_proves_it():
    rows = outcomes(CATALOGUE, [])
    assert [(row.verdict, row.by) for row in rows] == [
        ("not drilled", "drill failover, hang"),
        ("checked elsewhere", "verify"),
        ("not proven", "arrives later"),
    ]


def test_the_table_has_its_columns_below_each_other():
    heads, first, *_rest = table(outcomes(CATALOGUE, [drill("hang", "pass", 3.071, "pass")]))
    assert heads.index("measured") == first.index("3.07 s")
    assert first == "NFR65  < 5 s  3.07 s    pass               hang"
