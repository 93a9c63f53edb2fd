# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Which program runs a Compose project on this machine, and running it. What Docker and Podman have in common is Compose v2."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Each engine with the words for Compose, and those for the folder of its data, which succeed only where the engine itself answers.
_PROGRAMS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "docker": (("docker", "compose"), ("docker", "info", "--format", "{{.DockerRootDir}}")),
    "podman": (("podman", "compose"), ("podman", "info", "--format", "{{.Store.GraphRoot}}")),
}
_REMEDY = (
    "Install Docker with its Compose plugin (v2), or Podman 4.7 or later with one of its own, and start it; "
    "see docs/SETUP.md of the collection homelab.llm"
)
#: Compose only asks the engine here; what takes longer than this hangs.
_SECONDS = 60


class EngineError(Exception):
    """There is no engine, or it refused: the text says what was tried and what to do."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers: its name, the words that run Compose on it, and its data folder, which may be inside a virtual machine."""

    name: str
    compose: tuple[str, ...]
    data: Path


def find(wanted: str) -> Engine:
    """Return the first engine that has Compose and answers, of all or only the one that is `wanted`. Raises EngineError."""
    tried = []
    for name, (compose, data) in _PROGRAMS.items():
        if wanted not in ("auto", name):
            continue
        try:
            return Engine(name, tuple(compose), _data_folder(name, compose, data))
        except EngineError as why:
            tried.append(f"{name}: {why}")
    listed = "".join(f"\n- {each}" for each in tried)
    raise EngineError(f"No container engine of this machine can run the stack, nothing was changed:{listed}\n{_REMEDY}")


def _data_folder(name: str, compose: Sequence[str], data: Sequence[str]) -> Path:
    """Ask the engine where its data is. Raises EngineError with what is wrong with it, or with its Compose."""
    if not shutil.which(name):
        raise EngineError("is not on PATH")
    try:
        version = subprocess.run([*compose, "version", "--short"], capture_output=True, text=True, check=False, timeout=_SECONDS)
        if version.returncode:
            raise EngineError(f"`{' '.join(compose)} version` says: {last_line(version.stderr) or 'nothing'}")
        if version.stdout.strip().lstrip("v").startswith("1."):
            raise EngineError(f"its Compose is {version.stdout.strip()}, and 2 is needed")
        answer = subprocess.run(list(data), capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise EngineError(f"does not answer within {_SECONDS} s") from None
    # `docker info` ends with 0 and an empty line when nobody answers at its socket.
    if answer.returncode or not answer.stdout.strip():
        raise EngineError(f"does not answer: {last_line(answer.stderr) or 'it says nothing'}")
    return Path(answer.stdout.strip())


def last_line(text: str) -> str:
    """Return the last line of a program's output that is not blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


@dataclass(frozen=True)
class Project:
    """A Compose project: its name, its folder, and its definition, a file there or, before that is written, its text.

    Variables that are `hidden` come from the project's own .env, whatever the environment of this process says.
    """

    engine: Engine
    name: str
    folder: Path
    definition: str | None = None
    hidden: frozenset[str] = frozenset()

    @property
    def environment(self) -> dict[str, str]:
        """What Compose is run with."""
        return {name: value for name, value in os.environ.items() if name not in self.hidden}

    def command(self, *words: str) -> list[str]:
        """Return the command line of a Compose verb."""
        file = [] if self.definition is None else ["--file", "-", "--project-directory", str(self.folder)]
        return [*self.engine.compose, "--project-name", self.name, *file, *words]

    def run(self, *words: str) -> str:
        """Run a verb that answers at once and return what it says. Raises EngineError with its last line."""
        try:
            done = subprocess.run(
                self.command(*words),
                cwd=self.folder if self.folder.is_dir() else None,
                env=self.environment,
                input=self.definition,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"`{' '.join(self.engine.compose)} {words[0]}` did not end within {_SECONDS} s") from None
        if done.returncode:
            raise EngineError(f"`{' '.join(self.engine.compose)} {words[0]}` ended with {done.returncode}: {last_line(done.stderr)}")
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a verb that takes a while, with all its output in one pipe."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
