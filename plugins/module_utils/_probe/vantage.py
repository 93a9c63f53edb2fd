# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Where clients are, and the programs that are clients there: the worker, which asks models, and the watcher, which looks at backends."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, Protocol

from ansible_collections.homelab.llm.plugins.module_utils._probe import load, sign_in, watcher
from ansible_collections.homelab.llm.plugins.module_utils._probe.clock import Exchange

Lines = Callable[[], list[str]]


class Lost(Exception):
    """The programs of the vantage do not run (any more); the message says why and what to do."""


class Vantage(Protocol):
    """`start` may raise Lost or ApiError. `watches` tells whether backends can be looked at from there, by their own addresses."""

    watches: bool

    def start(self, plan: load.Plan, look: dict[str, Any]) -> None:
        """Start both programs. `look` is the watcher's spec."""

    def worker_lines(self) -> list[str]:
        """Return what the worker wrote since the last time."""

    def watcher_lines(self) -> list[str]:
        """Return what the watcher wrote since the last time."""

    def exchanges(self) -> list[Exchange]:
        """Compare the clocks; nothing when that fails."""

    def check(self) -> None:
        """Raise Lost when the worker has ended and nobody told it to."""

    def stop(self) -> None:
        """Tell the worker to stop."""

    def close(self) -> None:
        """Take everything away, whatever has happened."""


def watcher_program() -> str:
    return load.joined(sign_in, watcher)


def look(
    url: str,
    key_env: str,
    seconds: float,
    *,
    targets: Sequence[dict[str, str]] = (),
    counters: Sequence[dict[str, Any]] = (),
    email: str = "",
    ca_file: str | None = None,
    verify: bool = True,
) -> dict[str, Any]:
    """Return the watcher's spec; see watcher.py."""
    spec = {"url": url, "key_env": key_env, "seconds": seconds, "targets": list(targets), "counters": list(counters)}
    return {**spec, "email": email, "ca_file": ca_file, "verify": verify}


def drained(lines: queue.SimpleQueue[str]) -> list[str]:
    found = []
    while True:
        try:
            found.append(lines.get_nowait())
        except queue.Empty:
            return found


class Controller:
    """Clients on this machine: both programs are processes of it, and there is one clock."""

    watches = False

    def __init__(self, key_env: str, key: str) -> None:
        self._environ = {**os.environ, key_env: key} if key_env else dict(os.environ)
        self._processes: list[subprocess.Popen[str]] = []
        self._lines: list[queue.SimpleQueue[str]] = []

    def start(self, plan: load.Plan, look: dict[str, Any]) -> None:
        self._run([load.program()])
        self._run([watcher_program(), json.dumps(look)])
        self._tell(plan.spec())

    def _run(self, words: Sequence[str]) -> None:
        # Of its own session: Ctrl-C is for the drill, which then tells them.
        process = subprocess.Popen(
            [sys.executable, "-c", *words],
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        self._processes.append(process)
        self._lines.append(lines)

    def _tell(self, line: str) -> None:
        stdin = self._processes[0].stdin
        try:
            if stdin:
                stdin.write(line + "\n")
        except OSError:
            raise Lost(f"the worker ended with {self._processes[0].poll()}") from None

    def worker_lines(self) -> list[str]:
        return drained(self._lines[0])

    def watcher_lines(self) -> list[str]:
        return drained(self._lines[1])

    def exchanges(self) -> list[Exchange]:
        now = time.monotonic()
        return [Exchange(now, now, now)]

    def check(self) -> None:
        if (code := self._processes[0].poll()) is not None:
            raise Lost(f"the worker ended with {code}")

    def stop(self) -> None:
        self._tell("stop")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def _read(stream: IO[str] | None, lines: queue.SimpleQueue[str]) -> None:
    for line in stream or ():
        lines.put(line.rstrip("\n"))
