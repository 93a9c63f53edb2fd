# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three lists that are one: which connections there would be."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._open_webui import connections
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.connections import Connection, Wanted

LITELLM, OTHER = "http://litellm:4000/v1", "https://other.example/v1"


def page(*entries: tuple[str, str], enabled: bool | None = True, **configs: Any) -> dict[str, Any]:
    return {
        "ENABLE_OPENAI_API": enabled,
        "OPENAI_API_BASE_URLS": [url for url, _key in entries],
        "OPENAI_API_KEYS": [key for _url, key in entries],
        "OPENAI_API_CONFIGS": {name.removeprefix("n"): value for name, value in configs.items()},
    }


def test_an_empty_list_gets_the_connection() -> None:
    assert connections.merge(page(), [Wanted(LITELLM, "k1", {"tags": []})], purge=False) == page((LITELLM, "k1"), n0={"tags": []})


def test_the_same_again_is_nothing_to_write() -> None:
    before = page((LITELLM, "k1"), n0={})
    assert connections.is_same(before, connections.merge(before, [Wanted(LITELLM, "k1")], purge=True))


def test_a_new_key_takes_the_old_ones_place_and_options_stay() -> None:
    before = page((LITELLM, "k1"), n0={"prefix_id": "x", "tags": [1]})
    after = connections.merge(before, [Wanted(LITELLM, "k2", {"tags": []})], purge=False)
    assert after == page((LITELLM, "k2"), n0={"prefix_id": "x", "tags": []})


def test_without_a_key_it_keeps_the_one_it_has() -> None:
    before = page((LITELLM, "k1"))
    assert connections.is_same(before, connections.merge(before, [Wanted(LITELLM)], purge=False))
    assert connections.merge(page(), [Wanted(LITELLM)], purge=False)["OPENAI_API_KEYS"] == [""]


def test_what_was_asked_for_comes_first_and_the_others_take_their_options_with_them() -> None:
    before = page((OTHER, "theirs"), (LITELLM, "k1"), n0={"prefix_id": "theirs"})
    after = connections.merge(before, [Wanted(LITELLM, "k1")], purge=False)
    assert after == page((LITELLM, "k1"), (OTHER, "theirs"), n1={"prefix_id": "theirs"})
    assert connections.is_same(after, connections.merge(after, [Wanted(LITELLM, "k1")], purge=False))


def test_others_go_only_when_that_was_asked_for() -> None:
    before = page((OTHER, "theirs"), (LITELLM, "k1"))
    assert connections.merge(before, [Wanted(LITELLM, "k1")], purge=True) == page((LITELLM, "k1"))


def test_a_slash_at_the_end_is_the_same_address_and_is_taken_off() -> None:
    before = page((LITELLM + "/", "k1"))
    after = connections.merge(before, [Wanted(connections.place(LITELLM + "//"), "k1")], purge=False)
    assert after == page((LITELLM, "k1"))
    assert not connections.is_same(before, after)


@pytest.mark.parametrize("enabled", [None, False])
def test_the_api_is_switched_on_which_a_missing_field_would_switch_off(enabled: bool | None) -> None:
    before = page((LITELLM, "k1"), enabled=enabled)
    after = connections.merge(before, [Wanted(LITELLM, "k1")], purge=False)
    assert after["ENABLE_OPENAI_API"] is True
    assert not connections.is_same(before, after)


def test_no_connection_at_all_leaves_the_switch_alone() -> None:
    assert connections.merge(page((OTHER, "k"), enabled=False), [], purge=True) == page(enabled=False)


def test_too_few_keys_and_options_by_address_are_read_as_open_webui_reads_them() -> None:
    before = {**page((LITELLM, "k1"), (OTHER, "k2")), "OPENAI_API_KEYS": ["k1"], "OPENAI_API_CONFIGS": {LITELLM: {"prefix_id": "x"}}}
    assert connections.connections_of(before) == [Connection(LITELLM, "k1", {"prefix_id": "x"}), Connection(OTHER, "")]
    assert connections.is_same(before, connections.merge(before, [Wanted(LITELLM, "k1")], purge=False))


def test_a_field_of_a_later_version_goes_back_as_it_came() -> None:
    assert connections.merge({**page(), "NEW": 7}, [Wanted(LITELLM, "k")], purge=False)["NEW"] == 7


def test_only_new_and_changed_connections_that_are_on_are_tried() -> None:
    before = page((LITELLM, "k1"), (OTHER, "theirs"))
    wanted = [
        Wanted(LITELLM, "k1"),
        Wanted(OTHER, "new", source="key A of Secret apps/b"),
        Wanted("http://off/v1", "k", {"enable": False}),
    ]
    after = connections.merge(before, wanted, purge=False)
    assert list(connections.to_check(before, after, wanted)) == [(Connection(OTHER, "new"), "key A of Secret apps/b")]


@pytest.mark.parametrize(
    "other",
    [
        [],
        {},
        {**page(), "OPENAI_API_KEYS": None},
        {**page(), "OPENAI_API_BASE_URLS": [1]},
        {**page(), "OPENAI_API_CONFIGS": []},
        {**page(), "OPENAI_API_CONFIGS": {"0": 1}},
        {name: value for name, value in page().items() if name != "ENABLE_OPENAI_API"},
    ],
)
def test_another_shape_is_not_taken_for_this_one(other: Any) -> None:
    assert connections.is_known(page((LITELLM, "k")))
    assert not connections.is_known(other)


def test_no_key_is_in_what_is_printed_of_them() -> None:
    assert "hidden" not in repr([Connection(LITELLM, "hidden", {"headers": "hidden"}), Wanted(LITELLM, "hidden", {"headers": "hidden"})])
