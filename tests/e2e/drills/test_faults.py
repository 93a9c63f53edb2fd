# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault, for clients that stream and those that do not, before LiteLLM as its role configures it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from drills import NONE_LOST, Job, Jobs, Site, reasons
from playing import Ran

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


@dataclass
class Done:
    """A drill, and what a fault can change before and after it."""

    ran: Ran
    lane: str
    before: dict[str, Any]
    after: dict[str, Any]

    def worst(self, kind: str) -> float:
        rows = [row["max"] for row in self.ran.result["drill"]["percentiles"] if row["kind"] == kind and row["phase"] != "steady"]
        return max(rows)


def drilled(title: str, fault: Mapping[str, Any], verdict: str, place: str = "", **changes: Any) -> Any:
    def run(site: Site, lane: str) -> Done:
        before = site.about(lane)
        ran = site.drill(lane, fault, wanted=verdict, **changes)
        return Done(ran, lane, before, site.about(lane))

    return pytest.param(Job(run, place), verdict, id=title)


MID = {"where": "mid_stream"}
#: Who waits for the rest of a stream gives it four seconds. Only then do others know.
LONGER = {"steady": 2.5, "fault": 9, "recovery": 4}
#: Only a stream that had begun cannot be failed over: its client has text of the first backend already. It ends in a clear error.
FAULTS = [
    drilled("hang", {"kind": "hang"}, "pass"),
    drilled("hang after headers", {"kind": "hang", "where": "after_headers"}, "pass"),
    drilled("hang mid-stream, whole", {"kind": "hang", **MID}, "pass", stream="false"),
    drilled("hang mid-stream, streaming", {"kind": "hang", **MID}, "fail", stream="true", durations=LONGER),
    drilled(
        "hang mid-stream, streaming, errors allowed", {"kind": "hang", **MID}, "pass", stream="true", durations=LONGER, clean_errors=True
    ),
    drilled("slow", {"kind": "slow", "first_token": 10}, "pass"),
    drilled("scale", {"kind": "scale"}, "pass"),
    drilled("scale of an Ollama", {"kind": "scale"}, "pass", place="five"),
    drilled("refuse", {"kind": "refuse"}, "pass"),
    drilled("blackhole", {"kind": "blackhole"}, "pass"),
    drilled("reset", {"kind": "reset"}, "pass"),
    drilled("reset mid-stream, whole", {"kind": "reset", **MID}, "pass", stream="false"),
    drilled("reset mid-stream, streaming", {"kind": "reset", **MID}, "fail", stream="true"),
    drilled("cut, whole", {"kind": "cut"}, "pass", stream="false"),
    drilled("cut, streaming", {"kind": "cut"}, "fail", stream="true"),
    drilled("status 500", {"kind": "status", "status": 500, "body": '{"error": {"message": "CUDA out of memory"}}'}, "pass"),
    drilled("status 401", {"kind": "status", "status": 401, "body": '{"error": {"message": "no such key"}}'}, "pass"),
    drilled("status 429", {"kind": "status", "status": 429}, "pass"),
    drilled("status 503 of an Ollama", {"kind": "status", "status": 503, "body": "busy"}, "pass", place="five"),
    drilled(
        "none", {"kind": "none"}, "pass", thresholds=[NONE_LOST, {"id": "NFR121", "metric": "steady_answer_max", "limit": 5, "unit": "s"}]
    ),
]


@pytest.mark.parametrize(("job", "verdict"), FAULTS)
def test_a_fault_takes_is_judged_and_leaves_nothing_behind(outcome: Done, job: Job, verdict: str) -> None:
    del job
    ran = outcome.ran
    assert not ran.failed, ran.output
    assert ran.result["verdict"] == verdict, ran.output
    assert outcome.after == outcome.before
    drill = ran.result["drill"]
    assert drill["metrics"]["worst_wait"] is None or drill["metrics"]["worst_wait"] < 5, ran.output
    if drill["fault"]["kind"] != "none":
        assert "fault_did_not_take" not in reasons(ran)
        assert drill["requests"]["by_phase"]["fault"].get(f"{outcome.lane}-next", 0) >= 5, ran.output
        # The probe's own limit. On a machine with time to spare it is a hundredth of that.
        assert drill["clock"]["error_s"] < 0.25
        assert drill["restore"]["state"] == "restored"


def test_nothing_of_the_probe_is_left_when_all_drills_are_over(done: Jobs, site: Site) -> None:
    del done
    assert site.pods_of_the_probe() == []


def test_the_key_is_in_nothing_that_is_shown(done: Jobs, key: str) -> None:
    for each in FAULTS:
        output = done.result(each.values[0]).ran.output
        assert key not in output
        assert base64.b64encode(key.encode()).decode()[:16] not in output


def test_what_each_fault_cost_its_clients(done: Jobs, site: Site, record_property: Any) -> None:
    rows = [f"{'fault':44} {'whole':>9} {'stream':>9}  verdict"]
    for each in FAULTS:
        ran = done.result(each.values[0]).ran
        worst = {"whole": 0.0, "stream": 0.0}
        for row in ran.result["drill"]["percentiles"]:
            if row["phase"] != "steady" or ran.result["drill"]["fault"]["kind"] == "none":
                worst[row["kind"]] = max(worst[row["kind"]], row["max"])
        shown = " ".join(f"{seconds:7.2f} s" if seconds else "        -" for seconds in worst.values())
        rows.append(f"{each.id:44} {shown}  {ran.result['verdict']} {', '.join(reasons(ran))}")
    record_property("table", "\n".join([*rows, *site.again()]))
    assert json.dumps(rows)
