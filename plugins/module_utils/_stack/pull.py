# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A pull as Ollama tells it: one JSON object a line, `{"status": …, "digest": …, "total": bytes, "completed": bytes}` or `{"error": …}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What Ollama says when the registry has no such model: of its own registry, and of another one.
_UNKNOWN = ("file does not exist", "pull model manifest: 404", "manifest unknown", "invalid model name")
_FULL = ("no space left on device", "disk quota exceeded")


class PullError(Exception):
    """What another try would not mend. The text names the model and the way out."""


class InterruptedPull(Exception):
    """The pull broke off; what has been fetched is kept, and the next one goes on from there."""


@dataclass
class Pull:
    """How far a pull is. `room` is how many bytes it may take on the disk, None when that is not known."""

    name: str
    room: int | None = None
    place: str = ""
    totals: dict[str, int] = field(default_factory=dict)
    completed: dict[str, int] = field(default_factory=dict)
    #: Bytes that were there at the first word about each layer, which comes within 60 ms: what an earlier pull had fetched, or a bit more.
    began: dict[str, int] = field(default_factory=dict)
    status: str = ""
    done: bool = False

    def hear(self, told: Mapping[str, Any]) -> None:
        """Take in one line. Raises PullError, or InterruptedPull for what may go better at the next try."""
        if error := told.get("error"):
            self._fail(str(error))
        self.status = str(told.get("status", self.status))
        self.done = self.done or self.status == "success"
        digest, total = told.get("digest"), told.get("total")
        if not digest or not total:
            return
        completed = int(told.get("completed") or 0)
        if digest not in self.totals:
            self.totals[digest] = int(total)
            self.began[digest] = completed
            self._fits(int(total) - completed)
        self.completed[digest] = completed

    def _fits(self, more: int) -> None:
        if self.room is not None and more > self.room:
            raise PullError(
                f"{self.name} needs {size(more)} more, and {size(max(self.room, 0))} may be taken of the disk with {self.place}: "
                "free some, choose a smaller model with local_stack_model, or lower local_stack_disk_reserve_gib. What was fetched is kept"
            )

    def _fail(self, error: str) -> None:
        if any(sign in error for sign in _UNKNOWN):
            raise PullError(
                f"There is no model {self.name} to pull ({error}): look for its name and tag at https://ollama.com/library, "
                "or in your own registry, and set local_stack_model"
            )
        if any(sign in error for sign in _FULL):
            raise PullError(f"The disk is full ({error}): free some and run it again, it goes on where it stopped")
        raise InterruptedPull(error)

    @property
    def resumed(self) -> int:
        """Bytes of layers that an earlier pull had begun and not ended."""
        return sum(count for digest, count in self.began.items() if count < self.totals[digest])

    @property
    def percent(self) -> int:
        return 100 * sum(self.completed.values()) // max(sum(self.totals.values()), 1)

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.totals:
            return self.status
        return f"{self.percent} % of {size(sum(self.totals.values()))}"


def full_name(name: str) -> str:
    """Return the name as Ollama lists it: with a tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def size(number: int) -> str:
    """Return a number of bytes for people."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} B"
