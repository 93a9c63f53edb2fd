# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults import plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import deployment
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.fault import BadFault, fault_of
from ansible_collections.homelab.llm.plugins.module_utils._suspend.note import SUSPENDED, Note, Unreadable, note_of, suspended_by

NOTE = Note(2, "2026-11-21T20:00:00+00:00", "anna@desk", "r1")


def written(text: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "ml", "name": "vllm-server", "annotations": {SUSPENDED: text}}, "spec": {"replicas": 0}}


def test_what_was_written_is_read() -> None:
    assert note_of(written(NOTE.text())) == NOTE


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {"other": "1"}}])
def test_a_deployment_that_nobody_suspended_has_no_note(metadata: dict[str, Any]) -> None:
    assert note_of({"metadata": metadata}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "[]",
        "null",
        json.dumps({**json.loads(NOTE.text()), "version": 2}),
        json.dumps({**json.loads(NOTE.text()), "replicas": 0}),
        json.dumps({**json.loads(NOTE.text()), "replicas": True}),
        json.dumps({**json.loads(NOTE.text()), "replicas": "2"}),
        json.dumps({**json.loads(NOTE.text()), "by": None}),
        json.dumps({**json.loads(NOTE.text()), "more": 1}),
    ],
)
def test_what_another_program_wrote_is_no_number_of_replicas(text: str) -> None:
    with pytest.raises(Unreadable, match=r"homelab\.llm/suspended on Deployment ml/vllm-server is none that this version wrote"):
        note_of(written(text))
    assert suspended_by(written(text)) == ""


def test_a_drill_says_who_suspended_what_it_was_to_break() -> None:
    fault = fault_of({"kind": "scale", "backends": [{"deployment": "vllm-server", "service": "vllm-api"}]})
    with pytest.raises(BadFault, match=r"0 replicas already: it is suspended since 2026-11-21T20:00:00\+00:00 by anna@desk"):
        plan.steps(fault, "r2", {deployment("ml", "vllm-server"): written(NOTE.text())})
