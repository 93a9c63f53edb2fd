"""Mounting inside the sandbox's own mount namespace."""

from __future__ import annotations

from pathlib import Path

from sandbox.run import output


def mount(source: str | Path, target: Path, kind: str = "", options: str = "") -> None:
    """Mount a file system, by mount(8)."""
    words: list[str | Path] = ["mount"]
    if kind:
        words += ["-t", kind]
    if options:
        words += ["-o", options]
    output([*words, source, target])


def bind(source: Path, target: Path) -> None:
    """Show `source` at `target`, inside this mount namespace only."""
    output(["mount", "--bind", source, target])
