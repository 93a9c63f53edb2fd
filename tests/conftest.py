# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several test processes on one machine and one cluster: a test marked `alone` runs while no other does. And tables in the output."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

_LOCKS = Path(tempfile.gettempdir()) / f"homelab-llm-tests-{os.getuid()}-{os.environ.get('SANDBOX_NAME', 'none')}"


def _opened(stack: ExitStack, name: str) -> IO[str]:
    _LOCKS.mkdir(exist_ok=True)
    return stack.enter_context((_LOCKS / name).open("a"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the lock from before the first fixture until after the last: alone, or together with all who are not."""
    with ExitStack() as stack:
        queue, lock = _opened(stack, "queue"), _opened(stack, "lock")
        # Whoever waits for the lock keeps the queue: those who come later would otherwise share it among themselves for ever.
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables that tests recorded, whichever process they ran in."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "table" and report.when == "call":
                    terminalreporter.section(report.nodeid)
                    terminalreporter.write_line(str(value))
