# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several test processes on one machine and one cluster: a test marked `alone` runs while no other does. And tables in the output."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest
from hypothesis import settings

# How long an example takes is no matter of the tests: two of them run at once, and beside a cluster.
settings.register_profile("here", deadline=None)
settings.load_profile("here")

# A shell without job control has what it starts in the background ignore SIGINT, and so would everything that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LOCKS = Path(tempfile.gettempdir()) / f"homelab-llm-tests-{os.getuid()}-{os.environ.get('SANDBOX_NAME', 'none')}"


def _opened(stack: ExitStack, name: str) -> IO[str]:
    _LOCKS.mkdir(exist_ok=True)
    return stack.enter_context((_LOCKS / name).open("a"))


#: What a test that is marked `alone` keeps for the next one of its file: their drills go on between them.
_kept: list[ExitStack] = []


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that begin alone come first: whoever runs beside them can only wait, which is best done with such a file of its own."""
    first = {item.path: item for item in reversed(items)}
    items.sort(key=lambda item: not _is_alone(first[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Hold the lock from before the first fixture until after the last: alone, or together with all who are not."""
    with _kept.pop() if _kept else _locked(_is_alone(item)) as stack:
        result = yield
        if _is_alone(item) and nextitem is not None and _is_alone(nextitem) and nextitem.path == item.path:
            _kept.append(stack.pop_all())
        return result


def _locked(alone: bool) -> ExitStack:
    with ExitStack() as stack:
        queue, lock = _opened(stack, "queue"), _opened(stack, "lock")
        # Whoever waits for the lock keeps the queue: those who come later would otherwise share it among themselves for ever.
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        return stack.pop_all()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables that tests recorded, whichever process they ran in."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "table" and report.when == "call":
                    terminalreporter.section(report.nodeid)
                    terminalreporter.write_line(str(value))
