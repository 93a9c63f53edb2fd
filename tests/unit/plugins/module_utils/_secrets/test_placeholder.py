# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values are stand-ins, and which only look like one."""

from __future__ import annotations

import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._secrets.placeholder import PlaceholderRule, is_empty

RULE = PlaceholderRule()

STAND_INS = [
    "changeme",
    "ChangeMe",
    "CHANGE_ME",
    "change-me",
    "changeme123",
    "changeme!",
    "change this",
    "'changeme'",
    '"changeme"',
    " changeme\n",
    "placeholder",
    "PLACEHOLDER_KEY",
    "placeholder-for-openai",
    "placeholder: openai",
    "placeholder1",
    "replaceme",
    "REPLACE_ME",
    "replace-this-for-me",
    "replace_with_your_key",
    "REPLACE_WITH_REAL_TOKEN",
    "to-be-replaced",
    "your-key",
    "your-api-key",
    "YOUR_OPENAI_API_KEY",
    "your-openai-api-key-here",
    "yourapikey",
    "insert-your-token-here",
    "your_groq_key_goes_here",
    "<your key>",
    "<OPENAI_API_KEY>",
    "<>",
    "xxx",
    "XXXXXXXXXXXX",
    "xxxx-xxxx-xxxx",
    "sk-xxxxxxxxxxxxxxxx",
    "********",
    "dummy",
    "dummy-key",
    "dummy_api_key",
    "sk-dummy",
    "sk-dummy-key",
    "todo",
    "TODO!",
    "tbd",
    "FIXME",
    "example",
    "example-token",
    "sk-example",
    "none",
    "None",
    "sk-none",
    "null",
    "nil",
    "undefined",
    "{{ openai_api_key }}",
    "sk-{{ rest }}",
    "{{openai_api_key}}",
    "sk-...",
    "sk-..",
    "sk-…",
    "sk-ab...yz",
    "sk-proj-...",
    "gsk_...",
    "AIza...",
    "sk-",
    "sk-proj-",
    "sk-changeme",
    "sk-your-key-here",
    "sk-<key>",
    "sk-placeholder",
    "sk-ant-api03-xxxx",
    "sk-ant-oat01-xxxx",
    "gsk_your_key",
    "hf_xxxxxxxx",
    "sk-1234",
    "sk-12345678",
    "${OPENAI_API_KEY}",
    "$(cat key)",
    "os.environ/OPENAI_API_KEY",
    "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
]

REAL = [
    # Words at the start, in the middle and at the end of keys as providers make them.
    "sk-proj-exampleQ7Zk2mVb8Xw1Ld9Rt4Ys6Uh3",
    "sk-Zk2mVbexample8Xw1Ld9Rt4Ys6Uh3Pq",
    "sk-Q7Zk2mVb8Xw1Ld9Rt4Ys6Uh3PdUmMy",
    "sk-noneQ7Zk2mVb8Xw1Ld9Rt4Ys6Uh3",
    "sk-todoQ7Zk2mVb8Xw1Ld9Rt4Ys6Uh3",
    "sk-nullQ7Zk2mVb8Xw1Ld9",
    "gsk_changemeQ7Zk2mVb8Xw1Ld9Rt4Ys6Uh3",
    "gsk_xxxQ7Zk2mVb8Xw1Ld9Rt4",
    "AIzaSyDummyQ7Zk2mVb8Xw1Ld9Rt4Ys6Uh3PqR",
    "Q7Zk2mVb8Xw1Ld9placeholder",
    "myplaceholderQ7Zk2mVb",
    "irreplaceable-memory-of-gold",
    "nonesuch",
    "example.org",
    "https://example.com/v1",
    "nullius-in-verba",
    "correct-horse-battery-staple-keys",
    "todos-los-santos",
    "dummyload-50-ohm",
    "exchange-me-some-gold",
    "xx",
    "1234",
    "sk-123456789012",
    "sk-1234abcd5678efgh",
    "a.b.c",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "sk-ant-api03-Zk2mVb8Xw1Ld9-Rt4Ys6Uh3_PqAA",
    "a<b>c",
    "<root><key>value</key></root>",
    '{"type": "service_account", "project": {"id": {}}}',
    "-----BEGIN PRIVATE KEY-----\nMIIExxxBAQ\n-----END PRIVATE KEY-----\n",
    "p$(w)rd",
    "wait...what",
    "sk-or-v1-0f3e5d7c9b1a",
]


@pytest.mark.parametrize("value", STAND_INS)
def test_refuses_a_stand_in(value: str) -> None:
    assert "placeholder" in (RULE.why(value.encode()) or "")


@pytest.mark.parametrize("value", REAL)
def test_lets_a_look_alike_pass(value: str) -> None:
    assert RULE.why(value.encode()) is None


@pytest.mark.parametrize("value", [b"", b" ", b"\n", b"\t \r\n", b"\0", b" \0\n"])
def test_refuses_nothing_at_all(value: bytes) -> None:
    assert RULE.why(value) == "is empty"
    assert is_empty(value)


@given(st.sampled_from(["", "sk-", "sk-proj-", "gsk_", "hf_"]), st.integers(min_value=20, max_value=80))
def test_no_random_key_is_refused(prefix: str, length: int) -> None:
    key = "".join(secrets.choice(string.ascii_letters + string.digits) for _nth in range(length))
    assert RULE.why((prefix + key).encode()) is None


@given(st.binary(max_size=200))
def test_says_yes_or_no_to_any_bytes_and_never_shows_them(value: bytes) -> None:
    why = RULE.why(b"Zk2mVb8X" + value + b"Xw1Ld9Rt") or ""
    assert "Zk2mVb8X" not in why


@given(st.text(alphabet="x-_ .your<>{}replacme", max_size=5000))
def test_is_fast_on_anything(text: str) -> None:
    # Hypothesis' own deadline of 200 ms is the assertion: a pattern that backtracks takes minutes on such texts.
    RULE.why(text.encode())


@pytest.mark.parametrize(
    "text", ["replace " + "a " * 4000, "your-" + "a-" * 4000, "x-" * 8000 + "y", "placeholder" + "-_" * 8000 + "\n!", "{{" * 8000]
)
def test_is_fast_on_what_almost_matches(text: str) -> None:
    RULE.why(text.encode())


def test_the_users_own_patterns_are_added() -> None:
    rule = PlaceholderRule(("acme-.*", "secret"))
    assert rule.why(b"ACME-default") == "is a placeholder (placeholder_patterns: acme-.*)"
    assert rule.why(b"changeme") is not None
    assert rule.why(b"not acme-default") is None


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"placeholder_patterns: '\(' is no regular expression"):
        PlaceholderRule(("(",))


def test_names_the_rule_and_not_the_value() -> None:
    assert RULE.why(b"your-Zk2mVb8X-key") == "is a placeholder (your-\u2026-key)"
