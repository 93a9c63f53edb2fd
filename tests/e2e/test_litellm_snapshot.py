# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""litellm_model's snapshots on a real API server."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest
from edges import both_edges
from kubernetes import client

pytestmark = pytest.mark.cluster

SNAPSHOT_OF = "homelab.llm/snapshot-of"


@pytest.fixture
def base() -> str:
    return f"c-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def edit(run_module: Any, namespace: str, base: str) -> Any:
    """Runs the module with one model that has this timeout, so each number is a state of the config."""

    def run(timeout: int, *, check: bool = False, diff: bool = False, **params: Any) -> Any:
        model = {"model_name": "a", "litellm_params": {"model": "openai/a", "timeout": timeout}}
        given = {"namespace": namespace, "name": base, "models": [model], "snapshot": True, **params}
        return run_module("litellm_model", given, check=check, diff=diff)

    return run


@pytest.fixture
def snapshots(core: client.CoreV1Api, namespace: str, base: str) -> Any:
    """The snapshots there are, by name."""

    def read() -> dict[str, Any]:
        found = core.list_namespaced_config_map(namespace, label_selector=f"{SNAPSHOT_OF}={base}").items
        return {each.metadata.name: each for each in found}

    return read


def pod_that_mounts(name: str, snapshot: str) -> dict[str, Any]:
    """Never scheduled: what it refers to is all that counts."""
    spec = {
        "nodeSelector": {"no-such": "node"},
        "containers": [{"name": "c", "image": "docker.io/sandbox/upstream:1"}],
        "volumes": [{"name": "config", "projected": {"sources": [{"configMap": {"name": snapshot}}]}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@both_edges
def test_create_again_modify_again_each_with_and_without_check_mode(
    edit: Any, snapshots: Any, core: client.CoreV1Api, namespace: str, base: str
) -> None:
    for timeout in (1, 2):
        before = set(snapshots())
        foretold = edit(timeout, check=True)
        assert foretold.changed
        assert set(snapshots()) == before
        done = edit(timeout, diff=True)
        assert done.changed
        name = done.result["snapshot"]
        assert name == foretold.result["snapshot"] == f"{base}-{done.result['checksum'][:10]}"
        assert f"immutable, with the text of ConfigMap {namespace}/{base}" in done.output
        edited = core.read_namespaced_config_map(base, namespace)
        made = snapshots()[name]
        assert (made.immutable, made.data) == (True, edited.data)
        assert [each.uid for each in made.metadata.owner_references] == [edited.metadata.uid]
        for check in (True, False):
            again = edit(timeout, check=check)
            assert (again.changed, again.result["snapshot"]) == (False, name)
        assert snapshots()[name].metadata.resource_version == made.metadata.resource_version
        assert not done.warnings


def test_without_the_option_there_is_none(edit: Any, snapshots: Any) -> None:
    assert "snapshot" not in edit(1, snapshot=False).result
    assert snapshots() == {}


def test_a_run_that_was_killed_between_edit_and_snapshot_is_finished_by_the_next(edit: Any, snapshots: Any) -> None:
    edit(1, snapshot=False)  # as far as the one that was killed came
    assert edit(1, check=True).changed
    assert snapshots() == {}
    finished = edit(1)
    assert (finished.changed, list(snapshots())) == (True, [finished.result["snapshot"]])
    assert not edit(1).changed


def test_old_ones_go_when_nothing_uses_them_and_the_newest_of_these_stays(
    edit: Any, snapshots: Any, core: client.CoreV1Api, namespace: str
) -> None:
    mounted = edit(1).result["snapshot"]
    core.create_namespaced_pod(namespace, pod_that_mounts(f"p-{uuid.uuid4().hex[:8]}", mounted))
    idle, newest = (edit(timeout).result["snapshot"] for timeout in (2, 3))
    assert set(snapshots()) == {mounted, idle, newest}
    foretold = edit(4, check=True)
    assert foretold.result["snapshots_removed"] in ([idle], [newest])  # made in the same second, perhaps
    assert set(snapshots()) == {mounted, idle, newest}
    done = edit(4)
    assert done.result["snapshots_removed"] == foretold.result["snapshots_removed"]
    assert mounted in snapshots()
    assert set(snapshots()) == {mounted, idle, newest, done.result["snapshot"]} - {*done.result["snapshots_removed"]}


def test_a_config_map_of_that_name_with_another_content_is_an_error_before_anything_is_written(
    edit: Any, core: client.CoreV1Api, namespace: str, base: str
) -> None:
    edit(1)
    version = core.read_namespaced_config_map(base, namespace).metadata.resource_version
    name = edit(2, check=True).result["snapshot"]
    core.create_namespaced_config_map(namespace, {"metadata": {"name": name}, "data": {"config.yaml": "mine"}})
    for check in (True, False):
        refused = edit(2, check=check)
        assert refused.failed
        assert f"ConfigMap {namespace}/{name} should be a snapshot of the config and has another content" in refused.message
    assert core.read_namespaced_config_map(base, namespace).metadata.resource_version == version


def test_they_go_with_the_config_map(edit: Any, snapshots: Any, core: client.CoreV1Api, namespace: str, base: str) -> None:
    edit(1)
    edit(2)
    core.delete_namespaced_config_map(base, namespace, propagation_policy="Foreground")
    until = time.monotonic() + 120
    while snapshots() and time.monotonic() < until:
        time.sleep(0.2)
    assert snapshots() == {}


def test_one_whose_owner_was_made_anew_lives_on(edit: Any, snapshots: Any, core: client.CoreV1Api, namespace: str, base: str) -> None:
    name = edit(1).result["snapshot"]
    core.delete_namespaced_config_map(base, namespace, propagation_policy="Orphan")
    while core.list_namespaced_config_map(namespace, field_selector=f"metadata.name={base}").items:
        time.sleep(0.1)
    assert edit(1).changed
    time.sleep(3)  # the garbage collector's turn
    owners = snapshots()[name].metadata.owner_references
    assert [each.uid for each in owners] == [core.read_namespaced_config_map(base, namespace).metadata.uid]
    assert not edit(1).changed


def test_an_edit_right_after_the_removal_waits_for_its_end(
    edit: Any, snapshots: Any, core: client.CoreV1Api, namespace: str, base: str
) -> None:
    edit(1)
    core.patch_namespaced_config_map(base, namespace, {"metadata": {"finalizers": ["example.com/slow"]}})
    core.delete_namespaced_config_map(base, namespace)
    release = threading.Timer(3, core.patch_namespaced_config_map, (base, namespace, {"metadata": {"finalizers": None}}))
    release.start()
    done = edit(1)
    release.join()
    assert done.changed
    assert core.read_namespaced_config_map(base, namespace).metadata.deletion_timestamp is None
    assert done.result["snapshot"] in snapshots()


def test_two_at_once_leave_a_snapshot_of_the_config_in_force(edit: Any, snapshots: Any) -> None:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda timeout=timeout: results.append(edit(timeout))) for timeout in (1, 2, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(each.failed for each in results), [each.message for each in results]
    assert {each.result["snapshot"] for each in results} <= set(snapshots())
    settled = edit(2)
    assert settled.result["snapshot"] in snapshots()


def test_check_mode_needs_no_namespace(run_module: Any) -> None:
    params = {"namespace": "not-made-yet", "models": [{"model_name": "a", "litellm_params": {"model": "openai/a"}}], "snapshot": True}
    foretold = run_module("litellm_model", params, check=True)
    assert (foretold.changed, foretold.failed) == (True, False)
    assert foretold.result["snapshot"].startswith("litellm-config-")


def test_files_beside_the_config_are_kept_with_it_and_a_change_of_them_is_a_new_one(edit: Any, snapshots: Any) -> None:
    alone = edit(1).result["snapshot"]
    config = snapshots()[alone].data
    first = edit(1, snapshot_files={"entry.py": "one = 1\n"}, check=True)
    assert (first.changed, set(snapshots())) == (True, {alone})
    names = []
    for text in ("one = 1\n", "two = 2\n"):
        done = edit(1, snapshot_files={"entry.py": text})
        names.append(done.result["snapshot"])
        assert done.changed
        assert snapshots()[names[-1]].data == {**config, "entry.py": text}
        assert not edit(1, snapshot_files={"entry.py": text}).changed
    assert names[0] == first.result["snapshot"]
    assert len({alone, *names}) == 3
    assert set(snapshots()) == set(names), "the oldest that nothing mounts has gone, as always"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"snapshot_files": {"config.yaml": "x"}}, "called config.yaml as the config is"),
        ({"snapshot_files": {"a.py": 1}}, "a.py with something that is no text"),
        ({"snapshot_files": {"a.py": "x"}, "snapshot": False}, "snapshot_files lie in the snapshot, and there is none"),
    ],
    ids=["name of the config", "no text", "no snapshot"],
)
def test_files_that_cannot_be_kept_are_refused(edit: Any, snapshots: Any, params: dict[str, Any], said: str) -> None:
    refused = edit(1, **params)
    assert refused.failed
    assert said in refused.message
    assert snapshots() == {}


def test_a_file_has_no_snapshot(run_module: Any, tmp_path: Any) -> None:
    refused = run_module("litellm_model", {"path": str(tmp_path / "config.yaml"), "snapshot": True})
    assert "snapshot is for a config in a ConfigMap" in refused.message
