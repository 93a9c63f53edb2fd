# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a user asked for in the module's parameters, checked as far as that can be done without an Open-WebUI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.homelab.llm.plugins.module_utils._open_webui import access, connections
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.access import Grants
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.section import SECTIONS, Settings, as_kept
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import Trouble
from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import PlaceholderRule
from ansible_collections.homelab.llm.plugins.module_utils._secrets.request import Source


@dataclass(frozen=True)
class Backend:
    """A connection that was asked for: its key is given, or in a Secret, or neither, and then it keeps the one it has."""

    url: str
    key: str | None = field(default=None, repr=False)
    source: Source | None = None
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Request:
    """`backends` is None when connections are not to be touched. `settings` are by section, `access` by model."""

    email: str
    password: str = field(repr=False)
    password_source: Source | None
    backends: tuple[Backend, ...] | None
    purge: bool
    check_keys: bool
    settings: Mapping[str, Settings]
    access: Mapping[str, Grants]


def from_params(params: Mapping[str, Any]) -> Request:
    """Return the request of the module's parameters. Raises Trouble with everything that is wrong with them."""
    if problems := list(_find_problems(params)):
        raise Trouble("Open-WebUI was not touched", problems)
    home = params["namespace"]
    given = params["connections"]
    return Request(
        email=params["admin_email"],
        password=params["admin_password"] or "",
        password_source=_source(params["admin_password_from"], home),
        backends=None if given is None else tuple(_backend(each, home) for each in given),
        purge=params["purge_connections"],
        check_keys=params["check_keys"],
        settings={section.name: as_kept(params[section.name]) for section in SECTIONS},
        access={each["model"]: access.grants_of(each["grants"]) for each in params["access"]},
    )


def why_no_key(value: str) -> str | None:
    """Return what is wrong with a key, without showing it."""
    return PlaceholderRule().why(value.encode())


def _backend(entry: Mapping[str, Any], home: str | None) -> Backend:
    return Backend(connections.place(entry["url"]), entry["key"], _source(entry["key_from"], home), entry["config"])


def _source(entry: Mapping[str, Any] | None, home: str | None) -> Source | None:
    return Source(entry["namespace"] or home or "", entry["name"], entry["key"]) if entry else None


def _find_problems(params: Mapping[str, Any]) -> Iterator[str]:
    given: Sequence[Mapping[str, Any]] = params["connections"] or ()
    if not params["namespace"]:
        for option, entry in [("admin_password_from", params["admin_password_from"]), *(("key_from", each["key_from"]) for each in given)]:
            if entry and not entry["namespace"]:
                yield f"{option} names Secret {entry['name']} without its namespace: give one there, or the option namespace"
    if params["url"]:
        yield from _find_bad_address("url", params["url"])
    for each in given:
        yield from _find_bad_address("connections", each["url"])
        if each["key"] is not None and (why := why_no_key(each["key"])):
            yield f"the key of {connections.place(each['url'])} {why}: give the real one, or none to keep the one it has"
    yield from _find_twice("connections", [connections.place(each["url"]) for each in given])
    yield from _find_twice("access", [each["model"] for each in params["access"]])
    for each in params["access"]:
        if each["model"].split() != [each["model"]]:
            yield f"access: '{each['model']}' is no name of a model: it is empty or has white space in it"


def _find_bad_address(option: str, url: str) -> Iterator[str]:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"{option}: '{url}' is no address: it must begin with http:// or https://"
    elif parts.password or parts.username:
        yield f"{option}: the address of {parts.hostname} has a login in it, which would be shown: leave that out"


def _find_twice(option: str, names: Sequence[str]) -> Iterator[str]:
    for name, times in Counter(names).items():
        if times > 1:
            yield f"{option} has {name} {times} times: name it once"
