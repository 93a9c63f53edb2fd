# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_apply on a real API server."""

from __future__ import annotations

import copy
import threading
import uuid
from typing import Any

import pytest
from edges import both_edges
from kubernetes import client

pytestmark = pytest.mark.cluster


@pytest.fixture
def service(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"s-{uuid.uuid4().hex[:8]}", "namespace": namespace, "labels": {"mine": "yes", "also": "mine"}},
        "spec": {"selector": {"app": "a"}, "ports": [{"name": "http", "port": 80}]},
    }


@pytest.fixture
def apply(run_module: Any) -> Any:
    def run(*manifests: dict[str, Any], check: bool = False, diff: bool = False, **params: Any) -> Any:
        return run_module("k8s_apply", {"manifests": list(manifests), **params}, check=check, diff=diff)

    return run


def read(core: client.CoreV1Api, service: dict[str, Any]) -> Any:
    name = service["metadata"]["name"]
    found = core.list_namespaced_service(service["metadata"]["namespace"], field_selector=f"metadata.name={name}").items
    return found[0] if found else None


@both_edges
def test_create_again_modify_again_remove_again_each_with_and_without_check_mode(apply: Any, core: client.CoreV1Api, service: Any) -> None:
    changed = copy.deepcopy(service)
    changed["spec"]["ports"][0]["port"] = 81
    for manifest, params, action in ((service, {}, "created"), (changed, {}, "changed"), (changed, {"state": "absent"}, "removed")):
        before = read(core, service)
        foretold = apply(manifest, check=True, **params)
        assert (foretold.changed, foretold.result["objects"][0]["action"]) == (True, action)
        assert read(core, service) == before
        done = apply(manifest, **params)
        assert done.result["objects"] == foretold.result["objects"]
        after = read(core, service)
        for check in (True, False):
            again = apply(manifest, check=check, **params)
            assert (again.changed, again.result["objects"][0]["action"]) == (False, "unchanged")
        assert read(core, service) == after
        assert not done.warnings


def test_a_field_that_leaves_the_manifest_leaves_the_object_and_those_of_others_stay(
    apply: Any, core: client.CoreV1Api, service: Any
) -> None:
    apply(service)
    core.patch_namespaced_service(
        service["metadata"]["name"], service["metadata"]["namespace"], {"metadata": {"labels": {"theirs": "yes"}}}
    )
    assert not apply(service).changed
    del service["metadata"]["labels"]["also"]
    assert apply(service).changed
    assert read(core, service).metadata.labels == {"mine": "yes", "theirs": "yes"}


def test_what_somebody_changed_is_changed_back(apply: Any, core: client.CoreV1Api, service: Any) -> None:
    apply(service)
    core.patch_namespaced_service(service["metadata"]["name"], service["metadata"]["namespace"], {"spec": {"selector": {"app": "b"}}})
    done = apply(service, diff=True)
    assert done.result["objects"][0]["fields"] == ["spec.selector.app"]
    assert read(core, service).spec.selector == {"app": "a"}


def test_what_was_switched_off_is_removed_if_it_is_ours(apply: Any, core: client.CoreV1Api, service: Any) -> None:
    theirs = copy.deepcopy(service)
    theirs["metadata"]["name"] += "-t"
    core.create_namespaced_service(theirs["metadata"]["namespace"], theirs)
    apply(service)
    done = apply(prune=[service, theirs])
    assert [each["action"] for each in done.result["objects"]] == ["removed", "unchanged"]
    assert (read(core, service), read(core, theirs) is None) == (None, False)
    assert not apply(prune=[service, theirs]).changed


def test_an_object_that_is_being_deleted_is_made_anew_when_it_is_gone(apply: Any, core: client.CoreV1Api, service: Any) -> None:
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    apply(service)
    before = read(core, service)
    core.patch_namespaced_service(name, namespace, {"metadata": {"finalizers": ["example.com/slow"]}})
    core.delete_namespaced_service(name, namespace)
    foretold = apply(service, check=True)
    release = threading.Timer(3, core.patch_namespaced_service, (name, namespace, {"metadata": {"finalizers": None}}))
    release.start()
    done = apply(service)
    release.join()
    assert foretold.result["objects"] == done.result["objects"]
    assert done.result["objects"][0]["action"] == "created"
    assert read(core, service).metadata.uid != before.metadata.uid
    assert not apply(service).changed


def test_a_namespace_that_is_there_is_left_as_it_is(apply: Any, core: client.CoreV1Api, namespace: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"ours": "yes"}}}
    assert not apply(manifest, create_only=True).changed
    assert "ours" not in core.read_namespace(namespace).metadata.labels


def test_nothing_is_applied_when_the_server_refuses_one_of_them(apply: Any, core: client.CoreV1Api, service: Any) -> None:
    broken = copy.deepcopy(service)
    broken["metadata"]["name"] += "-b"
    broken["spec"]["ports"][0]["port"] = 70000
    refused = apply(service, broken)
    assert refused.failed
    assert refused.message.endswith("Nothing was applied")
    assert read(core, service) is None


def test_a_kind_the_cluster_does_not_know_is_named(apply: Any, core: client.CoreV1Api, service: Any) -> None:
    unknown = {"apiVersion": "example.com/v1", "kind": "Wish", "metadata": {"name": "w", "namespace": service["metadata"]["namespace"]}}
    assert "serves no Wish of example.com/v1" in apply(service, unknown).message
    assert read(core, service) is None
    assert not apply(unknown, state="absent").changed
    assert apply(unknown, check=True).changed, "an earlier task may be about to install it"
    assert "serves no Wish of example.com/v1" in apply(unknown, check=True, foresee_kinds=False).message


def test_a_secret_is_refused(apply: Any, namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}, "stringData": {"A": "b"}}
    assert "k8s_secret_patch" in apply(secret).message
