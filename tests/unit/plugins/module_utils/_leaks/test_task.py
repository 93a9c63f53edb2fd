# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._leaks.task import LOOK_IN, BadTask, task_of

SECRET = {"namespace": "ml", "name": "keys", "keys": [], "exclude": []}
AREA = {"name": "ml", "selector": "", "look_in": list(LOOK_IN), "previous": True, "files": [], "container": None}


def params(**changes: Any) -> dict[str, Any]:
    return {"secrets": [SECRET], "namespaces": [AREA], "files": [], "public": ["http://host"], **changes}


def test_parameters_become_a_task() -> None:
    task = task_of(params(namespaces=[{**AREA, "look_in": [], "files": ["/tmp/logs"]}]))  # noqa: S108
    assert [str(each) for each in task.secrets] == ["Secret ml/keys"]
    assert task.areas[0].wants_pods
    assert task.public == (b"http://host",)


def test_pods_are_not_listed_for_who_wants_neither_their_logs_nor_files() -> None:
    assert not task_of(params(namespaces=[{**AREA, "look_in": ["events"]}])).areas[0].wants_pods


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secrets": []}, "secrets is empty: name those whose values to look for"),
        ({"namespaces": []}, "namespaces and files are empty: say where to look"),
        ({"secrets": [{**SECRET, "name": "No!"}]}, "name 'No!' in secrets is no Kubernetes name"),
        (
            {"secrets": [{**SECRET, "keys": ["A"], "exclude": ["A"]}]},
            "A of Secret ml/keys is in keys and in exclude: name it in one",
        ),
        ({"namespaces": [{**AREA, "name": "a/b"}]}, "name 'a/b' in namespaces is no Kubernetes name"),
        (
            {"namespaces": [{**AREA, "files": ["logs"]}]},
            "'logs' in files of namespace ml is no path from the root, such as /tmp/openclaw",
        ),
        ({"namespaces": [{**AREA, "look_in": []}]}, "look_in and files of namespace ml are empty: say where to look there"),
    ],
)
def test_what_makes_no_scan_is_refused_with_the_reason(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadTask) as bad:
        task_of(params(**changes))
    assert bad.value.problems == [said]
