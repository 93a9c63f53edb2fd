# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One failover, measured by failover_probe and by Chaos Toolkit: vLLM is scaled to 0 under load, Ollama answers, vLLM is restored.

Both on the same site in one run, one after the other. Chaos Toolkit's experiment is what its documentation leads to: a steady state that
asks LiteLLM over HTTP, checked once a second all the while, an action that scales, and a rollback. It brings no load, so ours goes on
beside it, and tells what clients really met.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import drilled_site
import yaml
from measure import ANSIBLE, LONGEST, ROOT, SANDBOX, run, sandbox_environment
from own_site import KEY, MODELS, PRIMARY, SECRET, SPARE, Site, own_site, probed

from ansible_collections.homelab.llm.plugins.module_utils._probe import load, record

#: In a place of its own: nothing else of the project needs it.
PACKAGES = ("chaostoolkit==1.19.0", "chaostoolkit-lib==1.44.0", "chaostoolkit-kubernetes==0.39.0", "kubernetes==37.0.2")
VENV = ROOT / ".cache" / "bench" / "chaostoolkit"
RATE, STEADY, FAULT, RECOVERY = 10, 10, 25, 20
Json = dict[str, Any]


def installed() -> Path:
    """Return the program `chaos`, installing it at first."""
    stamp = VENV / "made-from"
    if not stamp.is_file() or stamp.read_text() != "\n".join(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        subprocess.run([VENV / "bin" / "python", "-m", "pip", "install", "--quiet", *PACKAGES], check=True, timeout=LONGEST)
        stamp.write_text("\n".join(PACKAGES))
    return VENV / "bin" / "chaos"


def experiment(site: Site, url: str) -> Json:
    """An experiment as its users write it. What the number of replicas was before, they have to know."""

    def scale(name: str, replicas: int) -> Json:
        where = {"name": PRIMARY, "ns": site.namespace, "replicas": replicas}
        provider = {"type": "python", "module": "chaosk8s.deployment.actions", "func": "scale_deployment", "arguments": where}
        return {"type": "action", "name": name, "provider": provider}

    asks = {
        "type": "http",
        "url": f"{url}/v1/chat/completions",
        "method": "POST",
        "headers": {"Authorization": "Bearer ${key}", "Content-Type": "application/json"},
        "arguments": {"model": MODELS[PRIMARY], "messages": [{"role": "user", "content": "Are you there?"}]},
        "timeout": 5,
    }
    return {
        "title": "Every request is answered while vLLM is away",
        "description": "LiteLLM falls back to Ollama within 5 s.",
        "configuration": {"key": {"type": "env", "key": KEY}},
        "steady-state-hypothesis": {
            "title": "LiteLLM answers within 5 s",
            "probes": [{"type": "probe", "name": "litellm-answers", "tolerance": 200, "provider": asks}],
        },
        "method": [{**scale("vllm-away", 0), "pauses": {"before": STEADY, "after": FAULT}}],
        "rollbacks": [scale("vllm-back", 1)],
    }


@contextmanager
def reachable(site: Site) -> Iterator[str]:
    """LiteLLM on a port of this machine, where Chaos Toolkit is."""
    words = [str(SANDBOX), "forward", f"{site.namespace}/litellm:4000"]
    environ = {**os.environ, **sandbox_environment(), "PYTHONUNBUFFERED": "1"}
    forward = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        line = forward.stdout.readline() if forward.stdout else ""
        found = re.match(r"http://\S+", line)
        if not found:
            sys.exit(f"the sandbox does not forward to LiteLLM: {line}")
        yield found[0]
    finally:
        forward.terminate()
        forward.wait()


def run_chaos(site: Site, folder: Path) -> tuple[Json, float]:
    """Run the experiment; return its journal and the seconds it took."""
    chaos, path, journal = installed(), folder / "experiment.json", folder / "journal.json"
    environ = {**os.environ, **sandbox_environment(), KEY: site.key, "NO_COLOR": "1"}
    with reachable(site) as url:
        path.write_text(json.dumps(experiment(site, url)))
        words = ["--hypothesis-strategy", "continuously", "--hypothesis-frequency", "1", "--rollback-strategy", "always"]
        start = time.monotonic()
        command = [chaos, "--no-version-check", "--settings", folder / "none.yaml", "run", *words, "--journal-path", journal, path]
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=LONGEST)
        took = time.monotonic() - start
    if not journal.is_file():
        sys.exit(f"chaos ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return dict(json.loads(journal.read_text())), took


def run_probe(site: Site, folder: Path) -> tuple[Json, float]:
    """Run the drill as a playbook; return its result and the seconds it took."""
    task = {
        "name": "chaos",
        "namespace": site.namespace,
        "image": drilled_site.SIMULATOR,
        "url": site.litellm,
        "key_secret": {"name": SECRET, "key": KEY},
        "models": [{"model": MODELS[PRIMARY], "chain": [MODELS[PRIMARY], MODELS[SPARE]], "rate": RATE}],
        "fault": {"kind": "scale", "backends": [{"deployment": PRIMARY, "service": PRIMARY}]},
        "durations": {"steady": STEADY, "fault": FAULT, "recovery": RECOVERY},
        "thresholds": [
            {"id": "NFR65", "metric": "worst_wait", "limit": 5, "unit": "s"},
            {"id": "NFR67", "metric": "lost", "limit": 0, "unit": "requests", "inclusive": True},
        ],
        "report": str(folder),
    }
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"homelab.llm.failover_probe": task}]}
    play["vars"] = {"ansible_python_interpreter": sys.executable}
    (folder / "drill.yml").write_text(yaml.safe_dump([play]))
    start = time.monotonic()
    run(ANSIBLE, "-i", "localhost,", "-c", "local", folder / "drill.yml")
    took = time.monotonic() - start
    return dict(json.loads((folder / "chaos.json").read_text())["drills"][0]), took


@contextmanager
def clients(site: Site) -> Iterator[list[record.Recording]]:
    """Clients beside Chaos Toolkit, as many as in the drill. What they met is in the list afterwards."""
    found: list[record.Recording] = []
    one = load.Load("chat", site.litellm, MODELS[PRIMARY], RATE, key_env=KEY)
    plan = load.Plan([one], seconds=STEADY + FAULT + 10)
    look = {"url": site.litellm, "key_env": KEY, "targets": [], "seconds": 120}
    thread = threading.Thread(target=lambda: found.append(probed(site.vantage(), plan, look)))
    thread.start()
    time.sleep(5)
    try:
        yield found
    finally:
        thread.join()


def moment_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def seconds_of(probe: Mapping[str, Any]) -> float:
    return moment_of(probe["end"]) - moment_of(probe["start"])


def answerer_of(look: Mapping[str, Any]) -> str:
    """What LiteLLM's headers say; the journal keeps them, the experiment does not look."""
    output = look.get("output")
    return str(output["headers"].get("x-litellm-model-group", "")) if isinstance(output, dict) else ""


def told_by_chaos(journal: Json) -> dict[str, str]:
    """What its journal says, and the most that can be read out of it."""
    looks = [probe for state in journal["steady_states"].get("during", []) for probe in state["probes"]]
    if not looks:
        sys.exit(f"Chaos Toolkit did not find the steady state, so it broke nothing ({journal['status']}): measure on a quieter machine")
    bad = [probe for probe in looks if not probe.get("tolerance_met")]
    broken = moment_of(journal["run"][0]["start"])
    switched = [moment_of(look["end"]) - broken for look in looks if answerer_of(look) == MODELS[SPARE]]
    switch = f"not told; by the headers of its looks at most {min(switched):.1f} s after the command" if switched else "not told"
    rollback = journal["rollbacks"][0]
    return {
        "requests looked at": str(len(looks)),
        "outage": f"{len(bad)} of {len(looks)} looks failed, one a second",
        "until the next tier answered": switch,
        "slowest request": f"{max(map(seconds_of, looks)):.2f} s of its own",
        "back after the restore": "not told (ends with the rollback)",
        "restored": f"'{rollback['status']}', not read back; replicas as written in the experiment",
        "verdict": f"{journal['status']}, {'deviated' if journal['deviated'] else 'not deviated'}",
    }


def told_by_probe(drill: Json) -> dict[str, str]:
    metrics, requests = drill["metrics"], drill["requests"]

    def seconds(name: str) -> str:
        return "not measured" if metrics.get(name) is None else f"{metrics[name]:.2f} s"

    return {
        "requests looked at": str(requests["sent"]),
        "outage": f"{seconds('outage')}, {requests['lost']} lost, {seconds('degraded')} slower than usual",
        "until the next tier answered": seconds("first_answer"),
        "slowest request": seconds("worst_wait"),
        "back after the restore": f"{seconds('recovery_from_restore')}; after the backend was ready {seconds('recovery_from_ready')}",
        "restored": f"{drill['restore']['state']}, read back and compared; replicas as they were",
        "verdict": f"{drill['verdict']}, limits {', '.join(one['id'] for one in drill['thresholds'])}",
    }


def wait_until_back(site: Site, seconds: float = 60) -> str:
    """Return the replicas when all are ready again."""
    end = time.monotonic() + seconds
    while (found := site.ready(PRIMARY)) != (1, 1) and time.monotonic() < end:
        time.sleep(0.2)
    return f"{found[1]} of {found[0]}"


def bench() -> None:
    installed()
    with own_site() as site, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drill, our_time = run_probe(site, folder)
        ours = {**told_by_probe(drill), "replicas ready afterwards": wait_until_back(site), "run time": f"{our_time:.0f} s"}
        time.sleep(12)  # LiteLLM's cooldown: both begin alike
        with clients(site) as met:
            journal, their_time = run_chaos(site, folder)
        theirs = {**told_by_chaos(journal), "replicas ready afterwards": wait_until_back(site), "run time": f"{their_time:.0f} s"}
    versions = ", ".join(PACKAGES[:3]).replace("==", " ")
    print(f"\nvLLM scaled to 0 under {RATE} requests/s and restored; beside it {versions}\n")
    print(f"| | failover_probe | Chaos Toolkit |\n|---|---|---|\n{table(ours, theirs)}")
    waits = sorted(each.wait for each in met[0].requests)
    lost = sum(not each.answered for each in met[0].requests)
    print(f"\nBeside Chaos Toolkit {len(waits)} requests of clients: {lost} lost, the slowest waited {waits[-1]:.2f} s.", flush=True)


def table(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    return "\n".join(f"| {what} | {said} | {theirs[what]} |" for what, said in ours.items())
