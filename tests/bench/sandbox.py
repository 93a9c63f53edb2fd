# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon there is a cluster."""

from __future__ import annotations

import os

from measure import SANDBOX, report, run, seconds


def bench() -> None:
    again = seconds(lambda: run(SANDBOX, "up"), 5)
    name = f"bench-{os.getpid()}"
    try:
        run(SANDBOX, "up", SANDBOX_NAME=name)
        run(SANDBOX, "down", SANDBOX_NAME=name)
        start = seconds(lambda: run(SANDBOX, "up", SANDBOX_NAME=name), 1)
    finally:
        run(SANDBOX, "down", SANDBOX_NAME=name)
    report("sandbox up when it is up", again, "sandbox up after down, all cached", start)
