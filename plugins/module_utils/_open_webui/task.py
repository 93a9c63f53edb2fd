# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""One run of the module: from its parameters to what was done."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import discovery
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._open_webui import reach, request
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.connections import Wanted
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.converge import Desired, Done, converge
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.reach import ByUrl, Reach
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.request import Backend, Request
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.server import Login, Server
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import NotThereYet, Trouble
from ansible_collections.homelab.llm.plugins.module_utils._secrets.request import Source

Remember = Callable[[list[bytes]], None]


def run(params: Mapping[str, Any], *, check_mode: bool, remember: Remember) -> Done:
    """Converge. Raises Trouble or ApiError; `remember` is told every secret value before it is used."""
    asked = request.from_params(params)
    client = Client.from_params(params)
    keys = Keys(client, remember)
    desired, login = _desired(asked, keys), _login(asked, keys)
    with _way(params, client) as way:
        server = Server(way, remember)
        server.meet()
        server.sign_in(login, params["sign_in_patience"])
        return converge(server, desired, dry_run=check_mode, remember=remember)


@contextmanager
def _way(params: Mapping[str, Any], client: Client) -> Iterator[Reach]:
    if params["url"]:
        yield ByUrl(params["url"], params["url_ca"] or "", params["timeout"])
        return
    with reach.in_pod(discovery.from_params(params), client, params, params["timeout"]) as way:
        yield way


class Keys:
    """Reads keys of Secrets, each Secret once."""

    def __init__(self, client: Client, remember: Remember) -> None:
        self._client = client
        self._remember = remember
        self._secrets: dict[tuple[str, str], dict[str, Any] | None] = {}

    def value(self, source: Source) -> str:
        secret = self._secret(source)
        if secret is None:
            raise NotThereYet(f"There is no Secret {source.namespace}/{source.name}, whose key {source.key} is needed")
        found = (secret.get("data") or {}).get(source.key)
        if found is None:
            raise Trouble(f"There is no {source}")
        value = base64.b64decode(found)
        self._remember([value])
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise Trouble(f"{_sentence(source)} is no text") from None
        if why := request.why_no_key(text):
            raise Trouble(f"{_sentence(source)} {why}: put the real one there")
        return text

    def uid(self, source: Source) -> str:
        """What the Secret's fingerprints are keyed by."""
        return str(((self._secret(source) or {}).get("metadata") or {}).get("uid", ""))

    def _secret(self, source: Source) -> dict[str, Any] | None:
        where = (source.namespace, source.name)
        if where not in self._secrets:
            self._secrets[where] = self._client.get("secrets", *where)
        return self._secrets[where]


def _sentence(source: Source) -> str:
    return str(source)[:1].upper() + str(source)[1:]


def _login(asked: Request, keys: Keys) -> Login:
    source = asked.password_source
    return Login(asked.email, keys.value(source), str(source)) if source else Login(asked.email, asked.password)


def _desired(asked: Request, keys: Keys) -> Desired:
    def wanted(backend: Backend) -> Wanted:
        source = backend.source
        if source is None:
            told = "the key it has" if backend.key is None else "the key that was given"
            return Wanted(backend.url, backend.key, backend.config, source=told)
        # A line end from an editor is no part of a key, and no header may have one.
        return Wanted(backend.url, keys.value(source).strip(), backend.config, keys.uid(source), str(source))

    return Desired(
        backends=None if asked.backends is None else [wanted(each) for each in asked.backends],
        purge=asked.purge,
        check_keys=asked.check_keys,
        settings=asked.settings,
        access=asked.access,
        # A key that no Secret holds has a fingerprint that is good for this run only: nobody can try keys against it later.
        salt=secrets.token_hex(16),
    )
