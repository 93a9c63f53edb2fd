# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe's own error: reported against what the simulator knows, from the controller and from a pod. And whether it is in the way.

Known is, for each request, how long the simulator had it: from its arrival to the first token of a stream, or to a whole answer, by the
simulator's own clock. So what the network and the set-up of a connection take counts as an error, the probe's as well as the rival's.
On the controller all of them run with real-time priority where that is allowed: on a busy machine one would else measure who else computes.
Pods never are allowed to; there the machine has to be quiet.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drilled_site
from measure import ROOT, kubectl
from own_site import KEY, MODELS, PRIMARY, Site, own_site, probed

from ansible_collections.homelab.llm.plugins.module_utils._probe import load
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import Controller, Vantage

RIVAL, WITNESS = (Path(__file__).with_name(f"probe_{name}.py").read_text() for name in ("rival", "witness"))
#: Milliseconds until the first token: four loads at once, a quarter of the rate each.
DELAYS = (0, 50, 500, 3000)
RATES = (5, 20, 50)
SECONDS = 12
#: What the probe's error may be for 95 of 100 requests, in milliseconds.
LIMIT = 10.0
Json = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """A request as a client reports it. `number` is the simulator's, which the answer tells; without an answer there is none."""

    number: int
    milliseconds: float


@dataclass(frozen=True)
class Place:
    """Where clients are: how to run the probe and its rival there, and what the simulator that they ask has in its log."""

    name: str
    url: str
    vantage: Callable[[], Vantage]
    look: Json
    rival: Callable[[load.Plan], Json]
    log: Callable[[], list[Json]]


def plan_of(url: str, rate: float) -> load.Plan:
    share = rate / len(DELAYS)
    loads = [load.Load(f"{delay}", url, "any", share, prompt_suffix=f"[tokens=5 first={delay / 1000}]") for delay in DELAYS]
    return load.Plan(loads, seconds=SECONDS, timeout_s=30)


def seen(text: str, seconds: float) -> Seen:
    found = re.match(r"Answer (\d+) ", text)
    return Seen(int(found[1]) if found else 0, 1000 * seconds)


class Errors:
    """|reported - known| in milliseconds."""

    def __init__(self, requests: Sequence[Seen], log: Sequence[Json]) -> None:
        known = {each["answer"]: 1000 * each["first_token"] for each in log if each["first_token"] is not None}
        self.lost = sum(each.number not in known for each in requests)
        self.sizes = sorted(abs(each.milliseconds - known[each.number]) for each in requests if each.number in known)

    def at(self, share: float) -> float:
        """Nearest rank."""
        return self.sizes[max(0, -int(-share * len(self.sizes) // 1) - 1)]

    def __str__(self) -> str:
        return "  ".join(f"{self.at(share):7.2f}" for share in (0.5, 0.95, 0.99, 1.0))


def measure_errors(place: Place) -> bool:
    """Print a line for each rate; return whether the probe is as right as it has to be in all of them."""
    good = True
    print(f"\n{place.name}: |reported - known| in ms{'':<21}p50      p95      p99    worst   lost   rival, aiohttp:   p95    worst  ratio")
    for rate in RATES:
        plan = plan_of(place.url, rate)
        recording = probed(place.vantage(), plan, place.look)
        theirs = Errors([seen(each["text"], each["seconds"]) for each in place.rival(plan)["requests"]], place.log())
        requests = [seen(each.said, each.wait) for each in recording.requests]
        ours = Errors(requests, place.log())
        late = 1000 * max(each.t_start - each.t_due for each in recording.requests)
        title = f"  {rate} a second, {len(requests)} requests, started {late:.1f} ms late at worst"
        rival = f"{theirs.at(0.95):22.2f}  {theirs.at(1):7.2f}  {theirs.at(0.95) / ours.at(0.95):5.1f}"
        print(f"{title:<52} {ours}  {ours.lost:5d}{rival}", flush=True)
        good = good and not ours.lost and ours.at(0.95) <= LIMIT
    return good


@contextmanager
def preferred() -> Iterator[None]:
    """Prefer this process, and those it starts meanwhile, to all that has no such priority."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def at_controller() -> Iterator[Place]:
    """A simulator of this machine, without a cluster between: its network is no part of what the probe does."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    words = ["--host", f"local=vllm:{ports[0]}", "--models", "local=*", "--admin-port", str(ports[1]), "--keys-dir", "/nowhere"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "sandbox" / "upstream")}
    simulator = subprocess.Popen([sys.executable, "-m", "upstream", *words], env=environ, stdout=subprocess.DEVNULL)

    def rival(plan: load.Plan) -> Json:
        done = subprocess.run([sys.executable, "-c", RIVAL, plan.spec()], capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))

    def log() -> list[Json]:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/log") as answer:
            return list(json.load(answer))

    try:
        wait_for(log)
        url = f"http://127.0.0.1:{ports[0]}/v1"
        look = {"url": url, "targets": [{"name": "local", "url": f"{url}/models"}], "seconds": 120}
        yield Place("from the controller", url, lambda: Controller("", ""), look, rival, log)
    finally:
        simulator.terminate()
        simulator.wait()


def wait_for(answers: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            answers()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def in_pod(site: Site) -> Place:
    path = f"/api/v1/namespaces/{site.namespace}/services/{PRIMARY}-admin:{drilled_site.ADMIN_PORT}/proxy/log"

    address = site.core.read_namespaced_service(PRIMARY, site.namespace).spec.cluster_ip
    look = {"url": site.litellm, "key_env": KEY, "targets": [{"name": PRIMARY, "url": f"http://{address}:8000/v1/models"}], "seconds": 120}
    return Place(
        "from a pod",
        site.backend,
        site.vantage,
        look,
        lambda plan: site.result(site.start("rival", RIVAL, plan.spec())),
        lambda: list(json.loads(kubectl("get", "--raw", path))),
    )


def measure_disturbance(site: Site, place: Place) -> None:
    """What somebody else waits, at the simulator itself and at LiteLLM, alone, beside the probe and beside its rival."""
    rate = RATES[-1]
    print(f"\nsomebody else's requests, ten a second{'':<18}alone: p50    p95   beside the probe at {rate}/s   beside aiohttp at {rate}/s")
    for name, url in (("the simulator", site.backend), ("LiteLLM", site.litellm)):
        one = load.Load("chat", url, MODELS[PRIMARY], rate, key_env=KEY)
        plan = load.Plan([one], seconds=SECONDS + 4)

        def watched(url: str = url) -> str:
            return site.start("witness", WITNESS, url, MODELS[PRIMARY], str(SECONDS))

        def waits(pod: str) -> tuple[float, float]:
            taken = [1000 * each for each in site.result(pod)["seconds"]][5:]
            return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]

        alone = waits(watched())
        witness = watched()
        recording = probed(place.vantage(), plan, place.look)
        beside = waits(witness)
        witness = watched()
        theirs = place.rival(plan)
        rival = waits(witness)
        lost = sum(not each.answered for each in recording.requests)
        told = "   ".join(f"{p50:10.2f} {p95:7.2f} ms  x{p50 / alone[0]:.2f}" for p50, p95 in (beside, rival))
        print(f"  at {name}, median and 95 %{'':<20} {alone[0]:9.2f} {alone[1]:6.2f}{told}", flush=True)
        print(
            f"    of {len(recording.requests)} requests at {rate}/s the probe lost {lost}; aiohttp got {len(theirs['requests'])} answers",
            flush=True,
        )
        if lost:
            sys.exit(f"the probe lost requests at {rate} a second")


def bench() -> None:
    with preferred(), at_controller() as place:
        good = measure_errors(place)
    with own_site() as site:
        place = in_pod(site)
        good = measure_errors(place) and good
        measure_disturbance(site, place)
    if not good:
        sys.exit(f"the probe lost requests, or was wrong by more than {LIMIT:g} ms for one in twenty: is the machine busy?")
