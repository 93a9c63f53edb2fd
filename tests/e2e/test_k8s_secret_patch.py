# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_secret_patch on a real API server."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edges import both_edges
from kubernetes import client

from secret_under_test import Secret, key

pytestmark = pytest.mark.cluster


@pytest.fixture
def patch(run_module: Any, secret: Secret) -> Any:
    """Runs the module on the test's Secret."""

    def run(*, check: bool = False, diff: bool = False, verbosity: int = 0, **params: Any) -> Any:
        given = {"namespace": secret.namespace, "name": secret.name, **params}
        return run_module("k8s_secret_patch", given, check=check, diff=diff, verbosity=verbosity)

    return run


@both_edges
def test_create_again_modify_again_remove_again_each_with_and_without_check_mode(patch: Any, secret: Secret) -> None:
    first, second, other = key(), key(), key()
    steps: list[tuple[dict[str, Any], str, dict[str, str]]] = [
        ({"data": {"A": first, "OTHER": other}}, "added", {"A": first, "OTHER": other}),
        ({"data": {"A": second}}, "updated", {"A": second, "OTHER": other}),
        ({"absent": ["A"]}, "removed", {"OTHER": other}),
    ]
    for params, action, expected in steps:
        before = secret.values
        foretold = patch(check=True, **params)
        assert (foretold.changed, foretold.result["actions"]["A"]) == (True, action)
        assert secret.values == before
        done = patch(**params)
        assert (done.changed, done.result["actions"]) == (True, foretold.result["actions"])
        assert secret.values == expected
        version = secret.version
        for check in (True, False):
            again = patch(check=check, **params)
            assert (again.changed, again.result["actions"]["A"]) == (False, "unchanged")
            assert again.result["checksum"] == done.result["checksum"]
        assert secret.version == version
        assert not done.warnings


def test_a_key_is_generated_once_and_kept(patch: Any, secret: Secret) -> None:
    params = {"generate": [{"key": "MASTER", "prefix": "sk-", "length": 40}]}
    made = patch(**params)
    assert made.result["actions"] == {"MASTER": "generated"}
    value = (secret.values or {})["MASTER"]
    assert re.fullmatch(r"sk-[A-Za-z0-9]{40}", value)
    assert value not in made.output
    assert not patch(**params).changed
    assert secret.values == {"MASTER": value}


def test_check_mode_does_not_foretell_what_is_not_made_yet(patch: Any) -> None:
    foretold = patch(check=True, generate=[{"key": "MASTER"}])
    assert foretold.result["fingerprints"] == {"MASTER": None}
    assert foretold.result["created"] is True


def test_a_value_is_copied_from_another_secret_without_being_shown(patch: Any, secret: Secret, core: client.CoreV1Api) -> None:
    source, value = Secret(core, secret.namespace, f"{secret.name}-source"), key()
    source.create({"FROM": value, "OTHER": key()})
    copied = patch(copy=[{"key": "TO", "from_name": source.name, "from_key": "FROM"}], diff=True, verbosity=4)
    assert secret.values == {"TO": value}
    assert_hidden(value, copied)


def test_a_source_that_is_not_there_is_named_before_anything_changes(patch: Any, secret: Secret) -> None:
    failed = patch(data={"A": key()}, copy=[{"key": "TO", "from_name": "nowhere", "from_namespace": "default", "from_key": "FROM"}])
    assert (
        f"{secret.namespace}/{secret.name} was not touched: TO cannot be copied: there is no key FROM of Secret default/nowhere"
        in failed.message
    )
    assert secret.values is None


def test_check_mode_takes_a_source_that_is_not_there_for_one_that_is_still_to_be_made(patch: Any, secret: Secret) -> None:
    entries = [{"key": "TO", "from_name": "nowhere", "from_namespace": "default", "from_key": "FROM"}]
    foretold = patch(check=True, copy=entries)
    assert (foretold.result["actions"], foretold.result["fingerprints"]) == ({"TO": "added"}, {"TO": None})
    assert "There is no Secret default/nowhere yet" in foretold.warnings[0]
    secret.create({"TO": key()})
    assert patch(check=True, copy=entries).result["fingerprints"] == {"TO": None}


def test_keys_it_was_not_told_about_stay_whoever_writes_them(patch: Any, secret: Secret) -> None:
    theirs = key()
    secret.create({"THEIRS": theirs, "A": key()})
    patch(data={"B": "our-own-value"}, absent=["A"])
    assert secret.values == {"THEIRS": theirs, "B": "our-own-value"}


@pytest.mark.parametrize("value", ["", "  ", "changeme", "sk-your-key-here", "{{ '{{' }} api_key }}"])
def test_nothing_and_placeholders_are_refused_and_nothing_is_sent(patch: Any, secret: Secret, value: str) -> None:
    failed = patch(data={"GOOD": key(), "BAD": value})
    assert failed.failed
    assert re.search(r"was not touched: BAD is (empty|a placeholder)", failed.message)
    assert secret.values is None


def test_a_placeholder_is_right_where_it_was_allowed(patch: Any, secret: Secret) -> None:
    params = {"data": {"VLLM_API_KEY": "sk-none"}, "allow_placeholders": ["VLLM_API_KEY"], "required": ["VLLM_API_KEY"]}
    assert patch(**params).changed
    assert not patch(**params).changed
    assert secret.values == {"VLLM_API_KEY": "sk-none"}


def test_what_is_not_set_is_left_alone_and_the_checksum_does_not_mind(patch: Any) -> None:
    value = key()
    full = patch(data={"A": value, "B": key()})
    partial = patch(data={"A": value, "B": ""}, skip_empty=True)
    assert not partial.changed
    assert partial.result["checksum"] == full.result["checksum"]


def test_the_checksum_follows_another_writers_change_of_a_required_key(patch: Any, secret: Secret) -> None:
    secret.create({"A": key()})
    before = patch(required=["A"]).result["checksum"]
    secret.delete()
    secret.create({"A": key()})
    assert patch(required=["A"]).result["checksum"] != before


def test_a_required_key_that_is_missing_stops_everything(patch: Any, secret: Secret) -> None:
    failed = patch(data={"A": key()}, required=["A", "B"])
    assert failed.message.endswith("was not touched: B is required and not there")
    assert secret.values is None


def test_a_secret_that_must_be_there_is_not_made(patch: Any, secret: Secret) -> None:
    assert "it is not there and create is false" in patch(data={"A": key()}, create=False).message
    assert secret.values is None


def test_nothing_to_put_in_it_makes_no_secret(patch: Any, secret: Secret) -> None:
    assert not patch(absent=["A"]).changed
    assert secret.values is None


def test_an_immutable_secret_is_told_as_such(patch: Any, secret: Secret) -> None:
    value = key()
    secret.create({"A": value}, immutable=True)
    assert "it is immutable and A would change: delete it first, or name another Secret" in patch(data={"A": key()}).message
    assert not patch(data={"A": value}).failed


def test_a_secret_of_another_type_is_not_patched_by_accident(patch: Any, secret: Secret) -> None:
    secret.create({"username": "u", "password": "p"}, type="kubernetes.io/basic-auth")
    assert "its type is kubernetes.io/basic-auth, not Opaque" in patch(data={"A": key()}).message
    assert patch(data={"A": key()}, type="kubernetes.io/basic-auth").changed


def test_more_than_a_secret_can_hold_is_refused(patch: Any, secret: Secret) -> None:
    secret.create({"A": "x" * (1024 * 1024 - 10)})
    assert "more than the 1048576 a Secret can hold" in patch(data={"B": key()}).message


def test_what_kubernetes_would_call_no_key_is_refused_with_all_that_is_wrong(patch: Any) -> None:
    failed = patch(data={"a b": key(), "C": 7})
    assert len(failed.result["problems"]) == 2


def test_a_missing_namespace_is_an_error_and_in_check_mode_a_warning(patch: Any) -> None:
    failed = patch(namespace="not-there", data={"A": key()})
    assert "there is no namespace not-there. Create it first" in failed.message
    foretold = patch(namespace="not-there", data={"A": key()}, check=True)
    assert foretold.changed
    assert "There is no namespace not-there yet" in foretold.warnings[0]


def test_a_cluster_that_is_not_there_is_named(patch: Any) -> None:
    failed = patch(data={"A": key()}, host="https://127.0.0.1:9")
    assert "The Kubernetes API at https://127.0.0.1:9 cannot be reached: Connection refused" in failed.message


@pytest.fixture
def nobody(core: client.CoreV1Api, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a service account without any right."""
    name = f"nobody-{secrets.token_hex(4)}"
    core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})
    token = core.create_namespaced_service_account_token(name, namespace, {"spec": {"expirationSeconds": 600}}).status.token
    host = core.api_client.configuration
    document = {
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": host.host, "certificate-authority": host.ssl_ca_cert}}],
        "users": [{"name": "x", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    path = tmp_path / "nobody"
    path.write_text(json.dumps(document))
    yield path
    core.delete_namespaced_service_account(name, namespace)


def test_who_may_not_is_told_what_is_missing(patch: Any, nobody: Path) -> None:
    value = key()
    failed = patch(data={"A": value}, kubeconfig=str(nobody), verbosity=4)
    assert re.search(r'User "system:serviceaccount:\S+" cannot get resource "secrets"', failed.message)
    assert "takes the verbs get, patch and, while it is not there, create on secrets" in failed.message
    assert_hidden(value, failed)


def assert_hidden(value: str, run: Any) -> None:
    """Nothing that was printed or returned holds the value, its base64 in any alignment, or a long part of either."""
    told = run.output + json.dumps(run.result)
    forms = [value, *(base64.b64encode(b"x" * shift + value.encode()).decode()[4 : -4 if shift else None] for shift in range(3))]
    parts = {form[start : start + 12] for form in forms for start in range(len(form) - 11)}
    assert not [part for part in parts if part in told]


@both_edges
@pytest.mark.parametrize("check", [True, False])
def test_the_most_talkative_run_shows_no_value(patch: Any, secret: Secret, check: bool) -> None:
    old, new, kept = key(), key(), key()
    secret.create({"A": old, "KEPT": kept, "PIN": "4711"})
    run = patch(data={"A": new, "PIN": "0815", "KEPT": kept}, generate=[{"key": "M"}], diff=True, verbosity=4, check=check)
    for value in (old, new, kept):
        assert_hidden(value, run)
    assert '"0815"' not in run.output
    assert re.search(r"-A: [0-9a-f]{12}\n(.*\n)*\+A: [0-9a-f]{12}\n", run.output)


@both_edges
def test_a_failing_run_shows_no_value_either(patch: Any) -> None:
    value = key()
    assert_hidden(value, patch(data={"A": value, "B": "changeme", "C": value + "\n"}, diff=True, verbosity=4))


def test_a_client_certificate_a_token_and_a_credential_plugin_all_log_in(
    run_module: Any, secret: Secret, nobody: Path, tmp_path: Path, core: client.CoreV1Api
) -> None:
    # The certificate is the sandbox's own kubeconfig, which every other test uses. The token's and the plugin's owner may nothing,
    # and is known by name: that is the proof that the API server took the credentials.
    token = json.loads(nobody.read_text())["users"][0]["user"]["token"]
    plugin = tmp_path / "plugin"
    version = "client.authentication.k8s.io/v1"
    plugin.write_text(f'#!/bin/sh\necho \'{{"apiVersion": "{version}", "kind": "ExecCredential", "status": {{"token": "{token}"}}}}\'\n')
    plugin.chmod(0o700)
    document = json.loads(nobody.read_text())
    document["users"][0]["user"] = {"exec": {"apiVersion": version, "command": str(plugin)}}
    (tmp_path / "exec").write_text(json.dumps(document))
    where = {"host": core.api_client.configuration.host, "ca_cert": core.api_client.configuration.ssl_ca_cert, "api_key": token}
    for login in ({"kubeconfig": str(tmp_path / "exec")}, {"kubeconfig": "", **where}):
        run = run_module("k8s_secret_patch", {"namespace": secret.namespace, "name": secret.name, "absent": ["A"], **login}, verbosity=4)
        assert 'User "system:serviceaccount:' in run.message
        assert token not in run.output
