# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a scan is asked to look for and to look in, checked before it begins: the module's parameters as plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LOGS, EVENTS, CONFIGMAPS, OBJECTS = "logs", "events", "configmaps", "objects"
LOOK_IN = (LOGS, EVENTS, CONFIGMAPS, OBJECTS)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class BadTask(Exception):
    """The parameters make no scan. `problems` are sentences, all of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"Nothing was looked through: {'; '.join(problems)}")
        self.problems = problems


@dataclass(frozen=True)
class SecretAsked:
    """A Secret whose values are looked for: those of `keys`, or of all, without those of `exclude`."""

    namespace: str
    name: str
    keys: tuple[str, ...]
    exclude: frozenset[str]

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Area:
    """A namespace, and what to look in there; `selector`, `container`, `previous` and `files` are about its pods."""

    namespace: str
    selector: str
    look_in: frozenset[str]
    previous: bool
    files: tuple[str, ...]
    container: str | None

    @property
    def wants_pods(self) -> bool:
        return LOGS in self.look_in or bool(self.files)


@dataclass(frozen=True)
class Task:
    secrets: tuple[SecretAsked, ...]
    areas: tuple[Area, ...]
    files: tuple[str, ...]
    public: tuple[bytes, ...]


def task_of(params: Mapping[str, Any]) -> Task:
    """Return the task of the module's parameters. Raises BadTask with everything that is wrong with them."""
    if problems := list(_find_problems(params)):
        raise BadTask(problems)
    return Task(
        secrets=tuple(
            SecretAsked(each["namespace"], each["name"], tuple(each["keys"]), frozenset(each["exclude"])) for each in params["secrets"]
        ),
        areas=tuple(
            Area(
                namespace=each["name"],
                selector=each["selector"],
                look_in=frozenset(each["look_in"]),
                previous=each["previous"],
                files=tuple(each["files"]),
                container=each["container"],
            )
            for each in params["namespaces"]
        ),
        files=tuple(params["files"]),
        public=tuple(text.encode() for text in params["public"]),
    )


def _find_problems(params: Mapping[str, Any]) -> Iterator[str]:
    if not params["secrets"]:
        yield "secrets is empty: name those whose values to look for"
    if not params["namespaces"] and not params["files"]:
        yield "namespaces and files are empty: say where to look"
    for each in params["secrets"]:
        yield from _find_problems_of_secret(each)
    for each in params["namespaces"]:
        yield from _find_problems_of_area(each)


def _find_problems_of_secret(secret: Mapping[str, Any]) -> Iterator[str]:
    for option in ("namespace", "name"):
        if not _NAME.fullmatch(secret[option]):
            yield f"{option} '{secret[option]}' in secrets is no Kubernetes name"
    for key in sorted(set(secret["keys"]) & set(secret["exclude"])):
        yield f"{key} of Secret {secret['namespace']}/{secret['name']} is in keys and in exclude: name it in one"


def _find_problems_of_area(area: Mapping[str, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(area["name"]):
        yield f"name '{area['name']}' in namespaces is no Kubernetes name"
    for path in area["files"]:
        if not path.startswith("/") or not path.strip("/"):
            yield f"'{path}' in files of namespace {area['name']} is no path from the root, such as /tmp/openclaw"
    if not area["look_in"] and not area["files"]:
        yield f"look_in and files of namespace {area['name']} are empty: say where to look there"
