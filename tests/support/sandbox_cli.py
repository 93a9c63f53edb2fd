# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as a user has it: its command line; and what it could leave behind on this host."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox" / "sandbox"


@dataclass(frozen=True)
class Sandbox:
    """A sandbox by name, driven through its command line as a user does."""

    name: str
    program: Path = SANDBOX

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.program, "--name", self.name, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            **options,
        )

    def run(self, *words: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.program, "--name", self.name, *words], capture_output=True, text=True, input=stdin, check=False, timeout=900
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def kubectl(self, *words: str, check: bool = True, stdin: str | None = None) -> str:
        return self.run("kubectl", *words, check=check, stdin=stdin).stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "--filename", "-", stdin="\n---\n".join(json.dumps(body) for body in objects))

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json", check=False).stdout)
        return found

    @property
    def launcher(self) -> int:
        """The process that holds the whole sandbox."""
        pid: int = json.loads((Path(self.status["folder"]) / "running.json").read_text())["launcher"]["pid"]
        return pid


def cgroups(name: str) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"**/homelab-llm-sandbox/{name}-*"))


def traces(name: str) -> dict[str, Any]:
    """What a running sandbox could leave on this host."""
    devices = sorted(path.name for path in Path("/sys/class/net").iterdir())
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "sandbox" in line]
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if f"/boxes/{name}" in command:
                processes.append(command)
    return {"cgroups": cgroups(name), "devices": devices, "mounts": mounts, "processes": processes}
