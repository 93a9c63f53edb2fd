# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import subprocess

from sandbox.process import Process


def test_a_process_is_alive_until_it_is_killed() -> None:
    child = subprocess.Popen(["sleep", "60"])
    process = Process.of(child.pid)
    assert process.alive
    assert process.kill()  # the zombie counts as ended
    assert not process.alive
    child.wait()


def test_another_process_with_the_same_number_is_not_taken_for_it() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        mine = Process.of(child.pid)
        assert not dataclasses.replace(mine, start_time=mine.start_time - 1).alive
        assert not dataclasses.replace(mine, boot="another").alive
        assert dataclasses.replace(mine, boot="another").kill()
        assert mine.alive
    finally:
        child.kill()
        child.wait()
