# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""An `.env` file that is added to and never overwritten: what a person wrote there stays, comments and order included."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

_LINE = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*?)[ \t\r]*$")
#: What may stand without quotes: nothing that Compose, a shell or python-dotenv reads as more than itself.
_PLAIN = re.compile(r"[A-Za-z0-9_./:+=@%,-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EnvFileError(ValueError):
    """A value that cannot be written; the text names its variable and never shows the value."""


@dataclass(frozen=True)
class Generate:
    """How to make a value that is not there yet: so many random bytes, in hexadecimal digits behind a prefix."""

    prefix: str = ""
    size: int = 24


@dataclass(frozen=True)
class Merged:
    """The file's new text, which variables have a value in it, and which of them this run has added or filled in."""

    text: str
    names: tuple[str, ...]
    added: tuple[str, ...]


def values_in(text: str) -> dict[str, str]:
    """Return the variables of an `.env` text; of one that is there twice the last counts, as Compose has it."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            found[match[1]] = _unquoted(match[2])
    return found


def merge(text: str, given: Mapping[str, str], generate: Mapping[str, Generate]) -> Merged:
    """Add to `text` the given variables that have no value there, and make those of `generate` that have none from anywhere.

    An empty given value says nothing. A line with a name and no value (`OPENAI_API_KEY=`) is filled in where it stands.
    Raises EnvFileError for a name or a value that an `.env` file cannot hold.
    """
    there = values_in(text)
    wanted = {name: value for name, value in given.items() if value and not there.get(name)}
    wanted |= {
        name: how.prefix + secrets.token_hex(how.size) for name, how in generate.items() if not there.get(name) and not wanted.get(name)
    }
    lines = text.splitlines()
    for name, value in wanted.items():
        line = f"{name}={_quoted(name, value)}"
        place = max((at for at, old in enumerate(lines) if (match := _LINE.match(old)) and match[1] == name), default=None)
        if place is None:
            lines.append(line)
        else:
            lines[place] = line
    merged = "\n".join(lines) + "\n" if wanted else text
    return Merged(merged, tuple(name for name, value in values_in(merged).items() if value), tuple(wanted))


def _quoted(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise EnvFileError(f"{name!r} is no name of an environment variable")
    if _PLAIN.fullmatch(value):
        return value
    if any(character in value for character in "'\n\r\0\\"):
        raise EnvFileError(f"the value of {name} has a line break, a quote or a backslash in it, which Compose would not read back")
    return f"'{value}'"


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        return value[1:end] if end > 0 else value
    # A comment needs a space before its mark.
    return re.split(r"(?:^|[ \t])#", value, maxsplit=1)[0].strip()
