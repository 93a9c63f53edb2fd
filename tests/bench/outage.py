# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds of outage per fault: a usual config, the role without its bound on the first token, and the role, side by side in one run.

Each fault, streamed or not, has a backend and a model group of its own in each of three LiteLLM: a cooldown is a group's. What is measured
is what the failover probe measures, by its own worker and arithmetic. Needs the sandbox, and nothing else on it.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faulty_backends import ADMIN, FREE, KEY, Backend, make_key, output_of, seen_by_clients, start_litellm, start_simulator, wait_for
from kubernetes import client, config
from measure import sandbox_environment
from site_under_test import Site, client_pod

from ansible_collections.homelab.llm.plugins.module_utils._probe import measure, record
from ansible_collections.homelab.llm.plugins.module_utils._probe.expectation import Chain, Expectation
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import Load, Plan, program
from ansible_collections.homelab.llm.plugins.module_utils._probe.phases import Phases
from ansible_collections.homelab.llm.plugins.module_utils._probe.tier import Tier

CLIENT = Path(__file__).with_name("outage_client.py")
CONFIGS = {
    "usual": "num_retries 1, timeout 3",
    "whole": "role, first token unbounded, timeout 3",
    "role": "role",
}
#: Seconds before the fault, in it, and for what is under way then.
STEADY, FAULT, GRACE = 6, 25, 30
#: So long after the fault began all that it met under way is through.
THROUGH = 6
#: Requests a second for each model group: enough to see each second of an outage, few enough for two cores.
RATE = 1.0
#: Longer than a model is left alone that failed, be it by a slow start.
COOLDOWN = 12
#: Seconds that the clients may be late by themselves, as in a drill.
LATE = 0.25
#: Faults at the same time.
TOGETHER = 2
#: How often they are measured at most, where the machine was busy.
ATTEMPTS = 3
FAST, SLOWLY = "[tokens=6]", "[tokens=4 rate=8]"

#: What breaks a backend, and what it is asked: a fault in mid-answer needs an answer that has a middle.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "refused": ({"kind": "refuse"}, FAST),
    "reset": ({"kind": "reset", "where": "before_headers"}, FAST),
    "blackhole": ({"kind": "blackhole"}, FAST),
    "hang before headers": ({"kind": "hang", "where": "before_headers"}, FAST),
    "hang after headers": ({"kind": "hang", "where": "after_headers"}, FAST),
    "hang in mid-answer": ({"kind": "hang", "where": "mid_stream"}, SLOWLY),
    "reset in mid-answer": ({"kind": "reset", "where": "mid_stream"}, SLOWLY),
    "500": ({"kind": "status", "status": 500}, FAST),
    "503": ({"kind": "status", "status": 503}, FAST),
    "429": ({"kind": "status", "status": 429}, FAST),
    "first token after 8 s": ({"kind": "slow", "first_token": 8, "tokens_per_second": 50}, FAST),
}
LONG, PATIENCE = "[tokens=59 rate=1 first=2.5]", 120
SPARE = Backend("spare", 7999, "ollama_chat")
BACKENDS = {name: Backend(name.replace(" ", "-"), 8000 + number) for number, name in enumerate([*FAULTS, "well"])}


@dataclass(frozen=True)
class Cell:
    """One model group of one LiteLLM."""

    config: str
    fault: str
    streamed: bool

    @property
    def model_group(self) -> str:
        return f"{BACKENDS[self.fault].name}-{'streamed' if self.streamed else 'whole'}"

    @property
    def name(self) -> str:
        return f"{self.config}-{self.model_group}"

    def load(self, rate: float, prompt: str, max_tokens: int = 64) -> Load:
        url = f"http://{self.config}:4000/v1"
        return Load(self.name, url, self.model_group, rate, self.streamed, KEY, prompt_suffix=prompt, max_tokens=max_tokens)


def cells(faults: Sequence[str], configs: Sequence[str] = tuple(CONFIGS)) -> list[Cell]:
    return [Cell(config, fault, streamed) for fault in faults for streamed in (False, True) for config in configs]


def models(config: str) -> list[dict[str, Any]]:
    # Only the bound on the first token leaves an answer its time; the others have to bound the whole.
    more = {} if config == "role" else {"timeout": 3}
    found = [BACKENDS[cell.fault].entry(cell.model_group, **more, **FREE) for cell in cells([*BACKENDS], [config])]
    return [*found, SPARE.entry(SPARE.name, **FREE)]


def chains() -> dict[str, list[str]]:
    return {cell.model_group: [SPARE.name] for cell in cells([*BACKENDS], ["role"])}


def start(core: client.CoreV1Api, site: Site) -> None:
    """Make the simulator, LiteLLM with the usual config, and two by the role itself."""
    core.create_namespace({"metadata": {"name": site.namespace}})
    make_key(core, site.namespace)
    start_simulator(core, site.namespace, [*BACKENDS.values(), SPARE])
    fallbacks = [{model: targets} for model, targets in chains().items()]
    usual = {"model_list": models("usual"), "litellm_settings": {"num_retries": 1, "fallbacks": fallbacks}}
    start_litellm(core, site.namespace, "usual", usual)

    def play(name: str) -> None:
        off = {"litellm_first_token_timeout": 0} if name == "whole" else {}
        told = {"litellm_models": models(name), "litellm_fallbacks": chains(), "litellm_explicit_only": []}
        played = site.play("site", litellm_name=name, litellm_verify=False, **told, **off)
        if played.code:
            sys.exit(played.output)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(play, ("whole", "role")))
    for name in ("upstream", "usual"):
        wait_for(core, site.namespace, name, "Ready", 120)


def ask(core: client.CoreV1Api, namespace: str, plan: Plan, faults: Mapping[str, Any]) -> list[str]:
    """Let the worker ask through an outage, and return the lines it printed."""
    name = f"outage-{uuid.uuid4().hex[:8]}"
    work = {"spec": asdict(plan), "admin": ADMIN, "faults": faults, "steady": STEADY}
    made = client_pod(CLIENT.read_text(), [json.dumps(work), program()], name=name)
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    core.create_namespaced_pod(namespace, made)
    wait_for(core, namespace, name, "Succeeded", 300)
    return output_of(core, namespace, name).splitlines()


def warm_up(core: client.CoreV1Api, namespace: str) -> None:
    """Ask each model until it answers: LiteLLM's first answers take a second, and a Service that is new may lead nowhere yet."""
    asked = [{"url": f"http://{cell.config}:4000", "model": cell.model_group, "stream": cell.streamed} for cell in cells([*BACKENDS])]
    seen_by_clients(core, namespace, "warm-up", {"well": asked, "faults": {}, "steps": [], "controls": []})
    time.sleep(COOLDOWN)


def outage(core: client.CoreV1Api, namespace: str, faults: Sequence[str]) -> Iterator[tuple[Cell, dict[str, float | None]]]:
    """Break some backends at once; yield what each cell measured."""
    asked = cells(faults)
    # Slightly different rates: of clients that ask at the same moment each would measure the others.
    loads = [cell.load(RATE * (1 + 0.02 * number), FAULTS[cell.fault][1]) for number, cell in enumerate(asked)]
    plan = Plan(loads, seconds=STEADY + FAULT, grace_s=GRACE, timeout_s=60)
    for attempt in range(1, ATTEMPTS + 1):
        lines = ask(core, namespace, plan, {BACKENDS[fault].name: FAULTS[fault][0] for fault in faults})
        recording = record.parse(lines)
        # A machine that has no time for the clients measures itself.
        late = max((beat.late_s for beat in recording.beats), default=0.0)
        (broken,) = [fields for line in lines if (fields := json.loads(line))["kind"] == "broken"]
        if recording.begun is None or recording.ended is None:
            sys.exit(f"the record of {', '.join(faults)} is not complete:\n{lines[-1:]}")
        phases = Phases(recording.begun.t_mono, recording.ended.t_mono, broken["begun"], broken["ended"])
        # One model group is asked in three LiteLLM: told apart by the load.
        own = {cell: record.Recording(tuple(each for each in recording.requests if each.load == cell.name)) for cell in asked}
        ill = [cell.name for cell, recorded in own.items() if not was_well(cell, recorded, phases)]
        if late < LATE and not ill:
            break
        why = f"{', '.join(ill)} was not well before the fault" if ill else f"the clients were {late:.2f} s late"
        if attempt == ATTEMPTS and ill:
            sys.exit(f"{', '.join(faults)}: {why}, {attempt} times")
        print(f"{', '.join(faults)}: {'asked again' if attempt < ATTEMPTS else 'to be read with care'}, for {why}", flush=True)
        time.sleep(COOLDOWN)
    for cell, recorded in own.items():
        yield cell, judged(cell, recorded, phases)


def expectation_of(cell: Cell) -> Expectation:
    primary, spare = Tier("primary", cell.model_group), Tier("spare", SPARE.name, models=(f"{SPARE.protocol}/m", "m"))
    return Expectation((Chain(cell.model_group, (primary, spare), frozenset({"primary"})),))


def was_well(cell: Cell, recording: record.Recording, phases: Phases) -> bool:
    """Whether there were requests before the fault, and all were the primary's."""
    steady = [one for one in measure.sight(recording, phases, expectation_of(cell)) if one.phase == "steady"]
    return bool(steady) and all(one.served.tier == "primary" for one in steady)


def judged(cell: Cell, recording: record.Recording, phases: Phases) -> dict[str, float | None]:
    expectation = expectation_of(cell)
    sights = measure.sight(recording, phases, expectation)
    steady = [one for one in sights if one.phase == "steady"]
    settled = sorted(one.wait for one in sights if one.phase != "steady" and one.request.t_start > (phases.fault_effective or 0) + THROUGH)
    found = measure.metrics(recording, phases, expectation, sights)
    return {**found, "usual_later": measure.percentile(settled, 0.5), "asked": len(sights) - len(steady)}


def long_answers(core: client.CoreV1Api, namespace: str) -> dict[Cell, record.Request]:
    """One long answer for each config, whole and streamed, of a backend that is well and slow."""
    asked = cells(["well"])
    plan = Plan([cell.load(0.01, LONG, 100) for cell in asked], seconds=10, grace_s=PATIENCE, timeout_s=PATIENCE)
    recording = record.parse(ask(core, namespace, plan, {}))
    return {cell: request for cell in asked for request in recording.requests if request.load == cell.name}


def shown(metrics: Mapping[str, float | None]) -> str:
    worst, later, out, lost = (metrics[name] or 0 for name in ("worst_wait", "usual_later", "outage", "lost"))
    return f"{worst:.2f} / {later:.2f} / {out:.0f}" + (f", {lost:.0f} of {metrics['asked']:.0f} lost" if lost else "")


def told(request: record.Request) -> str:
    # The last word of a whole answer is its number.
    whole = request.said.strip().endswith("t59")
    who = "" if request.model_group != SPARE.name else " by the next tier"
    return f"{'whole' if whole else f'cut ({request.finish})'}{who}, {request.t_end - request.t_start:.0f} s"


def bench() -> None:
    core = client.CoreV1Api(config.new_client_from_config(sandbox_environment()["KUBECONFIG"]))
    site = Site(f"bench-{uuid.uuid4().hex[:8]}")
    try:
        start(core, site)
        warm_up(core, site.namespace)
        with ThreadPoolExecutor(1) as aside:
            long = aside.submit(long_answers, core, site.namespace)
            names = [*FAULTS]
            found = {
                cell: metrics
                for at in range(0, len(names), TOGETHER)
                for cell, metrics in outage(core, site.namespace, names[at : at + TOGETHER])
            }
            answers = long.result()
    finally:
        core.delete_namespace(site.namespace)
    what = f"seconds of the worst request / of the median from {THROUGH} s on / of outage in {FAULT} s of fault"
    print(f"{what}; {RATE:g} request/s and model\n")
    print(f"| fault | asked | {' | '.join(CONFIGS.values())} |\n|{'---|' * (2 + len(CONFIGS))}")
    for fault in FAULTS:
        for streamed in (False, True):
            line(fault, streamed, [shown(found[Cell(name, fault, streamed)]) for name in CONFIGS])
    for streamed in (False, True):
        line(
            "none: first token after 2.5 s, then one a second", streamed, [told(answers[Cell(name, "well", streamed)]) for name in CONFIGS]
        )
    usual = max(metrics["steady_wait_p95"] or 0 for metrics in found.values())
    print(f"\nBefore the faults 95 of 100 answers of any model came within {usual:.2f} s; one with a middle takes 0.4 s.", flush=True)


def line(fault: str, streamed: bool, row: list[str]) -> None:
    print(f"| {fault} | {'streamed' if streamed else 'whole'} | {' | '.join(row)} |")
