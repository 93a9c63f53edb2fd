# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds of OpenClaw's full turns while Anthropic fails, and of the first one afterwards: by the role, and with OpenClaw's own defaults.

`FALLBACK_TURNS` is how many turns a fault gets (20), `FALLBACK_FAULTS` the names of some of them.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from kubernetes import client, config
from measure import ROOT, kubectl, sandbox_environment
from openclaw_site import ANTHROPIC, OpenclawSite, openclaw_site

#: What the simulator of api.anthropic.com is told, by the name in the table.
FAULTS: dict[str, dict[str, Any]] = {
    "401": {"kind": "status", "status": 401},
    "403": {"kind": "status", "status": 403},
    "429": {"kind": "status", "status": 429},
    "429, retry-after 5": {"kind": "status", "status": 429, "retry_after": 5},
    "500": {"kind": "status", "status": 500},
    "529": {"kind": "status", "status": 529},
    "refused": {"kind": "refuse"},
    "reset": {"kind": "reset", "where": "before_headers"},
    "hang before headers": {"kind": "hang", "where": "before_headers"},
    "hang after headers": {"kind": "hang", "where": "after_headers"},
    "hang in mid-stream": {"kind": "hang", "where": "mid_stream"},
    "blackhole": {"kind": "blackhole", "connections": "silent"},
}
#: What the role does about a fallback that takes long, left out; on a volume of its own, for settings stay on it.
OWN_DEFAULTS = {"openclaw_agent_settings": {}, "openclaw_first_byte_timeout": 120, "openclaw_claim": "plain"}
#: OpenClaw's own take up to three minutes: what takes longer than this is not waited for.
LIMIT = 60
PROGRAM = (ROOT / "roles/openclaw/files/gateway.mjs").read_text() + (ROOT / "tests/bench/turns.mjs").read_text()


def bench() -> None:
    turns = int(os.environ.get("FALLBACK_TURNS", "20"))
    names = [name.strip() for name in os.environ.get("FALLBACK_FAULTS", ";".join(FAULTS)).split(";")]
    core = client.CoreV1Api(config.new_client_from_config(sandbox_environment()["KUBECONFIG"]))
    os.environ.update(sandbox_environment())
    with tempfile.TemporaryDirectory() as folder:
        sites = openclaw_site(core, Path(folder))
        site = next(sites)
        try:
            deploy(site)
            ours = {name: measure(site, FAULTS[name], turns) for name in names}
            deploy(site, **OWN_DEFAULTS)
            theirs = {name: measure(site, FAULTS[name], 1) for name in names}
        finally:
            sites.close()  # type: ignore[attr-defined]
    for name in names:
        print(f"{name:<20} {ours[name]}\n{'':<20}   OpenClaw's own: {theirs[name]}", flush=True)


def deploy(site: OpenclawSite, **variables: Any) -> None:
    """Converge, and let the gateway warm up: its first turn takes ten seconds more."""
    played = site.play(openclaw_verify=False, **variables)
    if played.code:
        raise SystemExit(played.output[-3000:])
    site.wait_for_gateway()
    take_turns(site, 3)


def take_turns(site: OpenclawSite, turns: int) -> list[dict[str, Any]]:
    """Return what each turn said. In a conversation that fell back OpenClaw goes on asking the primary first."""
    asked = json.dumps({"turns": turns, "pause": 0.5, "limit": LIMIT})
    pod = site.gateway().metadata.name
    command = ("node", "--input-type=module", "-e", PROGRAM, asked)
    said = kubectl("--namespace", site.namespace, "exec", pod, "--container", "openclaw", "--", *command)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def measure(site: OpenclawSite, fault: dict[str, Any], turns: int) -> str:
    """Break, ask, mend and ask again."""
    with site.fault(ANTHROPIC, **fault):
        during = take_turns(site, turns)
    (after,) = take_turns(site, 1)
    seconds = sorted(each["seconds"] for each in during)
    by = sorted({each["by"] or f"nobody ({each['error'][:60]})" for each in during})
    worst = seconds[max(0, math.ceil(len(seconds) * 0.95) - 1)]
    middle = seconds[len(seconds) // 2]
    during_it = f"p50 {middle:5.2f}  p95 {worst:5.2f}  max {seconds[-1]:5.2f} s by {', '.join(by)}"
    return f"{during_it}; then {after['seconds']:.2f} s by {after['by']}"
