# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a pod that runs one program, and what its status means."""

from __future__ import annotations

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.pod import (
    LABEL,
    Program,
    SecretKey,
    State,
    leftovers,
    manifest,
    state,
)

PROGRAM = Program(
    "ml",
    "image:1",
    ["python3", "-c", "pass"],
    timeout=30,
    env={"COLOUR": "green"},
    env_keys={"KEY": SecretKey("litellm-secrets", "OLLAMA_API_KEY")},
    env_secrets=["all-of-it"],
)


def status(phase="Pending", *, waiting=None, message=None, ended=None, conditions=(), **more):
    container = {"state": {"waiting": {"reason": waiting, "message": message}}} if waiting else {}
    if ended is not None:
        container = {"state": {"terminated": ended}}
    return {"status": {"phase": phase, "conditions": list(conditions), "containerStatuses": [container] if container else [], **more}}


def test_meets_the_pod_security_level_restricted():
    spec = manifest(PROGRAM, "run-1")["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"]


def test_ends_by_itself_when_nobody_waits_for_it():
    spec = manifest(PROGRAM, "run-1")["spec"]
    assert (spec["activeDeadlineSeconds"], spec["restartPolicy"]) == (40, "Never")


def test_names_secrets_and_holds_none():
    (container,) = manifest(PROGRAM, "run-1")["spec"]["containers"]
    assert container["env"][1:] == [
        {"name": "COLOUR", "value": "green"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "litellm-secrets", "key": "OLLAMA_API_KEY"}}},
    ]
    assert container["envFrom"] == [{"secretRef": {"name": "all-of-it"}}]


def test_carries_the_label_that_the_next_run_looks_for():
    assert manifest(PROGRAM, "run-1")["metadata"]["labels"][LABEL] == "run"


@pytest.mark.parametrize("code", [0, 3])
def test_has_ended_when_the_container_has(code):
    phase = "Failed" if code else "Succeeded"
    assert state(status(phase, ended={"exitCode": code, "reason": "Error"})) == State(code=code)


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (status(waiting="ErrImageNeverPull", message="no such image"), "its image cannot be had (ErrImageNeverPull: no such image)"),
        (status(waiting="ImagePullBackOff"), "name one that is on the node"),
        (
            status(waiting="CreateContainerConfigError", message="couldn't find key K in Secret ml/s"),
            "what it needs is not there (couldn't find key K in Secret ml/s)",
        ),
        (status("Failed", ended={"exitCode": 128, "reason": "StartError", "message": "no python3"}), "cannot be started: no python3"),
        (status("Failed", ended={"exitCode": 137, "reason": "OOMKilled"}), "took more memory than it may"),
        (status("Failed", ended={"exitCode": 137, "reason": "Error"}, reason="DeadlineExceeded"), "longer than it may"),
        ({"status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}}, "Evicted: low on memory"),
    ],
)
def test_has_failed_when_it_never_will_run_properly(pod, said):
    assert said in state(pod).failure


@pytest.mark.parametrize(
    ("pod", "waits_for"),
    [
        (status(), "it is not started yet"),
        (status("Running"), "the program runs"),
        (status(waiting="ContainerCreating"), "ContainerCreating"),
        (
            status(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]),
            "no node takes it: 0/1 nodes are available",
        ),
    ],
)
def test_tells_what_it_waits_for(pod, waits_for):
    assert state(pod) == State(waits_for=waits_for)


def test_only_a_pod_that_nobody_can_wait_for_any_more_is_left_over():
    def made(name, at):
        return {"metadata": {"name": name, "creationTimestamp": at}, "spec": {"activeDeadlineSeconds": 40}}

    pods = [made("old", "2026-01-01T10:00:00Z"), made("young", "2026-01-01T10:00:25Z")]
    assert leftovers(pods, "2026-01-01T10:02:00Z") == ["old"]
