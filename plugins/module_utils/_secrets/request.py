# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""What a user asked for in the module's parameters, checked as far as that can be done without the cluster."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import PlaceholderRule, is_empty
from ansible_collections.homelab.llm.plugins.module_utils._secrets.plan import Recipe, Wanted

#: 16 characters of 62 are 95 bits. Fewer make a value that can be guessed.
SHORTEST_GENERATED = 16
LONGEST_GENERATED = 4096

#: The API server's rules (k8s.io/apimachinery, IsConfigMapKey and IsDNS1123Subdomain), checked here because it would name only the first.
_KEY = re.compile(r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]{1,253}")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True)
class Source:
    """The key of another Secret whose value is to be copied."""

    namespace: str
    name: str
    key: str

    def __str__(self) -> str:
        return f"key {self.key} of Secret {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Request:
    """The Secret, what its keys shall hold, and where the values that are copied come from (by key)."""

    namespace: str
    name: str
    type: str
    create: bool
    wanted: Wanted
    copies: Mapping[str, Source]

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


class Refused(Exception):
    """The request, or what the Secret holds, forbids to go on; nothing was changed. `problems` are sentences, all of them."""

    def __init__(self, about: object, problems: list[str]) -> None:
        super().__init__(f"{about}: {'; '.join(problems)}")
        self.problems = problems


def from_params(params: Mapping[str, Any]) -> Request:
    """Return the request of the module's parameters. Raises Refused with everything that is wrong with them."""
    problems = list(_find_problems(params))
    try:
        rule = PlaceholderRule(tuple(params["placeholder_patterns"]))
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise Refused(f"Secret {params['namespace']}/{params['name']} was not touched", problems)
    given = {key: b"" if value is None else value.encode() for key, value in params["data"].items()}
    left_out = {key for key, value in given.items() if params["skip_empty"] and is_empty(value)}
    return Request(
        namespace=params["namespace"],
        name=params["name"],
        type=params["type"],
        create=params["create"],
        wanted=Wanted(
            values={key: value for key, value in given.items() if key not in left_out},
            generate={entry["key"]: Recipe(entry["length"], entry["prefix"]) for entry in params["generate"]},
            absent=frozenset(params["absent"]),
            required=frozenset(params["required"]),
            untouched=frozenset(left_out),
            allow_placeholders=frozenset(params["allow_placeholders"]),
            rule=rule,
        ),
        copies={
            entry["key"]: Source(entry["from_namespace"] or params["namespace"], entry["from_name"], entry["from_key"] or entry["key"])
            for entry in params["copy"]
        },
    )


def warn_of_white_space(wanted: Wanted) -> Iterator[str]:
    """Yield a sentence for each one-line value that begins or ends in white space: an `echo` too many, on which HTTP headers break."""
    for key, value in wanted.values.items():
        text = value.strip()
        if text != value and b"\n" not in text:
            yield f"The value of {key} begins or ends with white space, which most programs take for a part of it"


def _find_problems(params: Mapping[str, Any]) -> Iterator[str]:
    for option in ("namespace", "name"):
        if not _NAME.fullmatch(params[option]):
            yield f"{option} '{params[option]}' is no Kubernetes name: lower-case letters, digits, '-' and '.' only"
    named = [(option, key) for option in ("data", "absent", "required") for key in params[option]]
    named += [(option, entry["key"]) for option in ("generate", "copy") for entry in params[option]]
    for key in sorted({str(key) for _option, key in named}):
        if not _KEY.fullmatch(key):
            yield f"'{key}' cannot be a key: letters, digits, '-', '_' and '.' only, at most 253, and not '.' or '..' at its start"
    yield from _find_overlaps(named)
    yield from _find_bad_entries(params)


def _find_bad_entries(params: Mapping[str, Any]) -> Iterator[str]:
    for key, value in params["data"].items():
        if value is not None and not isinstance(value, str):
            yield f"{key} in data is of type {type(value).__name__}: quote it, or turn a structure into text with the filter to_json"
    for entry in params["generate"]:
        if not SHORTEST_GENERATED <= entry["length"] <= LONGEST_GENERATED:
            yield f"{entry['key']} in generate must have a length from {SHORTEST_GENERATED} to {LONGEST_GENERATED}, not {entry['length']}"
    for entry in params["copy"]:
        at_home = entry["from_namespace"] in (None, params["namespace"]) and entry["from_name"] == params["name"]
        if at_home and entry["from_key"] in (None, entry["key"]):
            yield f"{entry['key']} in copy is its own source: name another Secret or another from_key"


def _find_overlaps(named: list[tuple[str, str]]) -> Iterator[str]:
    """A key may be in one option only; `required` may repeat all but `absent`."""
    for (option, key), times in Counter(named).items():
        if times > 1 and option != "required":
            yield f"{key} is in {option} {times} times: name it once"
    by_key: dict[str, set[str]] = {}
    for option, key in named:
        by_key.setdefault(key, set()).add(option)
    for key, options in by_key.items():
        clash = options if options == {"absent", "required"} else options - {"required"}
        if len(clash) > 1:
            yield f"{key} is in {' and in '.join(sorted(clash))}: name it in one"
