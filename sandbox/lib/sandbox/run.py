"""Running other programs: output to a log file, and its end in the error when one fails."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.errors import SandboxError

TAIL_LINES = 25


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log file, or an empty string when there is none."""
    try:
        with log.open(errors="replace") as text:
            return "".join(deque(text, maxlen=lines)).rstrip()
    except FileNotFoundError:
        return ""


def last_line(log: Path) -> str:
    """Return the last line of a log, cut to what fits beside a clock."""
    lines = tail(log, 1).splitlines()
    return lines[-1][:90] if lines else ""


def logged(
    command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: bytes = b""
) -> None:
    """Run a command with its output in `log`; on failure raise with the end of it.

    `env` is added to this process's environment. A command that is interrupted with Ctrl-C gets the signal as well.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        done = subprocess.run(
            [str(word) for word in command],
            input=stdin,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=False,
        )
    if done.returncode:
        raise SandboxError(
            f"`{' '.join(str(word) for word in command[:4])} …` ended with {done.returncode}:\n{tail(log)}", f"the whole output is in {log}"
        )


def output(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
    """Run a command and return its standard output; on failure raise with what it said."""
    done = subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False
    )
    if done.returncode:
        raise SandboxError(f"`{' '.join(str(word) for word in command[:5])} …` ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout
