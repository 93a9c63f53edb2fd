# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook of one task as a process that can be watched, and ended."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
_PLAIN = {
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_LOCALHOST_WARNING": "0",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
    "ANSIBLE_NOCOLOR": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Ran:
    """What the module returned, and all that was printed."""

    result: dict[str, Any]
    output: str

    @property
    def failed(self) -> bool:
        return bool(self.result.get("failed"))

    @property
    def message(self) -> str:
        return str(self.result.get("msg", ""))


class Playing:
    """A playbook under way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(line)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for_line(self, pattern: str, seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while not any(re.search(pattern, line) for line in self.lines):
            assert self.runs, f"it ended without {pattern}: {self.output}"
            assert time.monotonic() < end, f"no {pattern} in: {self.output}"
            time.sleep(0.02)

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def end(self, number: int) -> None:
        """As a terminal, an init system or a crash does: Ctrl-C is for the whole group, a crash takes everybody."""
        if number == signal.SIGKILL:
            for pid in [self._process.pid, *_children_of(self._process.pid)]:
                os.kill(pid, signal.SIGKILL)
        elif number == signal.SIGINT:
            os.killpg(self._process.pid, number)
        else:
            os.kill(self._process.pid, number)

    def wait(self, seconds: float = 600) -> int:
        """Wait for its end and for all that it said; return its code."""
        self._process.wait(seconds)
        self._thread.join(10)
        return self._process.returncode

    def finish(self, seconds: float = 600) -> Ran:
        self.wait(seconds)
        found = re.search(r"OUTCOME ([A-Za-z0-9+/=]+) END", self.output)
        assert found, self.output
        return Ran(json.loads(base64.b64decode(found[1])), self.output)


def _children_of(pid: int) -> list[int]:
    """Ansible's workers have sessions of their own, so a signal for the group does not reach them."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def playing(kubeconfig: Path, folder: Path, params: Mapping[str, Any], *, check: bool = False) -> Iterator[Playing]:
    """The module failover_probe, run by ansible-playbook in a process group of its own; whatever is left of it afterwards is killed."""
    name = str(params.get("name", "restore"))
    task = {"name": "Run", "homelab.llm.failover_probe": {"kubeconfig": str(kubeconfig), **params}}
    told = {"ansible.builtin.debug": {"msg": "OUTCOME {{ outcome | to_json | b64encode }} END"}}
    variables = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables}
    playbook = folder / f"{name}-{time.monotonic_ns()}.yml"
    playbook.write_text(yaml.safe_dump([{**play, "tasks": [{**task, "register": "outcome", "ignore_errors": True}, told]}]))
    with _process(["--check"] * check + [str(playbook)], _PLAIN) as started:
        yield started


@contextmanager
def playing_playbook(name: str, variables: Mapping[str, Any], *options: str, environ: Mapping[str, str] | None = None) -> Iterator[Playing]:
    """One of our playbooks, on the sandbox's inventory, the same way. No variable may be a key: others see the command line."""
    told = {"ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1", **(environ or {})}
    with _process([f"playbooks/{name}.yml", "-i", "inventories/sandbox", "-e", json.dumps(variables), *options], told) as started:
        yield started


@contextmanager
def _process(words: list[str], environ: Mapping[str, str]) -> Iterator[Playing]:
    with subprocess.Popen(
        [sys.executable, "-m", "ansible.cli.playbook", *words],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Playing(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                left = [] if process.poll() is not None else [process.pid, *_children_of(process.pid)]
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
