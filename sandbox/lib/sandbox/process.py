"""Processes that outlive this program, recognised for certain: a number alone may have gone to another process."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME_FIELD = 22  # proc(5), counted from 1


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything; these begin at field 3
    return None if fields[0] == "Z" else int(fields[_START_TIME_FIELD - 3])


@dataclass(frozen=True)
class Process:
    """A process of this host: its number, its start in clock ticks since boot, and which boot that was."""

    pid: int
    start_time: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the identity of a running process."""
        start_time = _start_time(pid)
        if start_time is None:
            raise ProcessLookupError(pid)
        return cls(pid, start_time, _BOOT_ID.read_text().strip())

    @property
    def alive(self) -> bool:
        return _start_time(self.pid) == self.start_time and _BOOT_ID.read_text().strip() == self.boot

    def child(self) -> int | None:
        """Return its first child's number, as this host counts."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0]) if children else None

    def kill(self, seconds: float = 10.0) -> bool:
        """End it with SIGKILL and wait; tell whether it is gone."""
        deadline = time.monotonic() + seconds
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.alive
