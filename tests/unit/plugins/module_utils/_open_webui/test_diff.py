# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a difference, and what is not."""

from __future__ import annotations

import secrets

from ansible_collections.homelab.llm.plugins.module_utils._open_webui import diff
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.access import Grant
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.connections import Connection, Wanted
from ansible_collections.homelab.llm.plugins.module_utils._secrets.fingerprint import fingerprint

URL = "http://litellm:4000/v1"


def test_a_setting_is_a_line_of_json() -> None:
    assert diff.of_settings("tasks", {"A": {"b": False}, "C": 1}, ["A"]) == {"tasks.A": '{"b": false}'}


def test_a_key_is_shown_as_the_mark_that_the_secret_gives_it() -> None:
    key = secrets.token_hex(16)
    lines = diff.of_connections(True, [Connection(URL, key)], [Wanted(URL, key, salt="uid")], "random")
    assert lines == {"connections.enabled": "true", "connections.0": f"{URL}, key {fingerprint('uid', URL, key.encode())}"}


def test_the_same_key_has_the_same_mark_on_both_sides_and_another_one_another() -> None:
    def line(key: str) -> str:
        return diff.of_connections(True, [Connection(URL + "/", key)], [Wanted(URL, "k2", salt="uid")], "random")["connections.0"]

    assert line("k1") == line("k1")
    assert line("k1") != line("k2")


def test_options_that_may_hold_a_key_are_hidden_and_others_are_not() -> None:
    hidden = secrets.token_hex(16)
    connections = [Connection(URL, hidden, {"headers": {"X-Key": hidden}, "prefix_id": "x"})]
    line = diff.of_connections(True, connections, [], "random")["connections.0"]
    assert hidden not in line
    assert '"prefix_id": "x"' in line


def test_no_key_is_told_as_none() -> None:
    assert diff.of_connections(False, [Connection(URL, "")], [], "random")["connections.0"] == f"{URL}, key none"


def test_access_is_told_as_sentences() -> None:
    assert diff.of_access({"a": frozenset({Grant("user", "*", "read")})}, ["a", "b"]) == {
        "access.a": "everybody may read",
        "access.b": "administrators only",
    }


def test_both_sides_are_in_the_form_that_ansible_prints() -> None:
    told = diff.diff("here", {"a": "1"}, {"a": "2"})
    assert told == {"before_header": "here (before)", "after_header": "here (after)", "before": "a: 1\n", "after": "a: 2\n"}
