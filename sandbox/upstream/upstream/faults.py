# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault vocabulary: what a host can be told to do wrong, as plain data read from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

BEFORE_HEADERS = "before_headers"
AFTER_HEADERS = "after_headers"
MID_STREAM = "mid_stream"

#: Fields that a kind takes besides the common ones.
KINDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "status": ("status", "body", "retry_after"),
    "slow": ("first_token", "tokens_per_second"),
    "hang": ("where", "after_tokens"),
    "cut": ("end", "after_tokens"),
    "reset": ("where", "after_tokens"),
    "error_event": ("after_tokens",),
    "empty": (),
    "wrong_model": ("answers_as",),
    "refuse": (),
    "blackhole": ("connections",),
    "echo_credential": ("status",),
}
COMMON = ("model", "count", "seconds")
#: Kinds that act on the listening socket: it knows no model and counts no request.
LISTENER_KINDS = ("refuse", "blackhole")
#: Kinds that can also hit requests which ask no model for an answer (lists of models, health).
WIDE_KINDS = ("status", "hang", "reset", "echo_credential")
REQUIRED = {"status": ("status",), "slow": ("first_token", "tokens_per_second")}
WHERE = {"hang": (BEFORE_HEADERS, AFTER_HEADERS, MID_STREAM), "reset": (BEFORE_HEADERS, MID_STREAM)}


class FaultError(ValueError):
    """The JSON is no fault; the text is one sentence that names the field and what it may hold."""


@dataclass(frozen=True)
class Fault:
    """One thing that a host does wrong. README.md lists what each field means."""

    kind: str = "none"
    status: int = 401
    body: Any = None
    retry_after: float | None = None
    first_token: float = 0.0  # seconds
    tokens_per_second: float | None = None
    where: str = BEFORE_HEADERS
    after_tokens: int = 2
    end: str = "clean"
    answers_as: str = "another-model"
    connections: str = "silent"
    model: str | None = None
    count: int | None = None
    seconds: float | None = None
    operations: str = "generation"

    @property
    def on_listener(self) -> bool:
        """Whether it acts on the listening socket rather than on single requests."""
        return self.kind in LISTENER_KINDS

    def is_at(self, where: str) -> bool:
        """Whether it hangs or resets at this point of an answer."""
        return self.kind in WHERE and self.where == where

    def concerns(self, generation: bool, model: str) -> bool:
        """Whether a request to `model` meets it; `generation` is false for lists of models, health and the like."""
        return (generation or self.operations == "all") and self.model in (None, model)

    def as_json(self) -> dict[str, Any]:
        """Return what `parse` reads: the kind and the fields that this kind takes, unset ones left out."""
        names = [field.name for field in fields(self) if field.name in ("kind", *taken_by(self.kind))]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


NONE = Fault()


def taken_by(kind: str) -> tuple[str, ...]:
    """Return the fields that a fault of this kind may have besides `kind`."""
    if kind == "none":
        return ()
    if kind in LISTENER_KINDS:
        return (*KINDS[kind], "seconds")
    return KINDS[kind] + COMMON + (("operations",) if kind in WIDE_KINDS else ())


def _whole(low: int, high: int | None = None) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value and (high is None or value <= high)


def _number(low: float, *, above: bool = False) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value or value == float("inf"):
            return False
        return value > low if above else value >= low

    return check


def _one_of(*allowed: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: isinstance(value, str) and value in allowed, f"one of {', '.join(allowed)}"


def _name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "kind": _one_of(*KINDS),
    "status": (_whole(200, 599), "a whole number from 200 to 599"),
    "body": (lambda value: isinstance(value, (str, dict, list)), "a text, or a JSON object or list"),
    "retry_after": (_number(0), "seconds, 0 or more"),
    "first_token": (_number(0), "seconds, 0 or more"),
    "tokens_per_second": (_number(0, above=True), "a number above 0"),
    "after_tokens": (_whole(0), "a whole number, 0 or more"),
    "end": _one_of("clean", "torn"),
    "answers_as": (_name, "the name of a model"),
    "connections": _one_of("silent", "reset"),
    "model": (_name, "the name of a model"),
    "count": (_whole(1), "a whole number, 1 or more"),
    "seconds": (_number(0, above=True), "a number above 0"),
    "operations": _one_of("generation", "all"),
}


def _check(kind: str, name: str, value: Any) -> None:
    is_good, allowed = _one_of(*WHERE[kind]) if name == "where" else CHECKS[name]
    if not is_good(value):
        shown = repr(value) if isinstance(value, (str, int, float)) else f"a JSON {type(value).__name__}"
        raise FaultError(f"{name} must be {allowed}, not {shown}")


def parse(value: Any) -> Fault:
    """Return the fault that a JSON object describes; FaultError says what is wrong with it."""
    if not isinstance(value, Mapping):
        raise FaultError('a fault must be a JSON object such as {"kind": "status", "status": 503}')
    kind = value.get("kind")
    _check("", "kind", kind)
    allowed = taken_by(str(kind))
    for name, given in value.items():
        if name == "kind":
            continue
        if name not in allowed:
            raise FaultError(f"{name} is no field of a fault of kind {kind}, which takes {', '.join(allowed) or 'none'}")
        _check(str(kind), name, given)
    wanted = REQUIRED.get(str(kind), ())
    if wanted and not any(name in value for name in wanted):
        raise FaultError(f"a fault of kind {kind} needs {' or '.join(wanted)}: {CHECKS[wanted[0]][1]}")
    defaults = {"after_tokens": 0} if kind == "error_event" else {}
    return Fault(**{**defaults, **value})
