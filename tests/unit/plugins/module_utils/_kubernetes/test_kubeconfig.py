# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection adds to the library's reading of a kubeconfig: where it looks, which context it takes, what it never says."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import connection
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.discovery import from_params
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.transport import Transport

CONTEXT = "{current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}], "
CLUSTER = "clusters: [{name: a, cluster: {server: 'https://a'}}], "
API = "client.authentication.k8s.io/v1"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without any kubeconfig, outside of any pod."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def write(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None, name: str = "home") -> str:
    document = {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443", **(cluster or {})}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.write_text(json.dumps(document))
    return str(path)


def plugin(folder: Path, body: str, **entry: Any) -> dict[str, Any]:
    """A user whose credentials a program prints."""
    script = folder / "plugin"
    script.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}\n")
    script.chmod(0o700)
    return {"exec": {"apiVersion": API, "command": "./plugin", **entry}}


def login(**params: Any) -> str | None:
    return Transport(from_params(params)).headers().get("authorization")


def test_a_token_file_lies_beside_the_kubeconfig_and_its_line_end_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t-2\n")
    assert login(kubeconfig=write(tmp_path / "config", {"tokenFile": "token"})) == "Bearer t-2"


def test_acts_as_somebody_else(tmp_path: Path) -> None:
    given = {"kubeconfig": write(tmp_path / "config", {"token": "t", "as": "bob", "as-groups": ["g1", "g2"]})}
    assert from_params(given).headers == (("Impersonate-User", "bob"), ("Impersonate-Group", "g1"), ("Impersonate-Group", "g2"))
    assert Transport(from_params(given)).headers().getlist("Impersonate-Group") == ["g1", "g2"]
    assert from_params({**given, "impersonate_user": "eve"}).headers == (("Impersonate-User", "eve"),)


def test_the_first_files_current_context_wins_and_the_others_add(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", {"token": "t-1"}), write(tmp_path / "two", {"token": "t-2"}, name="away")
    both = f"{one}:{two}:{tmp_path}/missing"
    assert from_params({"kubeconfig": both}).configuration.host == "https://home:6443"
    assert login(kubeconfig=both) == "Bearer t-1"
    assert login(kubeconfig=both, context="away") == "Bearer t-2"


def test_a_plugin_logs_in(tmp_path: Path) -> None:
    body = f'print(json.dumps({{"apiVersion": "{API}", "kind": "ExecCredential", "status": {{"token": "t-" + sys.argv[1]}}}}))'
    assert login(kubeconfig=write(tmp_path / "config", plugin(tmp_path, body, args=["x"]))) == "Bearer t-x"


def test_a_given_option_outlives_the_renewal_of_a_login(tmp_path: Path) -> None:
    body = f"""print(json.dumps({{"apiVersion": "{API}", "kind": "ExecCredential", "status":
    {{"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"}}}}))"""
    connected = from_params({"kubeconfig": write(tmp_path / "config", plugin(tmp_path, body)), "host": "https://direct"})
    Transport(connected).headers()
    assert connected.configuration.host == "https://direct"


@pytest.mark.parametrize(
    "body", ["sys.exit('t-secret')", "print('t-secret')", "print(json.dumps({'kind': 'ExecCredential', 'status': {'other': 't-secret'}}))"]
)
def test_a_plugin_that_fails_is_named_and_what_it_printed_is_not(
    tmp_path: Path, body: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ApiError, match=r"credential plugin \./plugin of .*/config gave no credential") as caught:
        from_params({"kubeconfig": write(tmp_path / "config", plugin(tmp_path, body))})
    assert "t-secret" not in caught.value.message + "".join(capfd.readouterr()) + caplog.text


def test_what_others_log_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from_params({"kubeconfig": write(tmp_path / "config", {"token": "t"})})
    logging.getLogger().error("still there")
    assert "still there" in caplog.text


def test_an_auth_provider_without_a_valid_token_is_told(tmp_path: Path) -> None:
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": "t-secret"}}}
    with pytest.raises(ApiError, match=r"auth-provider of .*/config gave no credential") as caught:
        from_params({"kubeconfig": write(tmp_path / "config", user)})
    assert "t-secret" not in caught.value.message


def test_a_file_that_is_no_yaml_is_named_with_the_line_and_not_its_text(tmp_path: Path) -> None:
    broken = tmp_path / "config"
    broken.write_text("users:\n- {name: x, user: {token: t-secret\n")
    with pytest.raises(ApiError, match="is not YAML, line 3") as caught:
        from_params({"kubeconfig": str(broken)})
    assert "t-secret" not in caught.value.message


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("[t-secret]", "cannot be used"),
        ("{}", "has no current-context"),
        ("{users: [{user: {token: t-secret}}, {user: {token: t-secret}}]}", "cannot be used"),
        ("{current-context: a, contexts: [{name: b, context: {cluster: b}}]}", "has no context 'a' (it has: b)"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}", "Expected object with name b"),
        (CONTEXT + "clusters: [{name: a, cluster: {}}], users: [{name: a, user: {token: t-secret}}]}", "API's address '' is none"),
        (CONTEXT + CLUSTER + "users: [{name: a, user: {exec: {args: [t-secret]}}}]}", "gave no credential"),
        (CONTEXT + CLUSTER + "users: [{name: a, user: {token: t-secret, client-key: gone.key}}]}", "File does not exist: "),
        (CONTEXT + CLUSTER + "users: [{name: a, user: {token: t-secret, client-key-data: t-secret}}]}", "cannot be used"),
        ("{current-context: a, contexts: [{name: a, context: {user: {token: t-secret}}}]}", "Expected key cluster"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_says_where_it_ends_and_quotes_no_credential(tmp_path: Path, document: str, complaint: str) -> None:
    path = tmp_path / "config"
    path.write_text(document)
    with pytest.raises(ApiError) as caught:
        from_params({"kubeconfig": str(path)})
    assert complaint in caught.value.message
    assert "t-secret" not in caught.value.message


def test_looks_where_kubectl_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", {"token": "home"})
    assert login() == "Bearer home"
    monkeypatch.setenv("KUBECONFIG", write(tmp_path / "variable", {"token": "variable"}))
    assert login() == "Bearer variable"
    assert login(kubeconfig=write(tmp_path / "option", {"token": "option"})) == "Bearer option"
    assert login(host="https://direct") is None


def test_a_given_option_wins_over_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    given = {
        "kubeconfig": write(tmp_path / "config", {"token": "t"}),
        "host": "https://direct/",
        "api_key": "k",
        "validate_certs": False,
        "ca_cert": str(tmp_path / "ca.crt"),
    }
    made = from_params(given).configuration
    assert (made.host, made.verify_ssl, made.ssl_ca_cert) == ("https://direct", False, given["ca_cert"])
    assert login(**given) == "Bearer k"


def test_a_file_of_an_option_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=f"{tmp_path}/gone.crt, .*cannot be read"):
        from_params({"host": "https://direct", "ca_cert": f"{tmp_path}/gone.crt"})


def test_without_any_cluster_says_what_to_set() -> None:
    with pytest.raises(ApiError, match="set the option kubeconfig, or host and api_key, or the variable KUBECONFIG"):
        from_params({})


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=f"No kubeconfig at {tmp_path}/nope"):
        from_params({"kubeconfig": f"{tmp_path}/nope"})


def test_without_the_library_says_how_to_install_it_and_for_which_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "kubernetes", None)
    with pytest.raises(ApiError, match=f"{sys.executable} -m pip install 'kubernetes>=37'"):
        from_params({"host": "https://direct"})


def test_too_old_a_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.kubernetes, "__version__", "36.0.2")
    with pytest.raises(ApiError, match=r"kubernetes is 36\.0\.2, which is too old"):
        from_params({"host": "https://direct"})


def test_a_connection_does_not_show_its_credentials_when_printed() -> None:
    assert "secret" not in repr(from_params({"host": "https://x", "api_key": "t-secret"}))


#: What a module does, and what Ansible does for an action plugin.
HERE, FORKED = (
    "load()",
    "child = multiprocessing.get_context('fork').Process(target=load); child.start(); child.join(); assert not child.exitcode",
)


@pytest.mark.parametrize("process", [HERE, FORKED])
def test_no_key_of_the_kubeconfig_is_left_in_a_file(tmp_path: Path, process: str) -> None:
    key = base64.b64encode(b"KEY").decode()
    path = write(tmp_path / "config", {"client-certificate-data": key, "client-key-data": key})
    (tmp_path / "tmp").mkdir()
    program = f"""
import multiprocessing, pathlib
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.discovery import from_params
def load():
    file = pathlib.Path(from_params({{"kubeconfig": {path!r}}}).configuration.key_file)
    assert file.read_text() == "KEY" and file.stat().st_mode & 0o077 == 0
{process}
"""
    where = {"PYTHONPATH": ":".join(filter(None, sys.path)), "TMPDIR": str(tmp_path / "tmp"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=where, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((tmp_path / "tmp").iterdir())
