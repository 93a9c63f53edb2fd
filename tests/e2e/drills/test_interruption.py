# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill that is ended, cut off from the API server, or meets another one: whatever happens, all is as it was in the end."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from api_proxy import ApiProxy
from drills import ATTEMPTS, NONE_LOST, NOT_STARTED, Job, Jobs, Site, reasons, wait_for
from playing import Playing, Ran, playing

pytestmark = pytest.mark.cluster

JOURNAL = "homelab.llm/failover-probe"
SHORT = {"steady": 2, "fault": 3, "recovery": 3}
#: Seconds between two requests to the API server, where a moment between them is to be met.
BETWEEN = 0.25
#: How long the first of two drills keeps its fault. A busy machine takes longer to start the second one.
LONG_ENOUGH = (8, 40, 120)


def has_journal(site: Site, kind: str, name: str) -> bool:
    read = site.core.read_namespaced_service if kind == "Service" else site.apps.read_namespaced_deployment
    return JOURNAL in (read(name, site.namespace).metadata.annotations or {})


def at_line(pattern: str) -> Callable[[Site, str, Playing], None]:
    return lambda _site, _lane, played: played.wait_for_line(pattern)


def when_preparing(site: Site, lane: str, played: Playing) -> None:
    assert wait_for(lambda: bool(site.pods_of_the_probe(lane)), 180), played.output


def when_the_fault_is_half_made(site: Site, lane: str, played: Playing) -> None:
    assert wait_for(lambda: has_journal(site, "Service", lane), 180), played.output


def when_half_restored(site: Site, lane: str, played: Playing) -> None:
    when_the_fault_is_half_made(site, lane, played)
    assert wait_for(lambda: has_journal(site, "Deployment", lane), 60), played.output
    assert wait_for(lambda: not has_journal(site, "Deployment", lane), 180), played.output


#: Each with what shows that the moment was met: how many of the lane's two objects say that they are broken.
MOMENTS: dict[str, tuple[Callable[[Site, str, Playing], None], int]] = {
    "preparing": (when_preparing, 0),
    "steady": (at_line(r" s  steady "), 0),
    "while the fault is made": (when_the_fault_is_half_made, 1),
    "fault": (at_line(r" s  fault "), 2),
    "while it is restored": (when_half_restored, 1),
    "recovery": (at_line(r" s  recovery "), 0),
}
BETWEEN_REQUESTS = ("while the fault is made", "while it is restored")


@dataclass
class Ended:
    """What was there before, when the probe had just been ended, and in the end."""

    output: str
    before: dict[str, Any]
    broken: int
    after: dict[str, Any]
    pods: list[str]
    restored: Ran | None = None


def ended(moment: str, number: int) -> Any:
    def run(site: Site, lane: str) -> Ended:
        for _attempt in range(ATTEMPTS):
            done = end_at(site, lane, moment, number)
            # A busy machine may be past the moment. What was left there had to be restored as well.
            if done.after != done.before or done.broken == MOMENTS[moment][1] or number != signal.SIGKILL:
                break
            site.late.append(f"{lane} was not killed {moment}")
        return done

    return pytest.param(Job(run), moment, number, id=f"{signal.Signals(number).name} {moment}")


def end_at(site: Site, lane: str, moment: str, number: int) -> Ended:
    before = site.about(lane)
    params = site.params(lane, {"kind": "hang"}, durations=SHORT, labels={"lane": lane})
    restored = None
    with ApiProxy(site.kubeconfig) as proxy:
        kubeconfig = proxy.kubeconfig(site.folder / f"{params['name']}.kubeconfig")
        with playing(kubeconfig, site.folder, params) as played:
            if moment in BETWEEN_REQUESTS:
                played.wait_for_line(r" s  steady ")
                proxy.delay = BETWEEN
            MOMENTS[moment][0](site, lane, played)
            played.end(number)
            proxy.delay = 0.0
            broken = sum(has_journal(site, kind, lane) for kind in ("Service", "Deployment"))
            if number == signal.SIGKILL:
                # A crash: the next run has to do it.
                restored = site.restored(fault=params["fault"])
            wait_for(lambda: site.about(lane) == before and not site.pods_of_the_probe(lane), 120)
    return Ended(played.output, before, broken, site.about(lane), site.pods_of_the_probe(lane), restored)


ENDINGS = [ended(moment, number) for moment in MOMENTS for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)]


@pytest.mark.parametrize(("job", "moment", "number"), ENDINGS)
def test_a_drill_that_is_ended_leaves_all_as_it_was(outcome: Ended, job: Job, moment: str, number: int) -> None:
    del job
    assert outcome.after == outcome.before, outcome.output
    assert outcome.pods == []
    if number == signal.SIGKILL:
        assert outcome.broken == MOMENTS[moment][1], outcome.output
        assert outcome.restored
        assert not outcome.restored.failed, outcome.restored.output
        assert len(outcome.restored.result["restored"]) == outcome.broken


def cut_off(fault_seconds: float) -> Job:
    """The API server is gone for ten seconds, from the middle of the fault on."""

    def run(site: Site, lane: str) -> tuple[Ran, dict[str, Any], dict[str, Any]]:
        before = site.about(lane)
        durations = {"steady": 2, "fault": fault_seconds, "recovery": 5}
        params = site.params(lane, {"kind": "hang"}, durations=durations, thresholds=[NONE_LOST])

        def drilled() -> Ran:
            with ApiProxy(site.kubeconfig) as proxy:
                kubeconfig = proxy.kubeconfig(site.folder / f"{params['name']}.kubeconfig")
                with playing(kubeconfig, site.folder, params) as played:
                    played.wait_for_line(r" s  fault ")
                    proxy.go()
                    time.sleep(10)
                    proxy.come()
                    return played.finish()

        ran = site.settled(drilled)
        return ran, before, site.about(lane)

    return Job(run)


@pytest.mark.parametrize("job", [pytest.param(cut_off(13), id="in the fault"), pytest.param(cut_off(4), id="when it is to be restored")])
def test_a_drill_outlives_an_api_server_that_is_gone_for_ten_seconds(outcome: tuple[Ran, dict[str, Any], dict[str, Any]], job: Job) -> None:
    del job
    ran, before, after = outcome
    assert after == before
    assert ran.result.get("verdict") == "pass", ran.output
    assert ran.result["drill"]["restore"]["state"] == "restored"


def next_to(second_waits_for: str) -> Job:
    def run(site: Site, lane: str) -> tuple[list[Ran], dict[str, Any], dict[str, Any]]:
        before = site.about(lane)
        for seconds in LONG_ENOUGH:
            durations = {"steady": 2, "fault": seconds, "recovery": 3}
            params = [site.params(lane, {"kind": "hang"}, durations=durations) for _each in range(2)]
            with playing(site.kubeconfig, site.folder, params[0]) as first:
                if second_waits_for:
                    first.wait_for_line(second_waits_for)
                with playing(site.kubeconfig, site.folder, params[1]) as second:
                    both = [first.finish(), second.finish()]
            # A pod of a probe may not even start in its minute.
            slow = any(NOT_STARTED in ran.message for ran in both)
            if not slow and (any(ran.failed for ran in both) or meet(*both)):
                break
            site.late.append(f"two drills on {lane} did not meet within {seconds} s")
        return both, before, site.about(lane)

    return Job(run)


def meet(one: Ran, other: Ran) -> bool:
    """Whether both had broken it at the same time, to the second."""
    spans = []
    for ran in (one, other):
        drill = ran.result["drill"]
        phases = drill["phases"]
        if "fault" not in phases:  # it had no time for one
            return False
        zero = datetime.fromisoformat(drill["started_at"]).timestamp() - phases["steady"][0]
        spans.append((zero + phases["fault"][0], zero + phases["restore"][0]))
    (begin, end), (since, until) = sorted(spans)
    del begin, until
    return since < end - 1


@pytest.mark.parametrize("job", [pytest.param(next_to(""), id="at once"), pytest.param(next_to(r" s  fault "), id="in the fault")])
def test_of_two_drills_on_one_backend_one_is_refused(outcome: tuple[list[Ran], dict[str, Any], dict[str, Any]], job: Job) -> None:
    del job
    both, before, after = outcome
    assert after == before
    assert sorted(ran.failed for ran in both) == [False, True], [ran.output for ran in both]
    (refused,) = [ran for ran in both if ran.failed]
    (measured,) = [ran for ran in both if not ran.failed]
    assert "broken right now by another probe" in refused.message
    assert measured.result["drill"]["restore"]["state"] == "restored"
    assert "fault_did_not_take" not in reasons(measured), measured.output


def kill_in_the_fault(site: Site, params: dict[str, Any]) -> None:
    with playing(site.kubeconfig, site.folder, params) as played:
        played.wait_for_line(r" s  fault ")
        played.end(signal.SIGKILL)


@dataclass
class Found:
    """What runs made of what a killed one had left; `named` are its objects."""

    named: list[str]
    looked: Ran
    was_left: bool
    ran: Ran
    before: dict[str, Any]
    after: dict[str, Any]


def found_by_a_new_one(site: Site, lane: str) -> Found:
    before = site.about(lane)
    params = site.params(lane, {"kind": "hang"}, durations=SHORT)
    kill_in_the_fault(site, params)
    looked = site.run({"state": "restored", "namespace": site.namespace, "fault": params["fault"]}, check=True)
    was_left = site.about(lane) != before
    ran = site.drill(lane, {"kind": "scale"}, thresholds=[NONE_LOST])
    return Found([f"{kind} {site.namespace}/{lane}" for kind in ("Deployment", "Service")], looked, was_left, ran, before, site.about(lane))


@pytest.mark.parametrize("job", [Job(found_by_a_new_one)])
def test_a_new_drill_restores_what_a_killed_one_left_and_check_mode_only_says_so(outcome: Found, job: Job) -> None:
    del job
    assert sorted(outcome.looked.result["restored"]) == outcome.named
    assert outcome.was_left, "check mode changes nothing"
    # LiteLLM may still leave the tier alone for a moment that failed just now: then the state before was not steady, and that is told.
    assert outcome.ran.result.get("verdict") == "pass" or reasons(outcome.ran) == ["not_steady"], outcome.ran.output
    assert sorted(outcome.ran.result["restored"]) == outcome.named
    assert outcome.after == outcome.before


def found_elsewhere(site: Site, lane: str) -> Found:
    """The holder seems to be on another machine, and by its clock it is over since long: neither tells whether it lives."""
    before = site.about(lane)
    params = site.params(lane, {"kind": "scale"}, durations=SHORT)
    kill_in_the_fault(site, params)
    journal = json.loads(site.apps.read_namespaced_deployment(lane, site.namespace).metadata.annotations[JOURNAL])
    journal["holder"] |= {"machine": "another", "who": "process 1 on another"}
    journal["expires"] = "2020-01-01T00:00:00+00:00"
    site.apps.patch_namespaced_deployment(lane, site.namespace, {"metadata": {"annotations": {JOURNAL: json.dumps(journal)}}})
    began = time.monotonic()
    ran = site.restored(fault=params["fault"])
    waited = time.monotonic() - began > 16
    return Found([f"Deployment {site.namespace}/{lane}"], ran, waited, ran, before, site.about(lane))


@pytest.mark.parametrize("job", [Job(found_elsewhere)])
def test_of_a_holder_on_another_machine_a_number_that_stands_still_says_that_it_is_dead(outcome: Found, job: Job) -> None:
    del job
    assert outcome.ran.result["restored"] == outcome.named, outcome.ran.output
    assert "looking for 16 s whether that is alive" in outcome.ran.output
    assert outcome.was_left, "it waits until it knows"
    assert outcome.after == outcome.before


def restarted(how: Callable[[Site], None], wanted: str) -> Any:
    def run(site: Site, _place: str) -> tuple[Ran, dict[str, Any], dict[str, Any]]:
        before = site.about("guarded")
        durations = {"steady": 2.5, "fault": 16, "recovery": 6}
        # A LiteLLM that has just started is slow.
        params = site.params("guarded", {"kind": "scale"}, url=site.url("litellm-b"), durations=durations, thresholds=[NONE_LOST])

        def drilled() -> Ran:
            with playing(site.kubeconfig, site.folder, params) as played:
                played.wait_for_line(r" s  fault ")
                how(site)
                return played.finish()

        ran = site.settled(drilled, wanted)
        site.wait_until_answering("guarded")
        return ran, before, site.about("guarded")

    return pytest.param(Job(run, "guarded"), wanted, id=how.__name__)


def roll_out(site: Site) -> None:
    patch = {"spec": {"template": {"metadata": {"annotations": {"restarted": str(time.time())}}}}}
    site.apps.patch_namespaced_deployment("litellm-b", site.namespace, patch)


def crash(site: Site) -> None:
    found = site.core.list_namespaced_pod(site.namespace, label_selector="app=litellm-b").items
    (pod,) = [each for each in found if not each.metadata.deletion_timestamp]
    site.core.delete_namespaced_pod(pod.metadata.name, site.namespace, grace_period_seconds=0)


@pytest.mark.parametrize(("job", "verdict"), [restarted(roll_out, "pass"), restarted(crash, "fail")])
def test_a_litellm_that_is_started_again_during_a_drill_is_judged_by_what_its_clients_got(
    outcome: tuple[Ran, dict[str, Any], dict[str, Any]], job: Job, verdict: str
) -> None:
    del job
    ran, before, after = outcome
    assert after == before
    assert ran.result.get("verdict") == verdict, ran.output
    assert ("lost" in reasons(ran)) == (verdict == "fail")


def test_in_the_end_nothing_is_left_to_restore(done: Jobs, site: Site, record_property: Any) -> None:
    del done
    record_property("table", "\n".join(site.again()))
    restored = site.restored()
    assert not restored.failed, restored.output
    assert not restored.result["changed"]
    assert site.pods_of_the_probe() == []
