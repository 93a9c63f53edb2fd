# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, being killed in the middle, and leaving nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from sandbox_cli import Sandbox, traces


def wait_until(true: object, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def components_on_host(box: Sandbox) -> list[int]:
    """The node's programs as this host numbers them; the sandbox's own state has their numbers inside."""
    inside = {str(part["pid"]) for part in box.status["components"].values()}
    namespace = Path(f"/proc/{child(box)}/ns/pid").readlink()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines = (entry / "status").read_text().splitlines()
                same = (entry / "ns" / "pid").readlink() == namespace
            except OSError:  # it ended meanwhile, or is the kernel's own
                continue
            numbers = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
            if same and len(numbers) == 2 and numbers[1] in inside:
                found.append(int(entry.name))
    assert len(found) == len(inside)
    return found


def child(box: Sandbox) -> int:
    return int(Path(f"/proc/{box.launcher}/task/{box.launcher}/children").read_text().split()[0])


def listens(url: str) -> bool:
    return f"127.0.0.1:{url.rpartition(':')[2]}" in subprocess.check_output(["ss", "-ltn"], text=True)


def test_two_run_side_by_side_and_down_leaves_nothing_of_one_behind(sandbox: Sandbox, own_sandbox: Sandbox) -> None:
    before = traces(own_sandbox.name)
    own_sandbox.run("up")
    kubeconfig = own_sandbox.run("kubeconfig", "--content").stdout
    own_sandbox.kubectl("create", "namespace", "only-here")
    assert sandbox.run("kubectl", "get", "namespace", "only-here", check=False).returncode == 1
    assert sandbox.status["addresses"] != own_sandbox.status["addresses"]
    forwarded = own_sandbox.run("forward", "--detach", "traefik/traefik:web").stdout.split()[0]
    assert listens(forwarded)

    own_sandbox.run("down")
    assert traces(own_sandbox.name) == before
    assert not listens(forwarded)
    assert sandbox.status["state"] == "ready"

    own_sandbox.run("up")
    assert own_sandbox.run("kubectl", "get", "namespace", "only-here", check=False).returncode == 1, "it starts empty"
    assert own_sandbox.run("kubeconfig", "--content").stdout == kubeconfig, "a kubeconfig goes on to be right"


def test_killed_as_a_whole_it_is_told_and_cleaned_up(own_sandbox: Sandbox) -> None:
    before = traces(own_sandbox.name)
    own_sandbox.run("up")
    os.kill(own_sandbox.launcher, signal.SIGKILL)
    wait_until(lambda: own_sandbox.status["state"] == "killed")
    assert "was killed: cleaning up" in own_sandbox.run("up").stderr
    assert own_sandbox.status["state"] == "ready"

    os.kill(child(own_sandbox), signal.SIGKILL)
    wait_until(lambda: own_sandbox.status["state"] == "killed")
    own_sandbox.run("down")
    assert traces(own_sandbox.name) == before


def test_programs_that_are_killed_come_back(own_sandbox: Sandbox) -> None:
    before = traces(own_sandbox.name)
    own_sandbox.run("up")
    for pid in components_on_host(own_sandbox):
        os.kill(pid, signal.SIGKILL)

    def all_are_back() -> bool:
        return all(part["restarts"] >= 1 and part["pid"] for part in own_sandbox.status["components"].values())

    wait_until(all_are_back, 180)
    wait_until(lambda: own_sandbox.status["state"] == "ready", 300)
    own_sandbox.run("down")
    assert traces(own_sandbox.name) == before


def test_an_up_that_is_killed_half_way_is_finished_by_two_at_once(own_sandbox: Sandbox) -> None:
    for seconds in (0.3, 2.0, 5.0):
        process = own_sandbox.start("up", start_new_session=True)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    processes = [own_sandbox.start("up") for _ in range(2)]
    errors = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("up already" in text for text in errors) == 1
    assert own_sandbox.status["state"] == "ready"
