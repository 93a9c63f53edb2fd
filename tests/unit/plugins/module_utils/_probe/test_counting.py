# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe import watcher
from ansible_collections.homelab.llm.plugins.module_utils._probe.counting import Reading, counters_of, meter_of
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import BadExpectation, Counter
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases

PHASES = Phases(begun=10, fault_commanded=20, fault_effective=21, restore_commanded=30, backend_ready=34, ended=40)
PAGE = b"""# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{model="a",user_agent="probe"} 3.0
requests_total{model="a",user_agent="browser"} 40.0
requests_total{model="b",user_agent="probe"} 2.0
requests_total_created{model="a",user_agent="probe"} 1.7e+09
alone_total 7
"""


def each_second(begin: int, end: int, value_at: Any) -> list[Reading]:
    return [Reading(moment, moment + 0.01, value_at(moment)) for moment in range(begin, end + 1)]


def test_growth_belongs_to_the_phase_in_which_it_was_read():
    found = counters_of({"openai": each_second(9, 41, lambda moment: 100 + (moment >= 25) + 2 * (moment >= 32))}, PHASES)
    assert {counter.phase: counter.requests for counter in found} == {"steady": 0, "fault": 1, "restore": 2, "recovery": 0}
    assert not any(counter.restarted for counter in found)


def test_what_was_counted_before_the_first_reading_is_nobodys():
    (counter,) = counters_of({"openai": [Reading(9, 9.2, 500), Reading(19, 19.1, 507)]}, Phases(begun=10, ended=20))
    assert counter == Counter("openai", "steady", 7, since=9.2, until=19)


def test_a_counter_that_falls_began_anew_from_nothing():
    found = counters_of({"vllm": [Reading(12, 12, 50), Reading(18, 18, 58), Reading(36, 36, 4)]}, PHASES)
    assert [(counter.phase, counter.requests, counter.restarted) for counter in found] == [("steady", 8, True), ("recovery", 4, True)]


def test_a_counter_that_was_read_once_says_nothing():
    assert counters_of({"vllm": [Reading(12, 12, 50)], "openai": []}, PHASES) == []


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ('requests_total{model="a"}', 43),
        ('requests_total{model="a",user_agent="probe"}', 3),
        ('requests_total{user_agent="probe",model="a"}', 3),
        ("requests_total", 45),
        ("alone_total", 7),
        ('requests_total{model="c"}', 0),
    ],
)
def test_the_series_of_a_page_that_have_the_labels_are_added_up(metric: str, value: float):
    assert watcher.sum_of(PAGE.decode(), metric) == value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://a/metrics", "metric": "x"}, "needs the tier"),
        ({"tier": "openai", "url": "a/metrics", "metric": "x"}, "openai: url: 'a/metrics' is no address"),
        ({"tier": "openai", "url": "http://a/metrics"}, "openai: say either metric"),
        ({"tier": "openai", "url": "http://a/metrics", "metric": "x", "path": ["y"]}, "openai: say either metric"),
        ({"tier": "openai", "url": "http://a/metrics", "metric": "x{y=1}"}, 'metric: write name or name{label="value"}, not x{y=1}'),
    ],
)
def test_a_counter_that_cannot_be_read_is_refused_before_anything_is_broken(given: dict[str, Any], words: str):
    with pytest.raises(BadExpectation, match=words.replace("{", r"\{").replace("}", r"\}")):
        meter_of(given)
