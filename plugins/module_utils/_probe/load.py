# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What is asked, and how often: checked here, before anything is broken, and spelled as the worker's spec."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal
from urllib.parse import urlsplit

from ansible_collections.homelab.llm.plugins.module_utils._probe import asking, sign_in, worker

#: Who speaks what: OpenClaw's turns are taken by another worker, turns.mjs.
PROTOCOLS = (*asking.PROTOCOLS, "openclaw")
SCHEMES = {"openclaw": ("ws",)}
#: A turn of OpenClaw: as a person has it, with tools, in a conversation; or with the question alone.
TURNS = ("full", "light")
#: Requests per second that the worker was measured with. More may be late by themselves, and the judgement would say so.
FASTEST = 100.0


class BadLoad(ValueError):
    """The load cannot be generated; the message names the setting and says what to change."""


@dataclass(frozen=True)
class Load:
    """One model asked at one rate; the fields are those of the worker's spec, with its units."""

    name: str
    url: str
    model: str
    rate: float = 5.0
    stream: bool | Literal["both"] = "both"
    key_env: str = ""
    protocol: str = "openai"
    prompt_tokens: int = 20
    prompt_suffix: str = ""
    max_tokens: int = 64
    turn: str = "full"
    email: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        schemes = SCHEMES.get(self.protocol, ("http", "https"))
        problems = {
            "name must not be empty": not self.name,
            f"'{self.url}' is no {' or '.join(f'{each}://' for each in schemes)} address": parts.scheme not in schemes
            or not parts.hostname,
            "url must hold no user and password: use key_env": "@" in parts.netloc,
            "model must not be empty": not self.model,
            f"rate must be above 0 and at most {FASTEST:g} a second, it is {self.rate}": not 0 < self.rate <= FASTEST,
            f"stream must be true, false or both, it is {self.stream!r}": self.stream not in (True, False, "both"),
            "email: say who signs in at Open-WebUI, by the password that key_secret names": self.protocol == "open_webui"
            and not (self.email and self.key_env),
            f"stream must be true, it is {self.stream!r}: Open-WebUI's page streams every answer": self.protocol == "open_webui"
            and self.stream is not True,
            f"protocol '{self.protocol}' is none of {', '.join(PROTOCOLS)}": self.protocol not in PROTOCOLS,
            f"turn must be {' or '.join(TURNS)}, it is {self.turn!r}": self.turn not in TURNS,
            f"prompt_tokens must be at least 1, it is {self.prompt_tokens}": self.prompt_tokens < 1,
            f"max_tokens must be at least 1, it is {self.max_tokens}": self.max_tokens < 1,
        }
        wrong = [text for text, is_wrong in problems.items() if is_wrong]
        if wrong:
            raise BadLoad(f"load {self.name or '?'}: {'; '.join(wrong)}")

    def described(self) -> str:
        """Say in a few words what is asked."""
        name = "" if self.name == self.model else f"{self.name}, "
        size = f", {self.prompt_tokens} words" if self.prompt_tokens > 100 else ""
        return f"{self.model} ({name}{self.rate:g}/s{size})"


@dataclass(frozen=True)
class Plan:
    """Everything the worker is told. `seconds` is the longest it may run, `timeout_s` a client's patience; see worker.py."""

    loads: Sequence[Load]
    seconds: float
    timeout_s: float = 60.0
    concurrency: int = 512
    grace_s: float = 10.0
    keep_alive: bool = False
    ca_file: str | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        names = [load.name for load in self.loads]
        if not names:
            raise BadLoad("there is no load")
        if len(set(names)) != len(names):
            raise BadLoad(f"loads must have different names: {', '.join(names)}")
        for name in ("seconds", "timeout_s", "concurrency"):
            if not math.isfinite(getattr(self, name)) or getattr(self, name) <= 0:
                raise BadLoad(f"{name} must be above 0, it is {getattr(self, name)}")
        if self.grace_s < 0:
            raise BadLoad(f"grace_s must not be below 0, it is {self.grace_s}")

    def spec(self) -> str:
        """Return the worker's spec: one line, without a secret."""
        return json.dumps(dataclasses.asdict(self))

    def described(self) -> list[dict[str, Any]]:
        """Return the loads for a report."""
        shown = ("name", "model", "protocol", "rate", "stream", "prompt_tokens", "url")
        return [{name: getattr(load, name) for name in shown} for load in self.loads]


def program() -> str:
    """Return the worker's source in one piece, to be run by Python 3.9 or later. Works from a module's zip too."""
    return joined(sign_in, asking, worker)


def joined(*modules: ModuleType) -> str:
    """Return the source of several modules as one program."""
    # What one imports from here comes before it; where it runs there is no collection to import from.
    first, *others = (inspect.getsource(each) for each in modules)
    known = re.compile(r"^from (__future__|ansible_collections\.\S+) import .*\n", re.MULTILINE)
    return first + "".join(known.sub("", each) for each in others)
