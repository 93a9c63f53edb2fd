# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns of a real OpenClaw while Claude fails, one fault of each class; who answers, and what a probe leaves in the gateway."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from drilled_site import ADMIN_PORT, SIMULATOR
from drills import ATTEMPTS, NONE_LOST, may_be_the_machine, reasons, told_of, wait_for
from enforcer import EnforcerOfOne
from kubernetes import client
from openclaw_site import ANTHROPIC, OpenclawSite, openclaw_site
from openclaw_turns import FAULTS, person
from playing import Ran, playing

pytestmark = pytest.mark.cluster

CLAUDE, LITELLM = "anthropic/claude-opus-4-5", "litellm/vllm-qwen"
CHAIN = [CLAUDE, LITELLM, "litellm/ollama-qwen", "litellm/openai-gpt4o"]
IN_TIME: dict[str, Any] = {"id": "NFR88", "metric": "worst_wait", "limit": 5, "unit": "s"}
BACK = {"id": "NFR96", "metric": "recovery_from_restore", "limit": 30, "unit": "s"}
LEFT = """
const client = await connect(process.env.OPENCLAW_GATEWAY_TOKEN);
const { payload } = await client.call('sessions.list', {});
console.log(JSON.stringify(payload.sessions.map(({ key }) => key).filter((key) => key.includes('failover-probe'))));
process.exit(0);
"""
ROOT = Path(__file__).parents[3]
GATEWAY = (ROOT / "roles/openclaw/files/gateway.mjs").read_text()
DRILLS = ROOT / "playbooks/vars/drills_openclaw.yml"


class Drilled:
    """A gateway to drill."""

    def __init__(self, site: OpenclawSite, kubeconfig: Path, folder: Path) -> None:
        self.site, self.kubeconfig, self.folder = site, kubeconfig, folder
        #: Drills that were done again, and what they had said before.
        self.late: list[str] = []

    def params(self, fault: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        counters = f"http://upstream.{self.site.namespace}.svc.cluster.local:{ADMIN_PORT}/counters"
        return {
            "name": "turns",
            "namespace": self.site.namespace,
            "protocol": "openclaw",
            "image": SIMULATOR,
            "models": [{"model": CLAUDE, "chain": CHAIN}],
            "fault": fault,
            "counters": [{"tier": CLAUDE, "url": counters, "path": [ANTHROPIC, "requests"]}],
            "durations": {"steady": 6, "fault": 12, "recovery": 5, "effect": 10},
            "minimum": {"steady": 2, "fault": 2, "recovery": 2},
            "thresholds": [IN_TIME, BACK],
            **changes,
        }

    def drill(self, fault: Mapping[str, Any], wanted: str = "pass", **changes: Any) -> Ran:
        """A drill to its end. It is done again while the machine may be what was measured, and that is noted."""
        for attempt in range(1, ATTEMPTS + 1):
            ran = self.run(self.params(fault, **changes))
            if attempt == ATTEMPTS or not may_be_the_machine(ran, wanted):
                break
            self.late.append(told_of(ran))
        return ran

    def run(self, params: Mapping[str, Any]) -> Ran:
        with playing(self.kubeconfig, self.folder, params) as played:
            return played.finish()

    def admin_fault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        url = f"http://upstream.{self.site.namespace}.svc.cluster.local:{ADMIN_PORT}/hosts/{ANTHROPIC}/fault"
        return {"kind": "http", "backends": [{"deployment": "upstream"}], "url": url, "body_on": json.dumps(fault)}

    def fault_of_claude(self) -> str:
        return str(self.site.admin("GET", f"/hosts/{ANTHROPIC}/fault")["kind"])

    def asked(self) -> int:
        return int(self.site.admin("GET", "/counters")[ANTHROPIC]["requests"])

    def inside(self, run_module: Any, *argv: str) -> str:
        pod = self.site.gateway().metadata.name
        where = {"namespace": self.site.namespace, "pod": pod, "container": "openclaw"}
        return str(run_module("k8s_exec", {**where, "argv": [*argv]}).result["stdout"])

    def left(self, run_module: Any) -> list[str]:
        """Conversations of probes, and copies of them that OpenClaw keeps."""
        kept = self.inside(run_module, "sh", "-c", "ls /home/node/.openclaw/agents/main/sessions").split()
        return json.loads(self.inside(run_module, "node", "--input-type=module", "-e", GATEWAY + LEFT)) + kept


@pytest.fixture(scope="module")
def claw(core: client.CoreV1Api, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drilled]:
    for site in openclaw_site(core, tmp_path_factory.mktemp("openclaw")):
        played = site.play(openclaw_verify=False)
        assert played.code == 0, played.output
        site.wait_for_gateway()
        # The first turns of a gateway take ten seconds more, and much more where processors are taken.
        with person(site, 300) as turns:
            turns.take(4)
        yield Drilled(site, kubeconfig, tmp_path_factory.mktemp("drills"))


def by_phase(ran: Ran) -> dict[str, dict[str, int]]:
    return dict(ran.result["drill"]["requests"]["by_phase"])


@pytest.mark.alone
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "status", "status": 429, "retry_after": 5}, "rate_limit"),
        ({"kind": "hang", "where": "mid_stream"}, "timeout"),
        ({"kind": "blackhole", "connections": "silent"}, "timeout"),
    ],
    ids=["429 with retry-after", "hang in mid-stream", "blackhole"],
)
def test_litellm_answers_in_claudes_place_in_time_and_claude_does_again_afterwards(
    claw: Drilled, fault: dict[str, Any], reason: str, run_module: Any
) -> None:
    ran = claw.drill(claw.admin_fault(fault))
    assert ran.result.get("verdict") == "pass", ran.output
    phases = by_phase(ran)
    assert phases["steady"].keys() == phases["recovery"].keys() == {CLAUDE}
    assert phases["fault"][LITELLM] >= 2
    assert f"{CLAUDE} ({reason})" in ran.result["drill"]["environment"]["failed before somebody answered"]
    assert ran.result["drill"]["counters"], "Claude's own count was read"
    assert claw.fault_of_claude() == "none"
    assert claw.left(run_module) == []


@pytest.mark.alone
def test_whatever_claude_does_a_turn_is_answered_in_time_and_the_next_one_by_claude(
    claw: Drilled, record_property: Callable[[str, object], None]
) -> None:
    """Every kind of fault, in one conversation, two turns each: twenty of each are the bench's."""
    drilled = yaml.safe_load(DRILLS.read_text())["drilled_claude_faults"]
    assert [each["fault"] for each in drilled.values()] == [*FAULTS.values()], "what is drilled is what is tried here"
    lines, wrong = [], []
    with person(claw.site, 60) as turns:
        for name, fault in FAULTS.items():
            # Anew when it was late, or Claude was not heard in time: a machine may be busy for a moment, but not three times over.
            for _attempt in range(3):
                turns.take(1)
                with claw.site.fault(ANTHROPIC, **fault):
                    during = turns.take(2)
                (after,) = turns.take(1)
                took = [each.t_end - each.t_start for each in (*during, after)]
                lines.append(f"{name:<20} {', '.join(f'{each:.2f}' for each in took[:2])} s; then {took[2]:.2f} s by {after.model}")
                right = [each.model for each in (*during, after)] == [LITELLM, LITELLM, CLAUDE] and max(took) < IN_TIME["limit"]
                if right:
                    break
            else:
                wrong.append(f"{name}: {during}, then {after}")
    record_property("table", "\n".join(lines))
    assert not wrong, lines


@pytest.mark.alone
def test_with_nobody_left_each_turn_ends_with_a_clear_error_in_time(claw: Drilled) -> None:
    # One pod plays both.
    fault = {"kind": "scale", "backends": [{"deployment": "upstream", "service": "litellm"}]}
    ran = claw.drill(fault, down=CHAIN, counters=[])
    assert ran.result.get("verdict") == "pass", ran.output
    assert ran.result["drill"]["requests"]["by_finish"]["error"] >= 2


def test_an_error_is_a_lost_turn_where_somebody_could_have_answered(claw: Drilled) -> None:
    fault = {"kind": "scale", "backends": [{"deployment": "upstream", "service": "litellm"}]}
    ran = claw.drill(fault, wanted="fail", counters=[])
    assert ran.result.get("verdict") == "fail", ran.output
    assert "All models failed" in next(each["text"] for each in ran.result["drill"]["reasons"] if each["code"] == "lost")


def test_light_turns_and_several_persons_at_once_are_judged_as_well(claw: Drilled, run_module: Any) -> None:
    people = [{"model": CLAUDE, "chain": CHAIN, "name": name, "turn": turn} for name, turn in (("one", "full"), ("other", "light"))]
    # Two at once have half the processor each: this is about who answers, not how fast. So is every test that others may run beside.
    ran = claw.drill(claw.admin_fault({"kind": "status", "status": 529}), models=people, thresholds=[NONE_LOST])
    assert ran.result.get("verdict") == "pass", ran.output
    assert [load["name"] for load in ran.result["drill"]["loads"]] == ["one", "other"]
    assert claw.left(run_module) == []


def test_the_internet_is_taken_by_the_policy_that_gives_it_where_the_network_enforces_that(claw: Drilled, core: client.CoreV1Api) -> None:
    networking = client.NetworkingV1Api(core.api_client)
    namespace = claw.site.namespace
    before = networking.read_namespaced_network_policy("openclaw", namespace).spec.to_dict()
    (upstream,) = core.list_namespaced_pod(namespace, label_selector="app=upstream").items
    fault = {"kind": "internet", "policy": "openclaw", "hosts": [ANTHROPIC]}
    with EnforcerOfOne(core, namespace, "openclaw", f"{upstream.status.pod_ip} -p tcp --dport 8446"):
        enforced = claw.drill(fault, thresholds=[NONE_LOST])
    ignored = claw.drill(fault, wanted="inconclusive", durations={"steady": 6, "fault": 3, "recovery": 3, "effect": 3})
    assert enforced.result.get("verdict") == "pass", enforced.output
    assert by_phase(enforced)["fault"][LITELLM] >= 2
    assert (ignored.result.get("verdict"), reasons(ignored)) == ("inconclusive", ["fault_did_not_take"]), ignored.output
    found = networking.read_namespaced_network_policy("openclaw", namespace)
    assert found.spec.to_dict() == before
    assert not any("failover-probe" in name for name in [*(found.metadata.annotations or {}), *found.metadata.labels])


def test_a_probe_that_is_killed_asks_no_more_and_what_it_broke_is_restored(claw: Drilled, run_module: Any) -> None:
    with playing(claw.kubeconfig, claw.folder, claw.params(claw.admin_fault({"kind": "status", "status": 529}))) as played:
        played.wait_for_line(r" s  fault ", 300)
        played.end(signal.SIGKILL)
    assert wait_for(lambda: claw.left(run_module) == [], 60), "its program in the gateway's container took its conversation along"
    before = claw.asked()
    assert not wait_for(lambda: claw.asked() != before, 3)
    assert claw.fault_of_claude() == "status"
    restored = claw.run({"state": "restored", "namespace": claw.site.namespace})
    assert restored.result["restored"] == [f"Deployment {claw.site.namespace}/upstream"], restored.output
    assert claw.fault_of_claude() == "none"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gateway": {"deployment": "elsewhere"}}, "has no pod that is ready"),
        ({"models": [{"model": LITELLM, "chain": [LITELLM]}]}, f"asks {CLAUDE} first, and the drill says {LITELLM}"),
        ({"models": [{"model": CLAUDE, "chain": [CLAUDE, "litellm/gpt-9"]}]}, "litellm/gpt-9 is not served at OpenClaw"),
        ({"fault": {"kind": "internet", "policy": "none", "hosts": [ANTHROPIC]}}, "There is no NetworkPolicy"),
    ],
    ids=["no gateway", "another primary", "no such fallback", "no policy"],
)
def test_what_cannot_be_drilled_is_one_clear_error(claw: Drilled, change: dict[str, Any], told: str) -> None:
    ran = claw.run({**claw.params({"kind": "none"}), **change})
    assert ran.failed
    assert told in ran.message


def test_no_key_is_in_anything_that_is_shown(claw: Drilled, record_property: Any) -> None:
    report = claw.folder / "reports"
    fault = claw.admin_fault({"kind": "echo_credential", "status": 401})
    ran = claw.drill(fault, report=str(report), thresholds=[NONE_LOST])
    assert ran.result.get("verdict") == "pass", ran.output
    shown = ran.output + "".join(path.read_text() for path in report.iterdir())
    for key in (claw.site.token, claw.site.litellm_key):
        assert key not in shown
        assert base64.b64encode(key.encode()).decode()[:16] not in shown
        assert key[-12:] not in shown
    record_property("table", "\n".join(f"measured again: {text}" for text in claw.late) or "each was measured once")
