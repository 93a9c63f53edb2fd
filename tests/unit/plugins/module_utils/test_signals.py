# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be cleaned up is cleaned up, also when a signal ends the process. Each case in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.homelab.llm.plugins.module_utils import _signals

COLLECTIONS = Path(__file__).resolve().parents[4] / "collections"

PROGRAM = """
import signal, sys
sys.path.insert(0, {collections!r})
from ansible_collections.homelab.llm.plugins.module_utils import _signals
{before}
try:
    with _signals.raised():
        try:
            signal.raise_signal({number})
            print("went on")
        finally:
            signal.raise_signal({number})
            print("cleaned up")
except KeyboardInterrupt:
    sys.exit(130)
print("ended well")
"""


def ended(number: int, before: str = "") -> tuple[int, list[str]]:
    """Exit code and output of a process that gets a signal, and a second one while it cleans up."""
    program = PROGRAM.format(collections=str(COLLECTIONS), number=int(number), before=before)
    done = subprocess.run([sys.executable, "-u", "-c", program], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_after_the_cleaning_up(number):
    assert ended(number) == (-number, ["cleaned up"])


def test_ctrl_c_stays_what_it_is():
    assert ended(signal.SIGINT) == (130, ["cleaned up"])


def test_a_signal_that_is_ignored_stays_ignored():
    assert ended(signal.SIGHUP, "signal.signal(signal.SIGHUP, signal.SIG_IGN)") == (0, ["went on", "cleaned up", "ended well"])


def test_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with _signals.raised():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_goes_without():
    passed = []

    def work() -> None:
        with _signals.raised():
            passed.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed == [True]
