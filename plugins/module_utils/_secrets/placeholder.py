# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Tells a stand-in such as `changeme` from a real secret.

The rule: a value is refused when, without white space and quotes around it and without a provider's prefix (`sk-`, `gsk_` …), **the
whole of it** is a stand-in. A real key that merely contains such a word, at its start, middle or end, is none: `sk-proj-exampleQ7…`
passes. The one exception is an unrendered template, which no real value contains anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: What providers put in front of their keys: `sk-`, `sk-proj-`, `sk-ant-api03-`, `gsk_`, `hf_`, `xai-` … It says nothing about the rest.
_PREFIX = re.compile(
    r"(?:sk|pk|rk|gsk|hf|xai)(?:[-_](?:proj|ant|or|svcacct|(?:api|oat|ort|sid|admin)\d\d|admin|v\d|lf|live|test))*[-_]", re.IGNORECASE
)

#: What people hang on a stand-in: `dummy-api-key`, `example_token`, `changeme123`, `TODO!`.
_TAIL = r"(?:[-_ ]?(?:api)?[-_ ]?(?:key|token|secret|password|value))?[-_ ]?(?:here|\d{0,4})[!.?]*"

_NOUN = r"(?:api)?(?:key|token|secret|password|credentials?|value)"
_HERE = r"(?:[-_ ]?(?:goes[-_ ])?here)?"
_WORDS = r"dummy|todo|tbd|fixme|example|none|null|nil|undefined"

#: Name and pattern of the rules for a value as it stands.
_AS_IT_STANDS = (
    ("an unrendered {{ }}", r".*\{\{.*\}\}.*"),
    ("a key cut short by dots", r"(?:sk|pk|rk|gsk|hf|xai|AIza)[-_\w]*(?:\.{2,}|…)[-_\w]*"),
    ("a variable nobody expanded", r"\$\{[^{}]*\}|\$\([^()]*\)|os\.environ/\w+"),
    ("what Ansible prints for a hidden value", r"value_specified_in_no_log_parameter"),
)

#: … for a value without its prefix.
_BARE = (
    ("changeme", rf"change[-_ ]?(?:me|this|it){_TAIL}"),
    ("placeholder…", r"placeholder[a-z]{0,12}\d{0,4}|placeholder[-_ .:][-_ .:\w]*"),
    ("replace…me", r"replace[-_ ]?(?:me|this|it)[!.]*|replace[-_ ](?:[a-z]{1,20}[-_ ]){0,6}(?:me|key|token|secret|value|here)"),
    ("to be replaced", r"to[-_ ]be[-_ ]replaced"),
    ("your-…-key", rf"(?:(?:insert|put|enter|add|paste|use)[-_ ]?)?your[-_ ]?(?:[a-z0-9.]{{1,20}}[-_ ]){{0,5}}{_NOUN}{_HERE}"),
    ("<…>", r"<[^<>]*>"),
    ("xxx…", r"(?:x[-_. ]?){3,}"),
    ("***", r"(?:\*[-_. ]?){3,}"),
    ("a word that stands for nothing", rf"(?:{_WORDS}){_TAIL}"),
    ("a prefix with nothing behind it", r""),
)

#: … only for what stood behind a prefix. LiteLLM's documentation has `sk-1234` as master key throughout; `1234` alone may be a PIN.
_BEHIND_A_PREFIX = (("sk-1234", r"1234(?:5(?:6(?:7(?:8(?:9(?:0)?)?)?)?)?)?"),)


@dataclass(frozen=True)
class PlaceholderRule:
    """The built-in stand-ins and those the user adds, `extra`: regular expressions that the whole value must match, in any case.

    Raises ValueError, naming the pattern, when one of `extra` is no regular expression.
    """

    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.extra:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"placeholder_patterns: {pattern!r} is no regular expression: {error}") from None

    def why(self, value: bytes) -> str | None:
        """Return what is wrong with the value, a phrase to follow the key's name that does not show the value, or None."""
        if is_empty(value):
            return "is empty"
        try:
            text = _unquote(value.decode().strip())
        except UnicodeDecodeError:
            # Bytes that are no text are nobody's stand-in.
            return None
        prefix = _PREFIX.match(text)
        bare = _unquote(text[prefix.end() :]) if prefix else text
        added = [(f"placeholder_patterns: {pattern}", pattern) for pattern in self.extra]
        name = (
            _first_match(_AS_IT_STANDS, text)
            or _first_match(_BARE, bare)
            or (prefix and _first_match(_BEHIND_A_PREFIX, bare))
            or _first_match(added, text)
        )
        return f"is a placeholder ({name})" if name else None


def provider_prefix(text: str) -> str:
    """Return what a provider puts in front of all its keys, "" when it is none that is known."""
    found = _PREFIX.match(text)
    return found[0] if found else ""


def is_empty(value: bytes) -> bool:
    """Tell whether there is nothing in the value, or nothing but white space."""
    return not value.strip(b" \t\r\n\v\f\0")


def _unquote(text: str) -> str:
    """Drop the quotes that a value copied from an .env or YAML file still wears."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        return text[1:-1].strip()
    return text


def _first_match(rules: Sequence[tuple[str, str]], text: str) -> str | None:
    return next((name for name, pattern in rules if re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL)), None)
