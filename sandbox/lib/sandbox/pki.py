"""Certificates of a sandbox: one authority for the cluster's own programs, another for the web hosts that pods and browsers trust."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from sandbox.run import output

NODE_ADDRESS = "192.168.99.1"
API_SERVICE_ADDRESS = "10.96.0.1"
DAYS = "3650"
CONTEXT = "sandbox"


def _make_key(path: Path) -> None:
    output(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])
    path.chmod(0o600)


def _make_authority(folder: Path, name: str, title: str) -> None:
    _make_key(folder / f"{name}.key")
    certificate: list[str | Path] = ["-key", folder / f"{name}.key", "-out", folder / f"{name}.crt", "-days", DAYS, "-subj", f"/CN={title}"]
    output(["openssl", "req", "-x509", "-new", *certificate, "-addext", "keyUsage=critical,keyCertSign,cRLSign"])


def _issue(folder: Path, authority: str, name: str, subject: str, names: Sequence[str] = ()) -> None:
    """Make NAME.key and NAME.crt signed by an authority, for server and client use; `names` as `DNS:…` or `IP:…`."""
    _make_key(folder / f"{name}.key")
    request = output(["openssl", "req", "-new", "-key", folder / f"{name}.key", "-subj", subject])
    extensions = folder / f"{name}.ext"
    lines = ["keyUsage=critical,digitalSignature,keyEncipherment", "extendedKeyUsage=serverAuth,clientAuth", "basicConstraints=CA:FALSE"]
    extensions.write_text("\n".join(lines + ([f"subjectAltName={','.join(names)}"] if names else [])) + "\n")
    signer: list[str | Path] = ["-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key", "-days", DAYS]
    output(["openssl", "x509", "-req", *signer, "-extfile", extensions, "-out", folder / f"{name}.crt"], stdin=request)
    extensions.unlink()


def make(folder: Path, cloud_hosts: Sequence[str], web_names: Sequence[str]) -> None:
    """Make all certificates of a sandbox in `folder`, once: they outlive `down`, so a kubeconfig and a trusted CA stay valid."""
    if (folder / "complete").exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_authority(folder, "cluster-ca", "sandbox cluster CA")
    _make_authority(folder, "web-ca", "sandbox web CA")
    _make_key(folder / "service-account.key")
    output(["openssl", "pkey", "-in", folder / "service-account.key", "-pubout", "-out", folder / "service-account.pub"])
    services = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"]
    addresses = ["127.0.0.1", API_SERVICE_ADDRESS, NODE_ADDRESS]
    _issue(
        folder,
        "cluster-ca",
        "apiserver",
        "/CN=kube-apiserver",
        [*(f"IP:{address}" for address in addresses), *(f"DNS:{name}" for name in services)],
    )
    _issue(folder, "cluster-ca", "admin", "/O=system:masters/CN=sandbox-admin")
    # The API server's own identity towards kubelets: not the admin's, so that the audit log tells them apart.
    _issue(folder, "cluster-ca", "kubelet-client", "/O=system:masters/CN=system:kube-apiserver-kubelet-client")
    _issue(folder, "cluster-ca", "manager", "/O=system:masters/CN=system:sandbox")
    _issue(folder, "cluster-ca", "controller-manager", "/CN=system:kube-controller-manager")
    _issue(folder, "cluster-ca", "scheduler", "/CN=system:kube-scheduler")
    _issue(folder, "cluster-ca", "proxy", "/CN=system:kube-proxy")
    _issue(folder, "cluster-ca", "kubelet", "/O=system:nodes/CN=system:node:sandbox", [f"IP:{NODE_ADDRESS}", "DNS:sandbox"])
    _issue(folder, "web-ca", "cloud", "/CN=upstream simulator", [f"DNS:{host}" for host in cloud_hosts])
    _issue(folder, "web-ca", "web", "/CN=sandbox web", [*(f"DNS:{name}" for name in web_names), "IP:127.0.0.1"])
    (folder / "complete").touch()


def write_kubeconfig(path: Path, folder: Path, user: str, port: int) -> None:
    """Write a kubeconfig that holds its certificates itself, so that it can be copied anywhere."""

    def inline(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": CONTEXT, "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": inline("cluster-ca.crt")}}
        ],
        "users": [{"name": CONTEXT, "user": {"client-certificate-data": inline(f"{user}.crt"), "client-key-data": inline(f"{user}.key")}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1) + "\n")  # JSON is YAML
