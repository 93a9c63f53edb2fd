"""What goes wrong in words: one sentence of fact, one of remedy."""

from __future__ import annotations


class SandboxError(Exception):
    """An expected failure; its text is all the user sees."""

    def __init__(self, fact: str, remedy: str = "") -> None:
        super().__init__(f"{fact}\n  remedy: {remedy}" if remedy else fact)
