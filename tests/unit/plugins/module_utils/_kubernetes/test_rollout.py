# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a rollout is, judged from the objects."""

from __future__ import annotations

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.rollout import masked, of_newest_revision, progress, speaker, troubles


def deployment(*, generation=2, observed=2, conditions=(), **status):
    status = {"observedGeneration": observed, "conditions": list(conditions), **status}
    return {"metadata": {"uid": "u", "generation": generation}, "spec": {"replicas": 1}, "status": status}


def pod(name="p", *, hash_label="new", ready=False, waiting=None, restarts=0, leaving=False, **metadata):
    state = {"waiting": {"reason": waiting, "message": "because"}} if waiting else {"running": {}}
    return {
        "metadata": {
            "name": name,
            "labels": {"pod-template-hash": hash_label},
            **({"deletionTimestamp": "t"} if leaving else {}),
            **metadata,
        },
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"state": state, "restartCount": restarts}],
        },
    }


def test_is_done_when_all_pods_are_new_and_available():
    state = progress(deployment(updatedReplicas=1, availableReplicas=1, replicas=1), [pod(ready=True)])
    assert (state.done, state.failed) == (True, False)


def test_is_not_done_before_the_controller_has_seen_the_change():
    assert not progress(deployment(generation=3, updatedReplicas=1, availableReplicas=1, replicas=1)).done


def test_is_not_done_while_an_old_pod_is_there():
    state = progress(deployment(updatedReplicas=1, availableReplicas=1, replicas=2), [pod()])
    assert not state.done
    assert state.text == "1 of 1 pods are new, 0 of them ready, 1 old"


def test_has_failed_when_kubernetes_gave_up():
    assert progress(deployment(conditions=[{"reason": "ProgressDeadlineExceeded"}], updatedReplicas=1, replicas=2)).failed


def test_one_that_goes_back_to_pods_which_run_has_not_failed_with_the_one_before():
    exceeded = [{"reason": "ProgressDeadlineExceeded"}]
    state = progress(deployment(conditions=exceeded, updatedReplicas=1, availableReplicas=1, replicas=2), [pod()])
    assert (state.done, state.failed) == (False, False)


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerConfigError", "InvalidImageName"])
def test_has_failed_when_a_pod_says_that_it_cannot_start(reason):
    state = progress(deployment(updatedReplicas=1, replicas=2), [pod(waiting=reason)])
    assert state.failed
    assert f"p: {reason}: because" in state.text


def test_one_crash_is_no_failure_yet_and_two_are():
    assert troubles(pod(waiting="CrashLoopBackOff", restarts=0)) == []
    assert troubles(pod(restarts=1)) == [], "it runs again"
    assert troubles(pod(waiting="CrashLoopBackOff", restarts=1)) == ["CrashLoopBackOff: because"]


def test_a_container_that_is_being_created_is_waited_for():
    assert troubles(pod(waiting="ContainerCreating")) == []


def test_the_log_to_show_is_that_of_the_container_that_the_pod_waits_for():
    two = {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
    done, failed = ({"name": name, "state": {"terminated": {"exitCode": code}}} for name, code in (("ca", 0), ("more", 1)))
    ready = {"containerStatuses": [{"name": "a", "ready": True}, {"name": "b", "ready": False}]}
    assert speaker(two) == "a", "nothing is known of it yet"
    assert speaker({**two, "status": ready}) == "b"
    assert speaker({**two, "status": {**ready, "initContainerStatuses": [done]}}) == "b"
    assert speaker({**two, "status": {**ready, "initContainerStatuses": [done, failed]}}) == "more"
    assert speaker({**two, "status": {**ready, "initContainerStatuses": [{"name": "ca", "state": {"waiting": {}}}]}}) == "ca"


def test_the_pods_are_those_of_the_newest_revision_that_stay():
    def replica_set(revision, hash_label, uid="u"):
        return {
            "metadata": {
                "ownerReferences": [{"uid": uid}],
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "labels": {"pod-template-hash": hash_label},
            }
        }

    sets = [replica_set("10", "new"), replica_set("9", "old"), replica_set("99", "other", uid="another")]
    pods = [pod("b"), pod("a"), pod("leaves", leaving=True), pod("o", hash_label="old"), pod("x", hash_label="other")]
    assert [each["metadata"]["name"] for each in of_newest_revision(deployment(), sets, pods)] == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [
        "Using key sk-Tr0ub4dor-and-three-more",
        "{'api_key': 'Tr0ub4dor-and-three'}",
        "Authorization: Bearer Tr0ub4dor-and-three",
        "master_key=Tr0ub4dor-and-three",
        "cannot reach postgresql://litellm:Tr0ub4dor@db.ml:5432/litellm",
        "cannot reach redis://:Tr0ub4dor@redis:6379",
        "gsk_Tr0ub4dorandthreemore9",
    ],
)
def test_a_log_is_shown_without_what_looks_like_a_key(line):
    assert "Tr0ub4dor" not in masked(line)
    assert "*****" in masked(line)


@pytest.mark.parametrize(
    "line",
    [
        "ImportError: Could not import there from nowhere (max_tokens=5)",
        "Uvicorn running on http://0.0.0.0:4000 (mail to admin@example.com)",
        "cannot reach postgresql://litellm@db.ml:5432/litellm",
    ],
)
def test_a_log_without_a_key_stays_as_it_is(line):
    assert masked(line) == line
