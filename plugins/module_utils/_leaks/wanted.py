# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The values that are looked for, read from their Secrets and never given away."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.homelab.llm.plugins.module_utils._leaks.matcher import Matcher
from ansible_collections.homelab.llm.plugins.module_utils._leaks.needle import needles_of, why_not
from ansible_collections.homelab.llm.plugins.module_utils._leaks.task import BadTask, SecretAsked
from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import PlaceholderRule


class Server(Protocol):
    """What is used of `_kubernetes.client.Client`."""

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None: ...


@dataclass(frozen=True, order=True)
class Owner:
    """A key of a Secret."""

    namespace: str
    name: str
    key: str

    def __str__(self) -> str:
        return f"key {self.key} of Secret {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Unscannable:
    """A value that cannot be looked for, and why: a phrase to follow its owner."""

    owner: Owner
    why: str


@dataclass(frozen=True)
class Wanted:
    """`values`: those that are looked for; `owners`: whose each of them is, by its place there."""

    values: tuple[bytes, ...] = field(repr=False)
    owners: tuple[tuple[Owner, ...], ...]
    unscannable: tuple[Unscannable, ...]

    def matcher(self, public: Iterable[bytes]) -> Matcher:
        known = tuple(public)
        return Matcher(needle for number, value in enumerate(self.values) for needle in needles_of(number, value, known))


def read(server: Server, secrets: Iterable[SecretAsked]) -> Wanted:
    """Read the Secrets. Raises ApiError; BadTask when one, or a key that was named, is not there, or no value can be looked for."""
    owners: dict[bytes, list[Owner]] = {}
    unscannable, problems = [], []
    for asked in secrets:
        secret = server.get("secrets", asked.namespace, asked.name)
        if secret is None:
            problems.append(f"there is no {asked}")
            continue
        data = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        problems += [f"there is no key {key} in {asked}" for key in sorted({*asked.keys, *asked.exclude} - set(data))]
        for key in sorted(set(asked.keys or data) & set(data) - asked.exclude):
            owner = Owner(asked.namespace, asked.name, key)
            if why := PlaceholderRule().why(data[key]) or why_not(data[key]):
                unscannable.append(Unscannable(owner, why))
            elif owner not in owners.setdefault(data[key], []):
                owners[data[key]].append(owner)
    if not owners and not problems:
        said = [f"{each.owner} {each.why}" for each in unscannable]
        problems.append("; ".join(["there is no value to look for", *said]))
    if problems:
        raise BadTask(problems)
    return Wanted(tuple(owners), tuple(tuple(each) for each in owners.values()), tuple(unscannable))
