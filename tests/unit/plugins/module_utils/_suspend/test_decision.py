# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.change import Edit
from ansible_collections.homelab.llm.plugins.module_utils._probe.faults.journal import JOURNAL, Journal, myself, now_text
from ansible_collections.homelab.llm.plugins.module_utils._suspend.decision import Refused, decide, overruled, replicas_of
from ansible_collections.homelab.llm.plugins.module_utils._suspend.note import SUSPENDED, Note, note_of

NEW = Note(1, "2026-11-21T20:00:00+00:00", "anna@desk", "r1")
EARLIER = Note(3, "2026-11-20T20:00:00+00:00", "bert@couch", "r0")


def deployment(replicas: int, note: Note | None = None, **metadata: Any) -> dict[str, Any]:
    annotations = {"kept": "1", **({SUSPENDED: note.text()} if note else {}), **metadata.pop("annotations", {})}
    own = {"namespace": "ml", "name": "vllm-server", "resourceVersion": "7", "annotations": annotations, **metadata}
    return {"metadata": own, "spec": {"replicas": replicas}}


def written_by(manager: str, time: str) -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": {"f:spec": {"f:replicas": {}}}}


def patched(found: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    """What the server makes of a merge patch."""
    if patch is None:
        return found
    assert patch["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]
    annotations = {**found["metadata"]["annotations"], **patch["metadata"].get("annotations", {})}
    kept = {name: value for name, value in annotations.items() if value is not None}
    return {
        "metadata": {**found["metadata"], "annotations": kept, "resourceVersion": found["metadata"]["resourceVersion"] + "1"},
        "spec": {**found["spec"], **patch.get("spec", {})},
    }


def test_suspending_takes_the_pods_and_writes_down_what_they_were_in_one_patch() -> None:
    made = decide(deployment(2), "suspended", NEW, None)
    assert made.patch is not None
    assert made.patch["spec"] == {"replicas": 0}
    after = patched(deployment(2), made.patch)
    assert note_of(after) == made.note == Note(2, NEW.since, NEW.by, NEW.run)
    assert after["metadata"]["annotations"]["kept"] == "1"


def test_resuming_gives_back_what_was_written_down_and_takes_the_note_away() -> None:
    after = patched(deployment(0, EARLIER), decide(deployment(0, EARLIER), "resumed", NEW, None).patch)
    assert (replicas_of(after), note_of(after)) == (3, None)


def test_a_second_time_there_is_nothing_to_do() -> None:
    assert decide(deployment(0, EARLIER), "suspended", NEW, None).patch is None
    assert decide(deployment(0, EARLIER), "suspended", NEW, None).note == EARLIER
    assert decide(deployment(2), "resumed", NEW, None).patch is None


@pytest.mark.parametrize("wanted", ["suspended", "resumed"])
def test_what_was_scaled_to_nothing_by_hand_is_refused_until_somebody_says_how_much_it_had(wanted: Any) -> None:
    found = deployment(0, managedFields=[written_by("kubectl", "2026-11-21T19:00:00Z")])
    with pytest.raises(Refused, match=r"0 replicas.* by kubectl at 2026-11-21T19:00:00Z.*-e replicas=1"):
        decide(found, wanted, NEW, None)
    after = patched(found, decide(found, wanted, NEW, 2).patch)
    assert (replicas_of(after), note_of(after) and note_of(after).replicas) == ((0, 2) if wanted == "suspended" else (2, None))  # type: ignore[union-attr]


def test_a_number_that_was_given_does_not_replace_one_that_is_known() -> None:
    assert decide(deployment(2), "suspended", NEW, 5).note == Note(2, NEW.since, NEW.by, NEW.run)
    assert decide(deployment(0, EARLIER), "resumed", NEW, 5).replicas == 3


def test_what_somebody_scaled_back_is_suspended_again_with_what_it_has_now() -> None:
    found = deployment(2, EARLIER, managedFields=[written_by("kustomize-controller", "2026-11-21T19:00:00Z")])
    made = decide(found, "suspended", NEW, None)
    assert made.note == Note(2, NEW.since, NEW.by, NEW.run)
    assert "by kustomize-controller at 2026-11-21T19:00:00Z" in made.remarks[0]


def test_what_somebody_scaled_back_keeps_its_number_when_it_is_resumed() -> None:
    made = decide(deployment(1, EARLIER), "resumed", NEW, None)
    after = patched(deployment(1, EARLIER), made.patch)
    assert (replicas_of(after), note_of(after)) == (1, None)


@pytest.mark.parametrize("wanted", ["suspended", "resumed"])
@pytest.mark.parametrize("replicas", [0, 1])
def test_a_deployment_in_a_drill_is_left_to_the_drill(wanted: Any, replicas: int) -> None:
    now = now_text(datetime.now(UTC))
    journal = Journal("d1", "scale", myself(), now, now, (Edit(("spec", "replicas"), 1, 0),))
    with pytest.raises(Refused, match=r"is broken by a drill right now .*state: restored"):
        decide(deployment(replicas, annotations={JOURNAL: journal.text()}), wanted, NEW, 1)


def test_a_journal_that_cannot_be_read_is_refused_too() -> None:
    with pytest.raises(Refused, match="undo by hand"):
        decide(deployment(1, annotations={JOURNAL: "?"}), "suspended", NEW, None)


def test_a_note_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(Refused, match="remove it"):
        decide(deployment(0, annotations={SUSPENDED: "?"}), "resumed", NEW, None)


@given(st.lists(st.tuples(st.sampled_from(["suspended", "resumed", "scale", "stop"]), st.integers(1, 9)), max_size=12))
def test_whatever_is_done_in_whatever_order_0_is_never_what_is_remembered(steps: list[tuple[Any, int]]) -> None:
    found = deployment(2)
    for step, number in steps:
        if step in ("scale", "stop"):
            found = {**found, "spec": {"replicas": number if step == "scale" else 0}}
            continue
        try:
            found = patched(found, decide(found, step, NEW, None).patch)
        except Refused:
            assert replicas_of(found) == 0
            assert note_of(found) is None
            continue
        note = note_of(found)
        assert (replicas_of(found) == 0) == (step == "suspended") == (note is not None)
        assert note is None or note.replicas >= 1


def test_the_keeper_in_git_is_named_before_it_acts() -> None:
    found = deployment(1, labels={"kustomize.toolkit.fluxcd.io/name": "apps"})
    assert "flux suspend kustomization apps" in decide(found, "suspended", NEW, None).remarks[-1]


@pytest.mark.parametrize(
    ("found", "wanted", "text"),
    [
        (deployment(0, NEW), "suspended", ""),
        (deployment(1), "resumed", ""),
        (
            deployment(1, NEW, managedFields=[written_by("keda", "2026-11-21T19:00:00Z")]),
            "suspended",
            "back to 1 replica, by keda at 2026",
        ),
        (deployment(1, NEW, annotations={"argocd.argoproj.io/tracking-id": "a"}), "suspended", "ignoreDifferences"),
        (deployment(1), "suspended", "was resumed by somebody meanwhile"),
        (deployment(0, EARLIER), "resumed", "is suspended again, since 2026-11-20T20:00:00+00:00 by bert@couch"),
        (deployment(0), "resumed", "was scaled to 0 meanwhile"),
    ],
)
def test_who_makes_it_otherwise_is_named(found: dict[str, Any], wanted: Any, text: str) -> None:
    assert text in overruled(found, wanted)
    assert bool(text) == bool(overruled(found, wanted))


def test_of_several_who_wrote_the_replicas_the_last_one_is_named() -> None:
    fields = [written_by("new", "2026-11-21T19:00:05Z"), written_by("old", "2026-11-21T19:00:01Z"), {"manager": "other", "fieldsV1": {}}]
    assert ", by new at" in overruled(deployment(1, NEW, managedFields=fields), "suspended")
