# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Brings an Open-WebUI to what was asked for: read, compare, write the difference, read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.homelab.llm.plugins.module_utils._open_webui import access, connections, diff, section
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.access import Grants
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.connections import Connection, Wanted
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.reach import Answer
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.section import SECTIONS, Settings
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.server import said
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import Trouble


class Server(Protocol):
    """What is used of `server.Server`."""

    version: str

    @property
    def where(self) -> str: ...

    def read(self, path: str) -> Any: ...

    def write(self, path: str, body: Mapping[str, Any]) -> None: ...

    def try_out(self, path: str, body: Mapping[str, Any]) -> Answer: ...

    def unknown(self, path: str, why: str) -> Trouble: ...


@dataclass(frozen=True)
class Desired:
    """`backends` is None when connections are not to be touched. `salt` keys fingerprints of keys that no Secret holds."""

    backends: Sequence[Wanted] | None = None
    purge: bool = False
    check_keys: bool = True
    settings: Mapping[str, Settings] = field(default_factory=dict)
    access: Mapping[str, Grants] = field(default_factory=dict)
    salt: str = field(default="", repr=False)


@dataclass(frozen=True)
class Write:
    """One page that differs: what is sent, and how that is told. `find_lost` reads it again and yields what was not kept."""

    path: str
    body: Mapping[str, Any] = field(repr=False)
    before: diff.Lines
    after: diff.Lines
    changes: tuple[str, ...]
    find_lost: Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Done:
    changes: tuple[str, ...]
    version: str
    diff: dict[str, str]


def converge(server: Server, desired: Desired, *, dry_run: bool, remember: Callable[[list[bytes]], None]) -> Done:
    """Do what was asked, or with `dry_run` only say what would be done.

    `remember` is told every key before it is used, so that the caller can hide it. Raises Trouble; before the first write, nothing has been
    changed.
    """
    problems: list[str] = []
    writes = [
        *_of_settings(server, desired, problems, ("admin",)),
        *_of_connections(server, desired, problems, remember),
        *_of_settings(server, desired, problems, ("models", "tasks")),
        *_of_access(server, desired),
    ]
    if problems:
        raise Trouble(f"Open-WebUI at {server.where} was not touched", problems)
    if not dry_run:
        for each in writes:
            server.write(each.path, each.body)
        lost = [problem for each in writes for problem in each.find_lost()]
        if lost:
            raise Trouble(f"Open-WebUI {server.version} at {server.where} took what was written and did not keep it", lost)
    before = {name: line for each in writes for name, line in each.before.items()}
    after = {name: line for each in writes for name, line in each.after.items()}
    changes = tuple(change for each in writes for change in each.changes)
    return Done(changes, server.version, diff.diff(f"Open-WebUI at {server.where}", before, after))


def _of_settings(server: Server, desired: Desired, problems: list[str], names: Sequence[str]) -> Iterator[Write]:
    for each in SECTIONS:
        wanted = desired.settings.get(each.name)
        if not wanted or each.name not in names:
            continue
        current = _page(server, each.read)
        if found := list(section.find_problems(each, current, wanted, server.version)):
            problems += found
            continue
        if differing := section.differing(current, wanted):
            yield _settings(server, each, current, wanted, differing)


def _settings(server: Server, page: section.Section, current: Settings, wanted: Settings, names: list[str]) -> Write:
    merged = section.overlay(current, wanted)

    def find_lost() -> Iterator[str]:
        now = _page(server, page.read)
        for name in section.differing(now, {name: wanted[name] for name in names}):
            yield f"{page.name}.{name} is {now.get(name)!r}, and {merged[name]!r} was asked for"

    return Write(
        page.write,
        merged,
        diff.of_settings(page.name, current, names),
        diff.of_settings(page.name, merged, names),
        tuple(f"{page.name}.{name}" for name in names),
        find_lost,
    )


def _page(server: Server, path: str) -> Settings:
    found = server.read(path)
    if not isinstance(found, Mapping):
        raise server.unknown(path, f"it is a {type(found).__name__}")
    return found


def _connections(server: Server, remember: Callable[[list[bytes]], None]) -> Settings:
    page = server.read(connections.READ)
    if not connections.is_known(page):
        fields = ", ".join(sorted(page)) if isinstance(page, Mapping) else type(page).__name__
        raise server.unknown(connections.READ, f"it has {fields or 'nothing'}")
    remember([each.key.encode() for each in connections.connections_of(page)])
    return dict(page)


def _of_connections(server: Server, desired: Desired, problems: list[str], remember: Callable[[list[bytes]], None]) -> Iterator[Write]:
    wanted = desired.backends
    if wanted is None:
        return
    page = _connections(server, remember)
    merged = connections.merge(page, wanted, purge=desired.purge)
    if connections.is_same(page, merged):
        return
    if desired.check_keys:
        problems += [why for each in connections.to_check(page, merged, wanted) for why in _find_refusal(server, *each)]

    def lines(of: Settings) -> diff.Lines:
        return diff.of_connections(connections.is_enabled(of), connections.connections_of(of), wanted, desired.salt)

    def find_lost() -> Iterator[str]:
        if not connections.is_same(_connections(server, remember), merged):
            yield "its connections are not those that were asked for: somebody else changes them too"

    yield Write(connections.WRITE, merged, lines(page), lines(merged), ("connections",), find_lost)


def _find_refusal(server: Server, connection: Connection, source: str) -> Iterator[str]:
    """Have Open-WebUI ask the backend, from where it will ask later, whether it takes the key."""
    body = {"url": connection.url, "key": connection.key, "config": connection.config or {}}
    answer = server.try_out(connections.CHECK, body)
    why = said(answer.text)
    if answer.status == 200:
        return
    # Without a database LiteLLM answers a wrong key with 400.
    if answer.status in (400, 401, 403):
        yield f"{connection.url} refuses {source} ({answer.status}: {why}): put the right one there"
    elif answer.status == 404:
        yield f"{connection.url} has no /models ({answer.status}): the address must go up to and with /v1"
    else:
        yield (
            f"{connection.url} cannot be asked from Open-WebUI ({answer.status}: {why}). See whether it runs and is reached from there, "
            "or write the connection without asking: check_keys: false"
        )


def _of_access(server: Server, desired: Desired) -> Iterator[Write]:
    if not desired.access:
        return
    current = _grants(server)
    for model, grants in access.differing(current, desired.access).items():
        yield _access(server, model, grants, current)


def _access(server: Server, model: str, grants: Grants, current: Mapping[str, Grants]) -> Write:
    def find_lost() -> Iterator[str]:
        if access.differing(_grants(server), {model: grants}):
            yield f"access.{model} is not what was asked for: are the users and groups there?"

    return Write(
        access.WRITE,
        access.request(model, grants),
        diff.of_access(current, [model]),
        diff.of_access({model: grants}, [model]),
        (f"access.{model}",),
        find_lost,
    )


def _grants(server: Server) -> dict[str, Grants]:
    records = server.read(access.READ)
    if not access.is_known(records):
        raise server.unknown(access.READ, "its records have no access_grants")
    return access.by_model(records)
