# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A fault as it is asked for, checked before anything is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: A request to an admin API that makes a fault, and one that undoes it.
CALL = ("url", "method_on", "body_on", "method_off", "body_off")
#: What each kind can be told, beside which backends it breaks.
KINDS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "scale": ("grace", *CALL),
    "refuse": ("grace",),
    "blackhole": ("grace",),
    "hang": ("where", "after_tokens", "grace"),
    "reset": ("where", "after_tokens", "grace"),
    "cut": ("after_tokens", "grace"),
    "status": ("status", "body", "grace"),
    "slow": ("first_token", "tokens_per_second", "grace"),
    "secret": ("secret", "key", "restart"),
    "egress": ("clients",),
    "internet": ("policy", "hosts"),
    "http": CALL,
}
#: A pod takes the backend's place behind its Service.
STAND_IN = frozenset({"refuse", "blackhole", "hang", "reset", "cut", "status", "slow"})
WHERES = ("before_headers", "after_headers", "mid_stream")
METHODS = ("PUT", "POST", "DELETE", "PATCH")


class BadFault(ValueError):
    """The fault cannot be made; the message says what to change."""


@dataclass(frozen=True)
class Backend:
    """What is broken: a Deployment, and the Service that leads to it."""

    deployment: str
    service: str = ""


@dataclass(frozen=True)
class Fault:
    """`grace`: seconds that the backend's pods get to end, None: what they ask for themselves. Seconds and tokens a second as named."""

    kind: str
    backends: tuple[Backend, ...] = ()
    where: str = "before_headers"
    after_tokens: int = 2
    status: int = 503
    body: str = ""
    first_token: float = 10.0
    tokens_per_second: float = 1.0
    grace: int | None = None
    secret: str = ""
    key: str = ""
    restart: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    policy: str = ""
    hosts: tuple[str, ...] = ()
    url: str = ""
    method_on: str = "PUT"
    body_on: str = ""
    method_off: str = "DELETE"
    body_off: str = ""

    @property
    def stands_in(self) -> bool:
        return self.kind in STAND_IN

    @property
    def scales(self) -> bool:
        return self.kind == "scale" or self.stands_in

    def described(self) -> str:
        """What is broken and how, in a few words."""
        shown = {"hang": ("where",), "reset": ("where",), "status": ("status",), "slow": ("first_token", "tokens_per_second")}
        details = ", ".join(f"{name} {getattr(self, name)}" for name in shown.get(self.kind, ()))
        asked = f", and {self.method_on} {self.url} {self.body_on}".rstrip() if self.url else ""
        return self.kind + (f" ({details})" if details else "") + asked

    def target(self, namespace: str) -> str:
        if self.kind == "egress":
            backends = ", ".join(each.service for each in self.backends)
            return f"the way from Deployment {', '.join(self.clients)} to Service {backends} in {namespace}"
        if self.kind == "internet":
            return f"the way to {', '.join(self.hosts)}, by NetworkPolicy {namespace}/{self.policy}"
        if self.kind == "secret":
            return f"Secret {namespace}/{self.secret}, key {self.key}"
        return ", ".join(f"Deployment {namespace}/{each.deployment}" for each in self.backends)


def fault_of(params: Mapping[str, Any]) -> Fault:
    """Return the fault that a module's parameter spells: `kind`, `backends` and what the kind can be told. Raises BadFault."""
    given = {name: value for name, value in params.items() if value is not None and value != []}
    kind = str(given.pop("kind", "none"))
    if kind not in KINDS:
        raise BadFault(f"fault: '{kind}' is no fault; there are {', '.join(KINDS)}")
    backends = tuple(Backend(str(each["deployment"]), str(each.get("service") or "")) for each in given.pop("backends", ()))
    if unknown := set(given) - set(KINDS[kind]):
        takes = ", ".join(KINDS[kind]) or "nothing"
        raise BadFault(f"fault {kind}: {', '.join(sorted(unknown))} is not for it; it takes {takes}")
    given |= {name: tuple(given[name]) for name in ("restart", "clients", "hosts") if name in given}
    fault = Fault(kind, backends, **given)
    if problems := [text for text, is_wrong in _problems(fault).items() if is_wrong]:
        raise BadFault(f"fault {kind}: {'; '.join(problems)}")
    return fault


def _problems(fault: Fault) -> dict[str, bool]:
    names = [each.deployment for each in fault.backends]
    address = urlsplit(fault.url)
    return {
        "backends must name the Deployment that is to fail": fault.kind not in ("none", "secret", "internet") and not fault.backends,
        "backends must name the Service of each Deployment": (fault.scales or fault.kind == "egress")
        and not all(each.service for each in fault.backends),
        "policy must name the NetworkPolicy that lets the pods out, and hosts whom they lose by it": fault.kind == "internet"
        and not (fault.policy and fault.hosts),
        "clients must name the Deployments whose pods lose their way": fault.kind == "egress" and not fault.clients,
        "a Deployment is named twice": len(set(names)) != len(names),
        f"where must be one of {', '.join(WHERES)}, it is {fault.where!r}": fault.where not in WHERES,
        "a reset comes before_headers or mid_stream": fault.kind == "reset" and fault.where == "after_headers",
        f"status must be an HTTP status from 300 to 599, it is {fault.status}": not 300 <= fault.status <= 599,
        "after_tokens must not be below 0": fault.after_tokens < 0,
        "first_token must not be below 0, tokens_per_second must be above": fault.first_token < 0 or fault.tokens_per_second <= 0,
        "grace must be 1 s or more": fault.grace is not None and fault.grace < 1,
        "secret and key must say which value to spoil": fault.kind == "secret" and not (fault.secret and fault.key),
        f"'{fault.url}' is no http:// or https:// address without a password in it": (fault.kind == "http" or bool(fault.url))
        and (address.scheme not in ("http", "https") or not address.hostname or "@" in address.netloc),
        f"a method must be one of {', '.join(METHODS)}": fault.method_on not in METHODS or fault.method_off not in METHODS,
    }
