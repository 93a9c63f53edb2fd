# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user of a running sandbox relies on."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sandbox_cli import SANDBOX, Sandbox

IMAGE = "docker.io/sandbox/upstream:1"  # it has a Python and runs under Pod Security `restricted`
RESTRICTED = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}


def namespace(name: str) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(name: str, where: str, script: str, claim: str = "") -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "python",
        "image": IMAGE,
        "command": ["python3", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec: dict[str, Any] = {"restartPolicy": "Never", "securityContext": RESTRICTED, "containers": [container]}
    if claim:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": where}, "spec": spec}


def log_of(box: Sandbox, name: str, where: str) -> str:
    """Wait until a pod has succeeded; return its log."""
    box.kubectl("wait", "--namespace", where, "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=180s")
    return box.kubectl("logs", "--namespace", where, name)


def test_all_that_it_needs_is_ready(sandbox: Sandbox) -> None:
    status = sandbox.status
    assert status["state"] == "ready"
    assert [one for one in status["pods"] if not one["ready"]] == []
    assert all(part["restarts"] == 0 for part in status["components"].values())


def test_a_second_up_changes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.status["components"]
    assert "up already" in sandbox.run("up").stderr
    assert sandbox.status["components"] == before


def test_the_kubeconfig_works_on_the_host_and_inside(sandbox: Sandbox) -> None:
    kubeconfig = sandbox.run("kubeconfig").stdout.strip()
    kubectl = Path(json.loads((Path(sandbox.status["folder"]) / "node.json").read_text())["programs"]) / "kubectl"
    words = [os.fspath(kubectl), "--kubeconfig", kubeconfig, "get", "nodes", "--output=name"]
    assert subprocess.check_output(words, text=True) == "node/sandbox\n"
    assert sandbox.run("exec", "--", *words).stdout == "node/sandbox\n"
    assert Path(kubeconfig).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("address", ["192.0.2.1", "10.255.255.1"])
def test_no_packet_leaves_the_node(sandbox: Sandbox, address: str) -> None:
    script = f"import socket; socket.create_connection(({address!r}, 80), 3)"
    done = sandbox.run("exec", "--", "python3", "-c", script, check=False)
    assert done.returncode == 1
    assert "Network is unreachable" in done.stderr or "No route to host" in done.stderr or "timed out" in done.stderr
    devices = sandbox.run("exec", "--", "ip", "-o", "link").stdout
    assert "eth0" not in [line.split(": ")[1].split("@")[0] for line in devices.splitlines()]


def test_no_packet_leaves_a_pod_and_unknown_names_fail_at_once(sandbox: Sandbox) -> None:
    script = (
        "import socket, time\n"
        "try:\n  socket.create_connection(('192.0.2.1', 80), 5); print('CONNECTED')\n"
        "except OSError as error:\n  print('refused', error)\n"
        "start = time.monotonic()\n"
        "try:\n  socket.getaddrinfo('example.com', 443); print('RESOLVED')\n"
        "except OSError as error:\n  print('unknown', time.monotonic() - start < 5)  # as long as one question is waited for\n"
    )
    sandbox.apply(namespace("isolation"), pod("probe", "isolation", script))
    log = log_of(sandbox, "probe", "isolation")
    assert log.startswith("refused")
    assert log.endswith("unknown True\n")


def test_production_names_lead_to_the_simulator_with_a_certificate_the_ca_signed(sandbox: Sandbox) -> None:
    ca = dict(line.removeprefix("export ").split("=", 1) for line in sandbox.run("env").stdout.splitlines())["SANDBOX_CA_FILE"]
    script = (
        "import ssl, sys, urllib.request, urllib.error\n"
        "context = ssl.create_default_context(cafile=sys.argv[1])\n"
        "for host, path in (('api.openai.com', '/v1/models'), ('ollama.com', '/api/tags'), ('api.anthropic.com', '/v1/models')):\n"
        "  try:\n    urllib.request.urlopen(f'https://{host}{path}', context=context, timeout=30); print(host, 200)\n"
        "  except urllib.error.HTTPError as error:\n    print(host, error.code)\n"
    )
    answers = sandbox.run("exec", "--", "python3", "-c", script, ca).stdout.splitlines()
    assert [line.split()[0] for line in answers] == ["api.openai.com", "ollama.com", "api.anthropic.com"]
    assert all(line.split()[1] in ("200", "401") for line in answers)


def test_volumes_survive_a_pod(sandbox: Sandbox) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "volumes"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "sandbox", "resources": {"requests": {"storage": "1Mi"}}},
    }
    word = secrets.token_hex(8)
    sandbox.apply(namespace("volumes"), claim, pod("writer", "volumes", f"open('/data/word', 'w').write({word!r})", claim="data"))
    log_of(sandbox, "writer", "volumes")
    sandbox.kubectl("delete", "pod", "writer", "--namespace", "volumes")
    sandbox.apply(pod("reader", "volumes", "print(open('/data/word').read())", claim="data"))
    assert log_of(sandbox, "reader", "volumes") == f"{word}\n"


def test_pod_security_is_enforced(sandbox: Sandbox) -> None:
    sandbox.apply(namespace("security"))
    body = pod("root", "security", "")
    body["spec"]["securityContext"] = {}
    done = sandbox.run("kubectl", "apply", "--filename", "-", stdin=json.dumps(body), check=False)
    assert 'violates PodSecurity "restricted:latest"' in done.stderr


def test_the_audit_tells_who_wrote_what_and_never_a_body(sandbox: Sandbox) -> None:
    value = secrets.token_hex(12)
    sandbox.apply(namespace("audited"))
    sandbox.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "audited"}, "stringData": {"KEY": value}})
    sandbox.kubectl("annotate", "secret", "key", "--namespace", "audited", "seen=1", "--dry-run=server")
    writes = json.loads(sandbox.run("audit", "--since", "5m", "--json").stdout)
    about = [(write["user"], write["verb"], write["dry_run"]) for write in writes if write["object"] == "audited/secrets/key"]
    assert about == [("sandbox-admin", "create", False)] or about == [("sandbox-admin", "patch", False)]
    with_dry_runs = json.loads(sandbox.run("audit", "--since", "5m", "--json", "--dry-run").stdout)
    assert [write["verb"] for write in with_dry_runs if write["dry_run"] and write["object"] == "audited/secrets/key"] == ["patch"]
    assert value not in (Path(sandbox.status["folder"]) / "log" / "audit.jsonl").read_text()


def test_forward_makes_a_service_reachable_from_the_host(sandbox: Sandbox) -> None:
    with sandbox.start("forward", "ml/vllm-api:8000") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{url}/v1/models", timeout=30) as answer:  # noqa: S310  (its own loopback address)
            assert json.load(answer)["object"] == "list"
        assert {"url": url, "target": "ml/vllm-api"} in sandbox.status["forwards"]
        process.send_signal(signal.SIGINT)
    assert sandbox.status["forwards"] == []


def test_traefik_answers_on_the_hosts_loopback_with_the_ca_s_certificate(sandbox: Sandbox) -> None:
    status = sandbox.status
    port = status["addresses"]["web_tls"].rpartition(":")[2]
    ca = Path(status["folder"]) / "pki" / "web-ca.crt"
    # curl, like a browser and unlike Python, knows that names under localhost are this machine.
    words = [
        "curl",
        "--silent",
        "--cacert",
        ca,
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        f"https://anything.homelab.localhost:{port}/",
    ]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stdout == "404"


def test_an_image_can_be_loaded(sandbox: Sandbox) -> None:
    sandbox.run("load", "pause")
    images = sandbox.run(
        "exec", "--", "ctr", "--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io", "images", "ls", "-q"
    ).stdout
    assert "docker.io/sandbox/pause:1" in images


def test_an_unknown_image_is_named_with_the_choices(sandbox: Sandbox) -> None:
    done = sandbox.run("load", "nonsense", check=False)
    assert done.returncode == 1
    assert "'nonsense'" in done.stderr
    assert "litellm" in done.stderr


def test_another_checkouts_sandbox_is_neither_taken_nor_ended(sandbox: Sandbox, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "sandbox").mkdir(parents=True)
    for name in ("sandbox", "lib", "images", "manifests", "programs", "upstream"):
        subprocess.run(["cp", "--archive", SANDBOX.parent / name, other / "sandbox"], check=True)
    stranger = Sandbox(sandbox.name, other / "sandbox" / "sandbox")
    for verb in ("up", "down"):
        done = stranger.run(verb, check=False)
        assert done.returncode == 1
        assert f"belongs to the checkout {SANDBOX.parents[1]}" in done.stderr
    assert sandbox.status["state"] == "ready"


def test_a_port_in_use_is_named_before_anything_starts(own_sandbox: Sandbox, sandbox: Sandbox) -> None:
    port = sandbox.status["addresses"]["api"].rpartition(":")[2]
    done = own_sandbox.run("up", "--api-port", port, check=False)
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1" in done.stderr
    assert "--api-port" in done.stderr
    assert own_sandbox.status["state"] == "down"


def test_a_user_who_is_not_root_is_told_so() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folder is closed to other users
        subprocess.run(["cp", "--archive", SANDBOX.parent, folder], check=True)
        Path(folder).chmod(0o755)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", f"{folder}/sandbox/sandbox", "up"]
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env={"SANDBOX_CACHE": f"{folder}/cache", "PATH": "/usr/bin:/bin"}
        )
    assert done.returncode == 1
    assert "needs root" in done.stderr
