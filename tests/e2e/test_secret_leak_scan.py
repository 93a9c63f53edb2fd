# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""secret_leak_scan on a real cluster: pods that print a key in every way, and one that does not."""

from __future__ import annotations

import base64
import gzip
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edges import both_edges
from kubernetes import client

from secret_under_test import key

pytestmark = pytest.mark.cluster

IMAGE = "docker.io/sandbox/upstream:1"

#: Prints a key in every way, the first time it is started before it fails, the second time before it waits.
LEAK = """
import base64, json, os, pathlib, sys, time
from urllib.parse import quote
key = os.environ["API_KEY"]
pathlib.Path("/state/logs/deep").mkdir(parents=True, exist_ok=True)
pathlib.Path("/state/logs/deep/gateway.log").write_text("ready\\nAuthorization: Bearer " + key + "\\n")
pathlib.Path("/state/logs/clean.log").write_text("ready\\n" * 50000)
os.symlink("/state/logs", "/state/linked") if not os.path.islink("/state/linked") else None
again = pathlib.Path("/state/started").exists()
pathlib.Path("/state/started").touch()
if not again:
    print("first start")
    print("it began with", key)
    sys.exit(3)
print("second start")
for text in (
    key,
    base64.b64encode(key.encode()).decode(),
    base64.b64encode(b"x" + key.encode() + b"yz").decode(),
    base64.b64encode(b"xy" + key.encode() + b"z").decode(),
    "url=https%3A%2F%2Fhost%2F%3Fkey%3D" + "".join("%{:02x}".format(byte) for byte in key.encode()),
    key[:20] + "\\n    " + key[20:],
    json.dumps({"nested": json.dumps({"key": "".join("\\\\u{:04x}".format(ord(each)) for each in key)})}),
    "ends with ..." + key[-12:],
):
    print("said:", text)
sys.stdout.flush()
time.sleep(3600)
"""

QUIET = "import time; print('nothing to see'); time.sleep(3600)"


def container(name: str, source: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": IMAGE,
        "command": ["python3", "-u", "-c", source],
        "env": [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "API_KEY"}}}],
        "volumeMounts": [{"name": "state", "mountPath": "/state"}],
        **more,
    }


def pod(name: str, *containers: dict[str, Any], init: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "volumes": [{"name": "state", "emptyDir": {}}],
            "containers": list(containers),
            **({"initContainers": [init]} if init else {}),
        },
    }


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    return {"API_KEY": key(), "OTHER": key(), "SHORT": "hunter2", "USER": "administrator"}


@pytest.fixture(scope="module")
def namespace(core: client.CoreV1Api, keys: dict[str, str]) -> Iterator[str]:
    """A namespace with a pod that leaks and one that does not, both running."""
    name = f"lk-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    try:
        core.create_namespaced_secret(name, {"metadata": {"name": "keys"}, "stringData": keys})
        _wait(lambda: core.list_namespaced_service_account(name).items)
        first = container("prepare", "import os; print('prepared with', os.environ['API_KEY'])")
        core.create_namespaced_pod(name, pod("leaky", container("main", LEAK), container("side", QUIET), init=first))
        core.create_namespaced_pod(name, pod("quiet", container("main", QUIET)))
        _wait(lambda: "ends with" in _log(core, name, "leaky") and "nothing" in _log(core, name, "quiet"))
        yield name
    finally:
        core.delete_namespace(name)


def _log(core: client.CoreV1Api, namespace: str, name: str) -> str:
    try:
        return str(core.read_namespaced_pod_log(name, namespace, container="main"))
    except client.ApiException:
        return ""


def _wait(done: Any) -> None:
    until = time.monotonic() + 300
    while not done():
        assert time.monotonic() < until
        time.sleep(0.3)


@pytest.fixture
def scan(run_module: Any, namespace: str) -> Any:
    """Runs the module for the key."""

    def run(*, areas: list[dict[str, Any]] | None = None, secret: dict[str, Any] | None = None, check: bool = False, **params: Any) -> Any:
        secrets = [{"namespace": namespace, "name": "keys", "exclude": ["SHORT", "USER"], **(secret or {})}]
        named = [{"name": namespace, **area} for area in areas or []]
        return run_module("secret_leak_scan", {"secrets": secrets, "namespaces": named, **params}, check=check, verbosity=4)

    return run


def found(run: Any) -> set[tuple[str, str, str, int, str, str]]:
    assert not run.failed, run.message
    return {(each["kind"], each["container"], each["path"], each["line"], each["form"], each["part"]) for each in run.result["findings"]}


def assert_nothing_leaked(run: Any, keys: dict[str, str]) -> None:
    """Not through the module itself: no value, no base64 of it, no twelve characters of it, in all that -vvvv prints."""
    for value in (keys["API_KEY"], keys["OTHER"]):
        assert not [value[at : at + 12] for at in range(3, len(value) - 11) if value[at : at + 12] in run.output]
        assert base64.b64encode(value.encode()).decode()[4:20] not in run.output


LOGGED = {
    ("log", "prepare", "", 1, "plain", "whole"),
    ("log", "main", "", 2, "plain", "whole"),
    ("log", "main", "", 3, "base64+0", "whole"),
    ("log", "main", "", 4, "base64+1", "whole"),
    ("log", "main", "", 5, "base64+2", "whole"),
    ("log", "main", "", 6, "plain, URL-encoded", "whole"),
    ("log", "main", "", 7, "plain, split over lines", "whole"),
    ("log", "main", "", 9, "plain, JSON-escaped", "whole"),
    ("log", "main", "", 10, "plain", "end"),
}


@both_edges
def test_every_way_to_print_a_key_is_found_in_every_containers_log(scan: Any, keys: dict[str, str]) -> None:
    run = scan(areas=[{"look_in": ["logs"]}])
    assert run.result["verdict"] == "leaked"
    assert found(run) == LOGGED
    before = [each for each in run.result["findings"] if each["previous"]]
    assert [(each["container"], each["line"], each["count"]) for each in before] == [("main", 2, 1)]
    assert run.result["hits"] == 10
    assert {one["key"] for each in run.result["findings"] for one in each["secrets"]} == {"API_KEY"}
    assert run.result["scanned"]["kinds"]["log"]["places"] == 5
    assert_nothing_leaked(run, keys)


def test_check_mode_does_the_same(scan: Any) -> None:
    run = scan(areas=[{"look_in": ["logs"]}], check=True)
    assert (found(run), run.changed) == (LOGGED, False)


def test_a_pod_that_does_not_leak_is_clean(scan: Any) -> None:
    run = scan(areas=[{"look_in": ["logs", "events"], "selector": "app=quiet"}])
    assert (run.result["verdict"], run.result["hits"], run.result["findings"]) == ("clean", 0, [])
    assert run.result["scanned"]["values"] == 2
    assert run.result["scanned"]["kinds"]["log"] == {"places": 1, "bytes": len("nothing to see\n")}
    assert run.result["scanned"]["kinds"]["event"]["places"] > 0


def test_files_in_pods_are_looked_through_also_behind_a_link(scan: Any, keys: dict[str, str]) -> None:
    run = scan(areas=[{"look_in": [], "selector": "app=leaky", "files": ["/state/linked", "/state/logs/clean.log"]}])
    assert found(run) == {("pod file", "main", "/state/linked/deep/gateway.log", 2, "plain", "whole")}
    assert run.result["scanned"]["kinds"]["pod file"] == {"places": 3, "bytes": 2 * 300_000 + 6 + 23 + len(keys["API_KEY"])}
    assert_nothing_leaked(run, keys)


def test_what_is_written_in_objects_is_found(scan: Any, core: client.CoreV1Api, namespace: str, keys: dict[str, str]) -> None:
    names = [f"o-{uuid.uuid4().hex[:6]}" for _ in range(4)]
    settings = f"one\ntwo\n{base64.b64encode(b'user:' + keys['OTHER'].encode()).decode()}\n"
    core.create_namespaced_config_map(namespace, {"metadata": {"name": names[0]}, "data": {"settings": settings}})
    annotations = {"note": json.dumps({"key": keys["OTHER"]})}
    core.create_namespaced_service(
        namespace, {"metadata": {"name": names[1], "annotations": annotations}, "spec": {"ports": [{"port": 1}]}}
    )
    about = {"kind": "Pod", "name": "quiet", "namespace": namespace}
    core.create_namespaced_event(namespace, {"metadata": {"name": names[2]}, "involvedObject": about, "message": f"no {keys['OTHER']}"})
    applied = {"kubectl.kubernetes.io/last-applied-configuration": base64.b64encode(keys["OTHER"].encode()).decode()}
    core.patch_namespaced_secret("keys", namespace, {"metadata": {"annotations": applied}})
    try:
        run = scan(areas=[{"look_in": ["events", "configmaps", "objects"]}])
        assert {(each["kind"], each["object"], each["path"], each["line"], each["form"]) for each in run.result["findings"]} == {
            ("configmap", f"ConfigMap {namespace}/{names[0]}", "data.settings", 3, "base64+2"),
            ("object", f"Service {namespace}/{names[1]}", "metadata.annotations.note", 1, "plain"),
            ("event", f"Event {namespace}/{names[2]}", "message", 1, "plain"),
            ("object", f"Secret {namespace}/keys", f"metadata.annotations.{next(iter(applied))}", 1, "base64+0"),
        }
        assert_nothing_leaked(run, keys)
    finally:
        core.delete_namespaced_config_map(names[0], namespace)
        core.delete_namespaced_service(names[1], namespace)
        core.delete_namespaced_event(names[2], namespace)
        core.patch_namespaced_secret("keys", namespace, {"metadata": {"annotations": dict.fromkeys(applied)}})


def test_files_of_the_controller_are_looked_through_compressed_ones_too(scan: Any, tmp_path: Path, keys: dict[str, str]) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "report.html").write_text("<p>fine</p>\n" * 1000)
    (folder / "run.log.gz").write_bytes(gzip.compress(b"fine\n" * 99 + keys["OTHER"].encode()))
    (folder / f"{keys['API_KEY']}.txt").write_text("fine")
    run = scan(files=[str(folder)])
    assert found(run) == {
        ("file", "", str(folder / "run.log.gz"), 100, "plain", "whole"),
        ("file", "", "(withheld: a value is in it)", 1, "plain", "whole"),
    }
    assert run.result["scanned"]["kinds"]["file"]["places"] == 3
    assert_nothing_leaked(run, keys)


def test_what_cannot_be_read_is_listed_and_makes_no_pass(scan: Any, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "clean.log").write_text("fine\n")
    os.mkfifo(tmp_path / "pipe")
    run = scan(
        areas=[
            {"look_in": ["logs"], "selector": "app=nowhere"},
            {"look_in": ["logs"], "selector": "app=quiet", "files": ["/no/such/folder"]},
        ],
        files=[str(tmp_path / name) for name in ("clean.log", "pipe", "absent")],
    )
    assert (run.result["verdict"], run.result["hits"]) == ("inconclusive", 0)
    unreadable = {each["place"]: each["why"] for each in run.result["unreadable"]}
    assert unreadable[f"namespace {namespace}"] == "no pod there has the labels app=nowhere"
    assert "No such file" in unreadable[f"Pod {namespace}/quiet, container main, /no/such/folder"]
    assert unreadable[str(tmp_path / "pipe")] == "it is no regular file"
    assert unreadable[str(tmp_path / "absent")] == "there is no such file or folder"
    assert len(unreadable) == 4


def test_a_short_value_is_said_to_be_unscannable_and_not_matched(scan: Any, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("hunter2 is what the administrator said\n")
    run = scan(files=[str(tmp_path / "log")], secret={"exclude": ["USER"]})
    assert run.result["verdict"] == "clean"
    assert [(each["key"], each["why"]) for each in run.result["unscannable"]] == [("SHORT", "has fewer than 12 characters")]
    assert any("key SHORT" in warning for warning in run.warnings)
    assert scan(files=[str(tmp_path / "log")], secret={"exclude": ["SHORT"]}).result["verdict"] == "leaked"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "namespaces and files are empty: say where to look"),
        ({"areas": [{"name": "not-there-at-all"}]}, "there is no namespace not-there-at-all"),
        ({"secret": {"name": "nowhere", "exclude": []}, "areas": [{}]}, "there is no Secret "),
        ({"secret": {"exclude": ["TYPO"]}, "areas": [{}]}, "there is no key TYPO in Secret "),
        ({"secret": {"keys": ["SHORT"], "exclude": []}, "areas": [{}]}, "there is no value to look for; key SHORT of Secret "),
        ({"areas": [{"files": ["logs"]}]}, "'logs' in files of namespace"),
    ],
)
def test_nothing_to_look_for_or_in_is_an_error_and_no_pass(scan: Any, params: dict[str, Any], said: str) -> None:
    run = scan(**params)
    assert run.failed
    assert said in run.message
    assert "verdict" not in run.result


def test_places_that_are_all_empty_are_an_error(scan: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    run = scan(files=[str(tmp_path / "empty.log")])
    assert run.failed
    assert "every place was empty" in run.message
