# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import os
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import myself
from ansible_collections.homelab.llm.plugins.module_utils._suspend.leftover import HOLDER, forgotten, label


def pod(name: str, holder: str, phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {HOLDER: holder}}, "status": {"phase": phase}}


def test_a_pod_of_a_living_process_is_left_alone() -> None:
    assert forgotten([pod("mine", label(myself()))], myself()) == []


def test_a_pod_of_a_process_that_is_no_more_is_forgotten() -> None:
    dead = dataclasses.replace(myself(), pid=2**22 + 1)
    recycled = dataclasses.replace(myself(), started="1")
    found = [pod("dead", label(dead)), pod("recycled", label(recycled)), pod("mine", label(myself()))]
    assert forgotten(found, myself()) == ["dead", "recycled"]


def test_nobody_knows_who_lives_on_another_machine() -> None:
    stranger = dataclasses.replace(myself(), machine="elsewhere", pid=2**22 + 1)
    assert forgotten([pod("theirs", label(stranger)), pod("nobodys", ""), pod("odd", "x.y")], myself()) == []


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_forgotten_whoever_made_it(phase: str) -> None:
    assert forgotten([pod("ended", "abc.1.1", phase)], myself()) == ["ended"]


def test_a_process_is_a_value_that_a_label_may_have() -> None:
    text = label(myself())
    assert len(text) <= 63
    assert all(each.isalnum() for each in text.split("."))
    assert str(os.getpid()) in text.split(".")
