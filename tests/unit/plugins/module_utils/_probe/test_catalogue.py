# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.homelab.llm.plugins.module_utils._probe import catalogue
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import METRICS, BadExpectation, threshold_of

ROOT = Path(__file__).parents[5]
COMMITTED = yaml.safe_load((ROOT / "playbooks" / "vars" / "nfr.yml").read_text())["nfr_catalogue"]
GOOD: dict[str, Any] = {
    "id": "NFR65",
    "sentence": "LiteLLM answers.",
    "limit": {"value": 5, "unit": "s"},
    "proof": {"by": "drill", "drills": ["failover"], "metric": "worst_wait"},
}
ASKED = ["NFR65", "NFR66", "NFR67", "NFR68", "NFR88", "NFR94", "NFR95", "NFR96", "NFR99", "NFR121", "NFR122", "NFR123", "UI", "idempotence"]


def test_the_committed_catalogue_holds_every_requirement():
    assert [requirement.id for requirement in catalogue.load(COMMITTED)] == ASKED


def test_the_committed_page_is_what_the_catalogue_says():
    assert (ROOT / "docs" / "NFR.md").read_text() == catalogue.markdown(catalogue.load(COMMITTED)), "run scripts/nfr"


def test_a_drills_thresholds_come_from_the_catalogue():
    thresholds = catalogue.of_drill(catalogue.load(COMMITTED), "failover")
    assert [(one.id, one.metric, one.limit_in_metric, one.inclusive) for one in thresholds] == [
        ("NFR65", "worst_wait", 5, False),
        ("NFR68", "unneeded", 0, True),
    ]


def test_turns_of_openclaw_are_held_against_both_of_its_limits():
    both = [("NFR88", "worst_wait", 5), ("NFR96", "recovery_from_restore", 30)]
    for drill in ("openclaw", "openclaw-nobody"):
        found = catalogue.of_drill(catalogue.load(COMMITTED), drill)
        assert [(one.id, one.metric, one.limit_in_metric) for one in found] == both


def test_what_nothing_proves_says_so_in_the_page():
    entry = {**GOOD, "proof": {"by": "none", "why": "arrives with the next release"}}
    assert "| **not proven**: arrives with the next release |" in catalogue.markdown(catalogue.load([entry]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"id": None}, "entry 1: has no id"),
        ({"sentence": ""}, "NFR65: has no sentence"),
        ({"limit": {"value": 5}}, "NFR65: the limit 5 has no unit"),
        ({"limit": {"value": 5, "unit": "parsec"}}, "NFR65: 'parsec' is no unit"),
        ({"limit": {"value": 5, "unit": "requests"}}, "worst_wait is measured in s, the limit is in requests"),
        ({"limit": {"value": "five", "unit": "s"}}, "NFR65: the limit 'five' is no number"),
        ({"limit": {"value": True, "unit": "s"}}, "NFR65: the limit True is no number"),
        ({"limit": {"value": 5, "unit": "s", "aim": "less"}}, "NFR65: the aim 'less' is no number"),
        ({"limit": None}, "NFR65: a proof by drill needs a limit"),
        ({"proof": None}, "NFR65: proof must say by: drill, check, none"),
        ({"proof": {"by": "faith"}}, "NFR65: proof must say by"),
        ({"proof": {"by": "none"}}, "NFR65: a proof by none needs exactly by, why"),
        ({"proof": {"by": "drill", "drills": ["x"], "metric": "mood"}}, "'mood' is no metric"),
        ({"colour": "blue"}, "NFR65: colour is unknown"),
    ],
)
def test_an_entry_that_is_wrong_is_named_with_what_is_wrong(change: dict[str, Any], text: str):
    with pytest.raises(catalogue.BadCatalogue) as caught:
        catalogue.load([{**GOOD, **change}])
    assert text in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(catalogue.BadCatalogue, match=r"has no sentence.*NFR66: is in the catalogue 2 times"):
        catalogue.load([{**GOOD, "sentence": ""}, {**GOOD, "id": "NFR66"}, {**GOOD, "id": "NFR66"}])


@pytest.mark.parametrize("entries", [None, [], {}, "NFR65"])
def test_a_catalogue_without_entries_is_refused(entries: Any):
    with pytest.raises(catalogue.BadCatalogue):
        catalogue.load(entries)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"metric": "worst_wait", "limit": 5, "unit": "s"}, "has no id"),
        ({"id": "X", "metric": "worst_wait", "limit": 5}, "threshold X: has no unit; write s or ms or requests"),
        ({"id": "X", "metric": "worst_wait", "unit": "s"}, "threshold X: has no limit"),
        ({"id": "X", "metric": "worst_wait", "limit": "low", "unit": "s"}, "the limit 'low' is no number"),
        ({"id": "X", "metric": "worst_wait", "limit": -1, "unit": "s"}, "the limit -1.0 is no number from 0 up"),
        ({"id": "X", "metric": "worst_wait", "limit": float("nan"), "unit": "s"}, "is no number from 0 up"),
        ({"id": "X", "metric": "speed", "limit": 1, "unit": "s"}, "'speed' is no metric"),
        ({"id": "X", "metric": "lost", "limit": 1, "unit": "s"}, "lost is measured in requests"),
        ({"id": "X", "metric": "lost", "limit": 1, "unit": "requests", "size": 1}, "size is unknown"),
    ],
)
def test_a_threshold_without_id_unit_or_limit_is_refused(fields: dict[str, Any], text: str):
    with pytest.raises(BadExpectation) as caught:
        threshold_of(fields)
    assert text in str(caught.value)


def test_a_limit_in_milliseconds_is_held_against_seconds():
    threshold = threshold_of({"id": "NFR66", "metric": "overhead", "limit": 100, "unit": "ms"})
    assert threshold.holds(0.0999)
    assert not threshold.holds(0.1)


def test_every_metric_has_a_unit_that_a_limit_can_have():
    assert {unit for unit, _meaning in METRICS.values()} == {"s", "requests"}
