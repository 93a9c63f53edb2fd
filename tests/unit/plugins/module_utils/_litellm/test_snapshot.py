# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a snapshot of a config is called, what is to be done for it, and which ones nothing uses any more."""

from __future__ import annotations

import copy
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._litellm.snapshot import (
    SNAPSHOT_OF,
    Base,
    SnapshotError,
    checksum_of,
    contents,
    manifest,
    name_of,
    plan,
    unused,
)

BASE = Base("ml", "litellm-config", "config.yaml")
NAME = "litellm-config-0123456789"
TEXT = "model_list: []\n"
DATA = {"config.yaml": TEXT}
THERE = manifest(BASE, NAME, DATA, "uid-1")
NAMES = [f"litellm-config-{number:010}" for number in range(6)]


def with_(change):
    found = copy.deepcopy(THERE)
    change(found)
    return found


def listed(*names):
    """Snapshots as the server lists them, the oldest first."""
    return [{"metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:{second:02}Z"}} for second, name in enumerate(names)]


def pod(name, *, projected=True):
    source = {"configMap": {"name": name}}
    volume = {"name": "config", "projected": {"sources": [source]}} if projected else {"name": "config", **source}
    return {"spec": {"containers": [{"name": "litellm", "args": ["--port", "4000"]}], "volumes": [volume]}}


def replica_set(name):
    return {"spec": {"replicas": 0, "template": pod(name)}}


def test_is_named_after_the_config_map_and_the_beginning_of_the_checksum():
    assert name_of(BASE, "0123456789abcdef") == NAME


def test_a_config_that_is_alone_has_its_own_checksum_and_files_beside_it_change_that():
    alone = checksum_of(BASE, contents(BASE, TEXT, {}))
    assert alone == hashlib.sha256(TEXT.encode()).hexdigest()
    others = [
        checksum_of(BASE, contents(BASE, TEXT, files))
        for files in ({"a.py": "1"}, {"a.py": "2"}, {"b.py": "1"}, {"a.py": "1", "b.py": "1"})
    ]
    assert len({alone, *others}) == 5


def test_the_order_of_the_files_is_no_content():
    assert checksum_of(BASE, contents(BASE, TEXT, {"a": "1", "b": "2"})) == checksum_of(BASE, contents(BASE, TEXT, {"b": "2", "a": "1"}))


def test_a_file_that_would_replace_the_config_is_refused():
    with pytest.raises(SnapshotError, match=r"config\.yaml"):
        contents(BASE, TEXT, {"config.yaml": ""})


def test_files_are_kept_with_the_config():
    data = contents(BASE, TEXT, {"entry.py": "pass"})
    assert manifest(BASE, NAME, data, "uid-1")["data"] == {"config.yaml": TEXT, "entry.py": "pass"}
    assert plan(BASE, NAME, data, manifest(BASE, NAME, data, "uid-1"), "uid-1") == "keep"
    with pytest.raises(SnapshotError, match="has another content"):
        plan(BASE, NAME, data, THERE, "uid-1")


def test_a_name_that_leaves_no_room_is_refused():
    with pytest.raises(SnapshotError, match="242 characters"):
        name_of(Base("ml", "x" * 243, "config.yaml"), "0" * 64)
    assert len(name_of(Base("ml", "x" * 242, "config.yaml"), "0" * 64)) == 253


def test_a_long_name_gives_a_label_that_kubernetes_takes_and_that_is_its_own():
    labels = {Base("ml", "x" * 100 + end, "config.yaml").label for end in "ab"}
    assert [len(label) for label in labels] == [63, 63]


def test_is_immutable_and_goes_with_the_config_map():
    assert (THERE["immutable"], THERE["data"]) == (True, {"config.yaml": TEXT})
    assert THERE["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "homelab.llm", SNAPSHOT_OF: "litellm-config"}
    assert THERE["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "ConfigMap", "name": "litellm-config", "uid": "uid-1"}]


def test_what_is_not_there_is_created_and_what_is_there_is_kept():
    assert plan(BASE, NAME, DATA, None, None) == "create"
    assert plan(BASE, NAME, DATA, THERE, "uid-1") == "keep"


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["metadata"].pop("ownerReferences"),
        lambda found: found["metadata"].pop("labels"),
        lambda found: found.pop("immutable"),
    ],
    ids=["its owner was removed", "it has no label", "it can be changed"],
)
def test_the_right_content_without_the_rest_is_adopted(change):
    assert plan(BASE, NAME, DATA, with_(change), "uid-1") == "adopt"


def test_one_of_an_owner_that_was_made_anew_is_adopted_before_it_is_garbage():
    assert plan(BASE, NAME, DATA, THERE, "uid-2") == "adopt"
    assert plan(BASE, NAME, DATA, THERE, None) == "adopt"


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["data"].update({"config.yaml": "model_list: [other]\n"}),
        lambda found: found["data"].update(more=""),
        lambda found: found.pop("data"),
        lambda found: found.update(binaryData={"config": "AA=="}),
    ],
    ids=["another text", "another key", "no data", "binary data"],
)
def test_another_content_under_that_name_is_an_error_that_does_not_quote_it(change):
    with pytest.raises(SnapshotError, match=f"ConfigMap ml/{NAME} should be a snapshot") as error:
        plan(BASE, NAME, DATA, with_(change), "uid-1")
    assert "model_list" not in str(error.value)


def test_what_a_pod_or_a_revision_to_go_back_to_mounts_stays():
    users = [pod(NAMES[0]), pod(NAMES[1], projected=False), replica_set(NAMES[2])]
    assert unused(listed(*NAMES), users, NAMES[5]) == [NAMES[3]]


def test_the_newest_that_nothing_mounts_stays_for_it_may_be_another_runs():
    assert unused(listed(*NAMES[:3]), [], NAMES[2]) == [NAMES[0]]
    assert unused(listed(*NAMES[:2]), [], NAMES[1]) == []


def test_a_name_in_an_argument_counts_as_use_too():
    assert unused(listed(*NAMES[:3]), [{"spec": {"containers": [{"args": [NAMES[0]]}]}}], NAMES[2]) == []


@given(st.permutations(NAMES), st.lists(st.sampled_from(NAMES)), st.sampled_from(NAMES))
def test_never_removes_what_is_used_or_current_and_leaves_at_most_one_idle(order, used, current):
    removed = unused(listed(*order), [pod(name) for name in used], current)
    assert not {*used, current} & {*removed}
    assert len({*NAMES} - {*used, current} - {*removed}) <= 1
