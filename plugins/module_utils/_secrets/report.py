# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Tells what was done to a Secret, without a value in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._secrets.fingerprint import checksum, fingerprint
from ansible_collections.homelab.llm.plugins.module_utils._secrets.request import Request
from ansible_collections.homelab.llm.plugins.module_utils._secrets.writer import Outcome


def result(outcome: Outcome, *, dry_run: bool) -> dict[str, Any]:
    """Return what the module returns."""
    return dict(
        changed=bool(outcome.plan.changes),
        created=outcome.created,
        actions=dict(outcome.plan.actions),
        fingerprints=_after(outcome, dry_run=dry_run),
        checksum=checksum(outcome.uid, outcome.plan.after),
    )


def diff(request: Request, outcome: Outcome, *, dry_run: bool) -> dict[str, str]:
    """Return a diff of fingerprints, in the form Ansible prints."""
    before = {key: fingerprint(outcome.uid, key, value) for key, value in outcome.before.items()}
    return dict(
        before_header=f"{request} (fingerprints)",
        after_header=f"{request} (fingerprints)",
        before=_lines(before),
        after=_lines(_after(outcome, dry_run=dry_run)),
    )


def explain(error: ApiError, request: Request) -> str:
    """Return what the API server answered, with the way out of it."""
    if error.is_missing_namespace:
        return f"{request} was not touched: there is no namespace {request.namespace}. Create it first, or correct the option namespace"
    if error.status == 403 and "being terminated" not in error.message:
        return f"{request}: {error.message}. Working on it takes the verbs get, patch and, while it is not there, create on secrets"
    return f"{request}: {error.message}"


def warn_of_missing_namespace(request: Request) -> str:
    return f"There is no namespace {request.namespace} yet: what the API server would say to {request} is not known"


def warn_of_missing_sources(request: Request, unknown: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each Secret that is to be copied from and is not there yet."""
    for source in sorted({f"{request.copies[key].namespace}/{request.copies[key].name}" for key in unknown}):
        yield f"There is no Secret {source} yet: what is to be copied from it to {request} is not known"


def _after(outcome: Outcome, *, dry_run: bool) -> dict[str, str | None]:
    """Return the fingerprints of the named keys' values, None where it takes the real run to know it."""
    unknown = outcome.unknown | {key for key, action in outcome.plan.actions.items() if dry_run and action == "generated"}
    return {
        key: None if key in unknown or (dry_run and outcome.created) else fingerprint(outcome.uid, key, value)
        for key, value in outcome.plan.after.items()
    }


def _lines(fingerprints: Mapping[str, str | None]) -> str:
    return "".join(f"{key}: {mark or 'known when it is written'}\n" for key, mark in fingerprints.items())
