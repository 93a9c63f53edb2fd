# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan collects, and what it makes of it."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._leaks import files, objects, wanted
from ansible_collections.homelab.llm.plugins.module_utils._leaks.result import MOST_FINDINGS, result
from ansible_collections.homelab.llm.plugins.module_utils._leaks.survey import CONFIGMAP, FILE, LOG, WITHHELD, Place, Survey
from ansible_collections.homelab.llm.plugins.module_utils._leaks.task import BadTask, SecretAsked
from ansible_collections.homelab.llm.plugins.module_utils._leaks.wanted import Wanted

KEY = b"sk-proj-Zk2mVb8Xw1Qq77hJ4pL9sDtRf"
OTHER = b"gsk_0Aa9Bb8Cc7Dd6Ee5Ff4Gg3Hh"


#: By Secret and key.
DATA = {
    "a": {"KEY": KEY, "PIN": b"1234", "NONE": b"sk-none", "master": OTHER},
    "b": {"master": OTHER},
}


class Secrets:
    """Two Secrets as the API server answers with them; `master` has the same value in both."""

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace) == ("secrets", "ml")
        data = DATA.get(name)
        return None if data is None else {"data": {key: base64.b64encode(value).decode() for key, value in data.items()}}


def asked(name: str, *keys: str, exclude: tuple[str, ...] = ()) -> SecretAsked:
    return SecretAsked("ml", name, keys, frozenset(exclude))


@pytest.fixture
def values() -> Wanted:
    return wanted.read(Secrets(), [asked("a"), asked("b")])


@pytest.fixture
def survey(values: Wanted) -> Survey:
    return Survey(values.matcher(()))


def test_a_value_of_two_keys_is_looked_for_once_and_told_with_both(values: Wanted) -> None:
    assert set(values.values) == {KEY, OTHER}
    both = values.owners[values.values.index(OTHER)]
    assert [str(each) for each in both] == ["key master of Secret ml/a", "key master of Secret ml/b"]


def test_short_values_and_placeholders_are_told_apart(values: Wanted) -> None:
    assert [(each.owner.key, each.why) for each in values.unscannable] == [
        ("NONE", "is a placeholder (a word that stands for nothing)"),
        ("PIN", "has fewer than 12 characters"),
    ]


def test_an_excluded_key_is_neither_looked_for_nor_told() -> None:
    found = wanted.read(Secrets(), [asked("a", exclude=("PIN", "NONE", "master"))])
    assert (found.values, found.unscannable) == ((KEY,), ())


def test_only_the_named_keys_are_looked_for() -> None:
    assert wanted.read(Secrets(), [asked("a", "master")]).values == (OTHER,)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (asked("c"), "there is no Secret ml/c"),
        (asked("a", "TYPO"), "there is no key TYPO in Secret ml/a"),
        (asked("a", exclude=("TYPO",)), "there is no key TYPO in Secret ml/a"),
        (asked("a", "PIN"), "there is no value to look for; key PIN of Secret ml/a has fewer than 12 characters"),
    ],
)
def test_nothing_to_look_for_is_an_error(secret: SecretAsked, said: str) -> None:
    with pytest.raises(BadTask) as bad:
        wanted.read(Secrets(), [secret])
    assert bad.value.problems == [said]


def test_no_value_is_in_what_python_shows_of_them(values: Wanted) -> None:
    assert KEY.decode() not in repr(values)


def test_a_clean_scan_says_what_it_has_looked_through(values: Wanted, survey: Survey) -> None:
    survey.look(Place(LOG, "Pod ml/a", "main"), [b"all ", b"is well"])
    survey.look(Place(LOG, "Pod ml/b", "main"), [])
    told = result(values, survey)
    assert (told["verdict"], told["hits"], told["findings"]) == ("clean", 0, [])
    assert told["scanned"] == {"values": 2, "places": 2, "bytes": 11, "kinds": {LOG: {"places": 2, "bytes": 11}}}
    assert told["msg"] == "No leak: looked for 2 values in 2 places, 0.0 MB"


def test_a_finding_tells_place_key_and_form_and_no_value(values: Wanted, survey: Survey) -> None:
    survey.look(Place(LOG, "Pod ml/a", "main", previous=True), [b"one\ntwo ", base64.b64encode(OTHER), b"\n", KEY[-12:]])
    told = result(values, survey)
    assert (told["verdict"], told["hits"]) == ("leaked", 2)
    assert [each["sentence"] for each in told["findings"]] == [
        "log Pod ml/a, container main, before its restart, line 2: key master of Secret ml/a and key master of Secret ml/b (base64+0)",
        "log Pod ml/a, container main, before its restart, line 3: the end of key KEY of Secret ml/a (plain)",
    ]
    shown = json.dumps(told)
    for value in (KEY, OTHER):
        assert not [at for at in range(len(value) - 5) if value[at : at + 6].decode() in shown]


def test_what_breaks_off_is_looked_through_as_far_as_it_came_and_told(values: Wanted, survey: Survey) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a " + KEY
        raise ApiError(0, "Unreachable", "the connection broke")

    survey.look(Place(LOG, "Pod ml/a", "main"), pieces())
    told = result(values, survey)
    assert told["hits"] == 1
    assert told["unreadable"] == [{"place": "Pod ml/a, container main", "why": "the connection broke"}]
    assert told["scanned"]["places"] == 0


def test_what_could_not_be_read_makes_a_scan_without_hits_inconclusive(values: Wanted, survey: Survey) -> None:
    survey.look(Place(LOG, "Pod ml/a", "main"), [b"fine"])
    survey.miss("Pod ml/b", "it is gone")
    survey.miss("Pod ml/b", "it is gone")
    told = result(values, survey)
    assert told["verdict"] == "inconclusive"
    assert told["unreadable"] == [{"place": "Pod ml/b", "why": "it is gone"}]
    assert told["msg"].endswith("Pod ml/b: it is gone")


def test_a_name_with_a_value_in_it_is_a_finding_and_not_repeated(values: Wanted, survey: Survey) -> None:
    survey.look(Place(FILE, path=f"logs/{KEY.decode()}.log"), [b"fine"])
    survey.miss(f"logs/{KEY.decode()}.txt", "it is gone")
    told = result(values, survey)
    assert [each["path"] for each in told["findings"]] == [WITHHELD]
    assert told["unreadable"][0]["place"] == WITHHELD
    assert KEY[8:].decode() not in json.dumps(told)


def test_no_more_findings_than_somebody_would_read(values: Wanted, survey: Survey) -> None:
    for nth in range(MOST_FINDINGS + 5):
        survey.look(Place(FILE, path=f"file-{nth}"), [KEY])
    told = result(values, survey)
    assert (told["hits"], len(told["findings"]), told["findings_left_out"]) == (MOST_FINDINGS + 5, MOST_FINDINGS, 5)


def test_a_finding_in_an_object_names_the_field(values: Wanted, survey: Survey) -> None:
    body = {"metadata": {"name": "c", "managedFields": [{"x": KEY.decode()}]}, "data": {"a": "fine", "b": ["x", "1\n2\n" + KEY.decode()]}}
    objects.look_at(survey, CONFIGMAP, "ConfigMap ml/c", body)
    (found,) = result(values, survey)["findings"]
    assert (found["object"], found["path"], found["line"]) == ("ConfigMap ml/c", "data.b[1]", 3)
    assert survey.streams[CONFIGMAP] == 1


def test_a_finding_in_the_name_of_a_field_is_told(values: Wanted, survey: Survey) -> None:
    objects.look_at(survey, CONFIGMAP, "ConfigMap ml/c", {"metadata": {"name": "c"}, "data": {KEY.decode(): "fine"}})
    (found,) = result(values, survey)["findings"]
    assert (found["object"], found["path"]) == ("ConfigMap ml/c", WITHHELD)


def test_a_folder_is_looked_through_with_all_that_is_in_it(values: Wanted, survey: Survey, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "log").write_bytes(b"fine\n" + KEY)
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"fine\n" * 1000 + KEY))
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er" / "log")
    files.look(survey, [str(tmp_path)])
    found = {(Path(each["path"]).name, each["line"]) for each in result(values, survey)["findings"]}
    assert found == {("log", 2), ("log.gz", 1001), ("link", 2)}


def test_what_is_no_readable_file_is_told(survey: Survey, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(os.urandom(5000))[:2000])
    (tmp_path / "empty").mkdir()
    files.look(survey, [str(tmp_path), str(tmp_path / "absent"), str(tmp_path / "empty")])
    assert {Path(each.where).name: each.why for each in survey.unread} == {
        "pipe": "it is no regular file",
        "dangling": "No such file or directory",
        "cut.gz": "EOFError",
        "absent": "there is no such file or folder",
        "empty": "there is no file in this folder",
    }
