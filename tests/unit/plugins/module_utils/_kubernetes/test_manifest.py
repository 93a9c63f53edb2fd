# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an object already is what its manifest says."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.manifest import APPLIED, differences, shown, stamped, title

JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


def test_what_only_the_object_has_is_no_difference():
    wanted = {"spec": {"ports": [{"name": "http", "port": 4000}]}}
    actual = {
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 4000, "protocol": "TCP", "targetPort": 4000}]},
        "status": {},
    }
    assert list(differences(wanted, actual)) == []


def test_a_difference_is_named_by_its_path():
    wanted = {"spec": {"containers": [{"name": "litellm", "image": "a:2"}]}}
    actual = {"spec": {"containers": [{"name": "istio", "image": "i"}, {"name": "litellm", "image": "a:1"}]}}
    assert list(differences(wanted, actual)) == ["spec.containers[litellm].image"]


def test_an_item_that_is_gone_is_a_difference():
    assert list(differences({"env": [{"name": "A"}, {"name": "B"}]}, {"env": [{"name": "A"}]})) == ["env"]


def test_a_list_of_words_is_compared_as_a_whole():
    assert list(differences({"args": ["a", "b"]}, {"args": ["a", "b", "c"]})) == ["args"]


@pytest.mark.parametrize(("wanted", "actual"), [("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"), (1, "1")])
def test_a_quantity_written_otherwise_is_the_same(wanted, actual):
    assert list(differences({"cpu": wanted}, {"cpu": actual})) == []


@pytest.mark.parametrize(("wanted", "actual"), [("1Gi", "1G"), ("2", "1"), (True, "1"), ("a", "b"), ("true", True)])
def test_another_value_is_not(wanted, actual):
    assert list(differences({"cpu": wanted}, {"cpu": actual})) == ["cpu"]


@pytest.mark.parametrize("empty", [{}, [], "", None])
def test_something_empty_that_the_server_dropped_is_no_difference(empty):
    assert list(differences({"spec": {"annotations": empty}}, {"spec": {}})) == []


@given(JSON)
def test_nothing_differs_from_itself(value):
    assert list(differences(value, copy.deepcopy(value))) == []


def test_the_stamp_changes_with_the_manifest_and_keeps_the_annotations():
    manifest = {"metadata": {"name": "a", "annotations": {"mine": "1"}}, "spec": {"a": 1}}
    one, other = stamped(manifest), stamped({**manifest, "spec": {}})
    assert one["metadata"]["annotations"]["mine"] == "1"
    assert one["metadata"]["annotations"][APPLIED] != other["metadata"]["annotations"][APPLIED]
    assert APPLIED not in manifest["metadata"]["annotations"]


def test_a_diff_shows_what_the_manifest_speaks_of():
    assert shown({"a": {"b": 1}, "c": [1]}, {"a": {"b": 2, "x": 3}, "c": [2], "status": 1}) == {"a": {"b": 2}, "c": [2]}


def test_an_object_is_named_with_its_namespace():
    assert title({"kind": "Service", "metadata": {"name": "a", "namespace": "ml"}}) == "Service ml/a"
    assert title({"kind": "Namespace", "metadata": {"name": "ml"}}) == "Namespace ml"
