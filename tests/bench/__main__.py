# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timings on the sandbox, each beside a rival in the same run: what counts is the ratio.

`python tests/bench [NAME...]` runs those named, or all; the names are those of BENCHES. Needs a sandbox that is up with site.yml
converged on it (`make demo`), except for config and leaks.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "support")]

import chaos  # noqa: E402  # the path has to be set first
import config  # noqa: E402
import fallback  # noqa: E402
import leaks  # noqa: E402
import outage  # noqa: E402
import overhead  # noqa: E402
import probe  # noqa: E402
import rollout  # noqa: E402
import site_noop  # noqa: E402

import sandbox  # noqa: E402

BENCHES = {
    "sandbox": sandbox.bench,
    "site": site_noop.bench,
    "config": config.bench,
    "overhead": overhead.bench,
    "outage": outage.bench,
    "rollout": rollout.bench,
    "probe": probe.bench,
    "chaos": chaos.bench,
    "fallback": fallback.bench,
    "leaks": leaks.bench,
}


def main(named: list[str]) -> None:
    unknown = sorted(set(named) - set(BENCHES))
    if unknown:
        sys.exit(f"There is no bench {', '.join(unknown)}: they are {', '.join(BENCHES)}")
    for name, bench in BENCHES.items():
        if name in named or not named:
            bench()


if __name__ == "__main__":
    main(sys.argv[1:])
