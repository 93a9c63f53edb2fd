# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The OpenAI-compatible backends of an Open-WebUI: what its list would be with those that were asked for. Plain data.

Open-WebUI keeps three lists that belong together: addresses, keys, and options by the number of the address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._open_webui.section import overlay, same

READ, WRITE, CHECK = "/openai/config", "/openai/config/update", "/openai/verify"

_ENABLED, _URLS, _KEYS, _CONFIGS = "ENABLE_OPENAI_API", "OPENAI_API_BASE_URLS", "OPENAI_API_KEYS", "OPENAI_API_CONFIGS"


@dataclass(frozen=True)
class Wanted:
    """A connection that was asked for. `key` is None when it shall keep its key; `salt` keys the fingerprint of that.

    `source` says where the key comes from, for people.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    salt: str = field(default="", repr=False)
    source: str = "the key it has"


@dataclass(frozen=True)
class Connection:
    """A connection as Open-WebUI has it. `config` is None when there is no entry for it."""

    url: str
    key: str = field(repr=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        return place(self.url)

    @property
    def is_on(self) -> bool:
        return (self.config or {}).get("enable", True) is not False


def place(url: str) -> str:
    """Return the address as Open-WebUI can use it: with a slash at the end it asks for `/v1//models`, and lists no model."""
    return url.strip().rstrip("/")


def is_known(page: object) -> bool:
    """Tell whether this is the page that this file knows."""
    return (
        isinstance(page, Mapping)
        and all(isinstance(page.get(name), list) and all(isinstance(each, str) for each in page[name]) for name in (_URLS, _KEYS))
        and isinstance(page.get(_CONFIGS), Mapping)
        and all(isinstance(each, Mapping) for each in page[_CONFIGS].values())
        and _ENABLED in page
    )


def connections_of(page: Mapping[str, Any]) -> list[Connection]:
    keys, configs = page[_KEYS], page[_CONFIGS]
    # Older versions numbered the options by address, and this one still reads them so.
    return [
        Connection(url, keys[number] if number < len(keys) else "", configs.get(str(number), configs.get(url)))
        for number, url in enumerate(page[_URLS])
    ]


def merge(page: Mapping[str, Any], wanted: Sequence[Wanted], *, purge: bool) -> dict[str, Any]:
    """Return the whole page as it would be: the connections that were asked for first, in their order, then the others."""
    there = connections_of(page)
    result, used = [], set()
    for each in wanted:
        number = next((number for number, it in enumerate(there) if it.place == each.url and number not in used), None)
        old = Connection(each.url, "") if number is None else there[number]
        if number is not None:
            used.add(number)
        config = overlay(old.config or {}, dict(each.config))
        result.append(Connection(each.url, old.key if each.key is None else each.key, config if config or old.config is not None else None))
    if not purge:
        result += [it for number, it in enumerate(there) if number not in used]
    configs = {str(number): dict(each.config) for number, each in enumerate(result) if each.config is not None}
    merged = {**page, _URLS: [each.url for each in result], _KEYS: [each.key for each in result], _CONFIGS: configs}
    # Without this one the API is switched off, with a 200.
    return {**merged, _ENABLED: True if wanted else bool(page[_ENABLED])}


def is_same(page: Mapping[str, Any], merged: Mapping[str, Any]) -> bool:
    """Tell whether there is nothing to write."""
    return connections_of(page) == connections_of(merged) and same(page[_ENABLED], merged[_ENABLED])


def is_enabled(page: Mapping[str, Any]) -> bool:
    return page[_ENABLED] is True


def to_check(page: Mapping[str, Any], merged: Mapping[str, Any], wanted: Sequence[Wanted]) -> Iterator[tuple[Connection, str]]:
    """Yield the connections that were asked for and are new or changed, unless they are switched off, and where their keys come from."""
    there = connections_of(page)
    for each, asked in zip(connections_of(merged), wanted, strict=False):
        if each not in there and each.is_on:
            yield each, asked.source
