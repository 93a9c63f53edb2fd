# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds of OpenClaw's full turns while Anthropic fails, and of the first one afterwards: by the role, and with OpenClaw's own defaults.

The turns are the failover probe's. `FALLBACK_TURNS` is how many of them a fault gets (20), `FALLBACK_FAULTS` the names of some of them,
with semicolons, `FALLBACK_TIMEOUT` another openclaw_first_byte_timeout, and `FALLBACK_RIVAL=no` leaves OpenClaw's defaults out.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from kubernetes import client, config
from measure import sandbox_environment
from openclaw_site import ANTHROPIC, OpenclawSite, openclaw_site
from openclaw_turns import FAULTS, person

from ansible_collections.homelab.llm.plugins.module_utils._probe.measure import percentile

#: What the role does about a fallback that takes long, left out; on a volume of its own, for settings stay on it.
OWN_DEFAULTS = {"openclaw_agent_settings": {}, "openclaw_first_byte_timeout": 120, "openclaw_claim": "plain"}
#: OpenClaw's own take up to three minutes: what takes longer than this is not waited for.
LIMIT = 60


def bench() -> None:
    turns = int(os.environ.get("FALLBACK_TURNS", "20"))
    names = [name.strip() for name in os.environ.get("FALLBACK_FAULTS", ";".join(FAULTS)).split(";")]
    timeout = os.environ.get("FALLBACK_TIMEOUT")
    tuned = {"openclaw_first_byte_timeout": int(timeout)} if timeout else {}
    os.environ.update(sandbox_environment())
    core = client.CoreV1Api(config.new_client_from_config(os.environ["KUBECONFIG"]))
    with tempfile.TemporaryDirectory() as folder:
        sites = openclaw_site(core, Path(folder))
        site = next(sites)
        try:
            deploy(site, **tuned)
            for name in names:
                print(f"{name:<20} {measured(site, FAULTS[name], turns)}", flush=True)
            if os.environ.get("FALLBACK_RIVAL") == "no":
                return
            print("OpenClaw's own defaults:", flush=True)
            deploy(site, **OWN_DEFAULTS)
            for name in names:
                print(f"{name:<20} {measured(site, FAULTS[name], 1)}", flush=True)
        finally:
            sites.close()


def deploy(site: OpenclawSite, **variables: Any) -> None:
    """Converge, and let the gateway warm up: its first turn takes ten seconds more."""
    played = site.play(openclaw_verify=False, **variables)
    if played.code:
        raise SystemExit(played.output[-3000:])
    site.wait_for_gateway()
    with person(site, LIMIT) as turns:
        turns.take(3)


def measured(site: OpenclawSite, fault: dict[str, Any], count: int) -> str:
    """Break, ask, mend and ask again, in a conversation that has begun. What the site's own LiteLLM adds is nothing: it is a simulator."""
    with person(site, LIMIT) as turns:
        turns.take(1)
        with site.fault(ANTHROPIC, **fault):
            during = turns.take(count)
        (after,) = turns.take(1)
    seconds = sorted(each.t_end - each.t_start for each in during)
    p50, p95 = percentile(seconds, 0.5), percentile(seconds, 0.95)
    by = sorted({each.model or f"nobody ({each.finish})" for each in during})
    told = f"p50 {p50:6.2f}  p95 {p95:6.2f}  max {seconds[-1]:6.2f} s of {count} by {', '.join(by)}"
    return f"{told}; then {after.t_end - after.t_start:.2f} s by {after.model or after.finish}"
