# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What Compose would do to a project, told from what it says of the project and of its containers: plain functions over its output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Compose keeps here the hash of the definition that a container was made from, and compares it at the next `up`.
_HASH_LABEL = "com.docker.compose.config-hash"


@dataclass(frozen=True)
class Container:
    """A container of a project. `health` is empty where no check of it is defined."""

    service: str
    identity: str
    state: str
    health: str
    definition_hash: str

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def ready(self) -> bool:
        return self.running and self.health in ("", "healthy")


@dataclass(frozen=True)
class Port:
    """A port of this machine that a service takes."""

    service: str
    address: str
    number: int


@dataclass(frozen=True)
class Plan:
    """What `up` has to do, by the names of services."""

    create: tuple[str, ...] = ()
    recreate: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.create or self.recreate or self.start or self.remove)

    @property
    def text(self) -> str:
        parts = (("create", self.create), ("recreate", self.recreate), ("start", self.start), ("remove", self.remove))
        return "; ".join(f"{verb} {', '.join(names)}" for verb, names in parts if names) or "nothing"


def hashes(output: str) -> dict[str, str]:
    """Read `compose config --hash '*'`: a line with name and hash for each service."""
    return dict(line.split(maxsplit=1) for line in output.splitlines() if len(line.split()) == 2)


def containers(output: str) -> list[Container]:
    """Read `compose ps --all --format json`: an object a line, or, before 2.21, one list."""
    text = output.strip()
    found = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
    return [
        Container(
            service=each["Service"],
            identity=each["ID"],
            state=str(each.get("State", "")).lower(),
            health=str(each.get("Health") or "").lower(),
            definition_hash=_labels(each.get("Labels")).get(_HASH_LABEL, ""),
        )
        for each in found
    ]


def _labels(told: Any) -> Mapping[str, str]:
    if isinstance(told, Mapping):
        return told
    return dict(part.split("=", 1) for part in str(told or "").split(",") if "=" in part)


def ports(configuration: Mapping[str, Any]) -> Iterator[Port]:
    """Yield the ports that `compose config --format json` publishes."""
    for service, told in (configuration.get("services") or {}).items():
        for port in told.get("ports") or ():
            if str(port.get("published", "")).isdigit():
                yield Port(service, port.get("host_ip") or "0.0.0.0", int(port["published"]))  # noqa: S104  (what Compose makes of none)


def plan(wanted: Mapping[str, str], there: Iterable[Container]) -> Plan:
    """Compare the wanted services, by name and hash, with the containers that are there."""
    found = {each.service: each for each in there}
    return Plan(
        create=tuple(name for name in wanted if name not in found),
        recreate=tuple(name for name in wanted if name in found and found[name].definition_hash != wanted[name]),
        start=tuple(name for name in wanted if name in found and found[name].definition_hash == wanted[name] and not found[name].running),
        remove=tuple(name for name in found if name not in wanted),
    )


def done(before: Iterable[Container], after: Iterable[Container]) -> Plan:
    """Tell what `up` has really done. A service that reads an `env_file` looks changed to `plan` each time, and is not to Compose."""
    old, new = {each.service: each for each in before}, {each.service: each for each in after}
    both = [name for name in new if name in old]
    return Plan(
        create=tuple(name for name in new if name not in old),
        recreate=tuple(name for name in both if new[name].identity != old[name].identity),
        start=tuple(name for name in both if new[name].identity == old[name].identity and not old[name].running),
        remove=tuple(name for name in old if name not in new),
    )


def progress(wanted: Iterable[str], there: Iterable[Container]) -> str:
    """Say how far each service is, in one line."""
    found = {each.service: each for each in there}
    return ", ".join(f"{name} {found[name].health or found[name].state}" if name in found else f"{name} not there yet" for name in wanted)
