# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every bench needs: the sandbox's commands, a stopwatch and one way to print."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / "sandbox" / "sandbox"
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
#: Seconds that nothing of a bench takes, not even on a busy machine: what is not over by then hangs.
LONGEST = 1200


@cache
def sandbox_environment() -> Mapping[str, str]:
    """What `eval "$(sandbox/sandbox env)"` sets."""
    shell = subprocess.run([SANDBOX, "env"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    exported = dict(line.removeprefix("export ").split("=", 1) for line in shell.splitlines())
    return {name: value.strip("'") for name, value in exported.items()}


def run(*words: str | Path, **more: str) -> str:
    """Run a command on the sandbox; `more` are further environment variables. Its own words are shown when it fails."""
    env = {**os.environ, **sandbox_environment(), "ANSIBLE_NOCOLOR": "1", **more}
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True, check=False, env=env, timeout=LONGEST)
    if done.returncode:
        sys.exit(f"{' '.join(str(word) for word in words)[:300]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def kubectl(*words: str) -> str:
    return run(SANDBOX, "kubectl", *words)


def seconds(work: Callable[[], Any], times: int = 3) -> float:
    """Return the median of some runs."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def report(title: str, ours: float, rival: str, theirs: float, unit: str = "s") -> None:
    """Print one line; the ratio says how much smaller ours is."""
    print(f"{title:<58} {ours:8.2f} {unit:<2}  {rival:<50} {theirs:8.2f} {unit:<2}  ratio {theirs / ours:6.1f}", flush=True)
