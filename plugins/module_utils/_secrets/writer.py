# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Brings a Secret to what was asked for: read, compare, send the difference, and again when somebody else was faster."""

from __future__ import annotations

import base64
import random
import secrets
import string
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._secrets import plan as planning
from ansible_collections.homelab.llm.plugins.module_utils._secrets.request import Refused, Request

#: With the pauses below, 6-9 s: of ten writers at once all come through, a controller that rewrites the Secret for ever is found out.
TRIES = 12
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0

_ALPHABET = string.ascii_letters + string.digits


class Server(Protocol):
    """What is used of `_kubernetes.client.Client`."""

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None: ...

    def create(self, kind: str, namespace: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]: ...

    def merge_patch(self, kind: str, namespace: str, name: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Outcome:
    """`uid` is "" when there is no Secret and nothing to do, provisional when it was created in a dry run.

    `before` are the named keys' values as they were, `unknown` the keys whose source is not there yet in a dry run.
    """

    plan: planning.Plan
    before: Mapping[str, bytes]
    uid: str
    created: bool = False
    namespace_missing: bool = False
    unknown: frozenset[str] = frozenset()


class Contended(Exception):
    """Somebody else changed the Secret between every read and write."""


def converge(server: Server, request: Request, *, dry_run: bool, remember: Callable[[Iterable[bytes]], None]) -> Outcome:
    """Do what `request` asks, or with `dry_run` let the server check it without keeping it.

    `remember` is told every value before it is used, so that the caller can hide it. Raises Refused before anything is changed, Contended,
    or ApiError.
    """
    request, unknown = _fetch_copies(server, request, remember, dry_run)
    if problems := list(planning.find_problems(request.wanted)):
        raise Refused(f"{request} was not touched", problems)
    made: dict[str, bytes] = {}

    def make(key: str, recipe: planning.Recipe) -> bytes:
        # The same value in every try: only the first is ever hidden twice, none is lost.
        if key not in made:
            made[key] = (recipe.prefix + "".join(secrets.choice(_ALPHABET) for _nth in range(recipe.length))).encode()
            remember([made[key]])
        return made[key]

    for attempt in range(TRIES):
        secret = server.get("secrets", request.namespace, request.name)
        current = _decode(secret)
        before = {key: current[key] for key in request.wanted.keys if key in current}
        remember(before.values())
        plan = planning.make_plan(request.wanted, current, make)
        if problems := [*_find_obstacles(request, secret, plan), *planning.find_shortcomings(request.wanted, plan, current)]:
            raise Refused(f"{request} was not touched", problems)
        outcome = Outcome(plan, before, _uid(secret), unknown=unknown)
        if not plan.changes:
            return outcome
        try:
            return _write(server, request, secret, outcome, dry_run)
        except ApiError as error:
            if not error.is_conflict and (error.status != 404 or error.is_missing_namespace or secret is None):
                raise
        # Full jitter: writers that met once shall not meet again.
        time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)))  # noqa: S311
    raise Contended(f"{request} was changed by somebody else in each of {TRIES} tries: find the other writer, or run again when it is done")


def _fetch_copies(
    server: Server, request: Request, remember: Callable[[Iterable[bytes]], None], dry_run: bool
) -> tuple[Request, frozenset[str]]:
    """Return the request with the values of its copies among its values, and the keys whose value is not known yet."""
    fetched: dict[tuple[str, str], dict[str, Any] | None] = {}
    values, problems, unknown = dict(request.wanted.values), [], set()
    for key, source in request.copies.items():
        where = (source.namespace, source.name)
        if where not in fetched:
            fetched[where] = server.get("secrets", *where)
        found = _decode(fetched[where])
        if source.key in found:
            values[key] = found[source.key]
            remember([values[key]])
        elif fetched[where] is None and dry_run:
            # The task that makes that Secret was not carried out either. No value can be the one that is there by chance.
            values[key] = secrets.token_hex(32).encode()
            unknown.add(key)
        else:
            problems.append(f"{key} cannot be copied: there is no {source}")
    if problems:
        raise Refused(f"{request} was not touched", problems)
    return replace(request, wanted=replace(request.wanted, values=values)), frozenset(unknown)


def _find_obstacles(request: Request, secret: Mapping[str, Any] | None, plan: planning.Plan) -> Iterable[str]:
    if secret is None:
        if plan.changes and not request.create:
            yield "it is not there and create is false"
        return
    actual = secret.get("type", "Opaque")
    if actual != request.type:
        yield f"its type is {actual}, not {request.type}: name another Secret, or set the option type if this is the right one"
    if secret.get("immutable") and plan.changes:
        yield f"it is immutable and {', '.join(sorted(plan.changes))} would change: delete it first, or name another Secret"


def _write(server: Server, request: Request, secret: Mapping[str, Any] | None, outcome: Outcome, dry_run: bool) -> Outcome:
    data = {key: None if value is None else base64.b64encode(value).decode() for key, value in outcome.plan.changes.items()}
    if secret is not None:
        body = {"metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]}, "data": data}
        server.merge_patch("secrets", request.namespace, request.name, body, dry_run=dry_run)
        return outcome
    new = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": request.name}, "type": request.type, "data": data}
    try:
        written = server.create("secrets", request.namespace, new, dry_run=dry_run)
    except ApiError as error:
        if dry_run and error.is_missing_namespace:
            # A new cluster in check mode: the task that makes the namespace was not carried out either.
            # The uid is random because fingerprints under an empty one could be tried out by anybody.
            return replace(outcome, created=True, namespace_missing=True, uid=str(uuid.uuid4()))
        raise
    return replace(outcome, created=True, uid=_uid(written))


def _decode(secret: Mapping[str, Any] | None) -> dict[str, bytes]:
    data = (secret or {}).get("data") or {}
    return {key: base64.b64decode(value) for key, value in data.items()}


def _uid(secret: Mapping[str, Any] | None) -> str:
    return secret["metadata"]["uid"] if secret else ""
