"""A sandbox by name: its folder, who owns it, what runs of it and how it is started and ended."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox import cgroups, manifests, pki, preflight, programs, store
from sandbox.cache import files_below, hash_of, locked, remove
from sandbox.cloud import CLOUD_HOSTS, fresh_keys
from sandbox.errors import SandboxError
from sandbox.images import images, loaded_images
from sandbox.paths import CHECKOUT, SOURCE, cache_root
from sandbox.process import Process

#: Names under this domain lead browsers and curl to loopback (RFC 6761), so web hosts need no entry in /etc/hosts.
WEB_DOMAIN = "homelab.localhost"
KUBECONFIG_USERS = ("admin", "manager", "controller-manager", "scheduler", "kubelet", "proxy")
#: What `down` removes. Certificates, keys, ports and logs stay: a kubeconfig goes on to be right, and a failure can be looked into.
_OF_ONE_RUN = ("containerd", "var", "volumes", "lib", "forwards", "node.json", "components.json", "running.json", "audit-policy.yaml")


def default_name() -> str:
    """Return the name of this checkout's own sandbox: each checkout has one, so none takes another's for its own."""
    chosen = os.environ.get("SANDBOX_NAME")
    return chosen or f"{CHECKOUT.name}-{hashlib.sha256(os.fspath(CHECKOUT).encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Ports:
    """Ports of 127.0.0.1 on this host; 0 means any free one."""

    api: int = 0
    http: int = 0
    https: int = 0


def version() -> dict[str, str]:
    """Return what a running sandbox of this checkout is made of, by part: two that differ are of different versions."""
    return {
        "programs": ",".join(program.result.name for program in programs.needed()),
        "node": hash_of(files_below(SOURCE / "lib"), (SOURCE / "manifests" / "audit-policy.yaml").read_text()),
        "images": json.dumps({image.name: image.hash for image in images().values() if not image.base}),
        "manifests": manifests.source_hash(),
    }


class Box:
    """One sandbox. Reading it never changes anything; `launch` and `end` need its lock."""

    def __init__(self, name: str) -> None:
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise SandboxError(f"{name!r} is not a name for a sandbox", "use letters, digits, '-', '_' and '.'")
        self.name = name
        self.folder = cache_root() / "boxes" / name
        self.kubeconfig = self.folder / "kubeconfigs" / "admin"
        self.manager_kubeconfig = self.folder / "kubeconfigs" / "manager"
        self.web_ca = self.folder / "pki" / "web-ca.crt"
        self.audit_log = self.folder / "log" / "audit.jsonl"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other `up` and `down` of this sandbox waiting."""
        with locked(cache_root() / "boxes" / f".{self.name}.lock"):
            yield

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return {}
        return found

    def _write(self, name: str, document: Any) -> None:
        partial = self.folder / f"{name}.partial"
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(document, indent=1))
        partial.rename(self.folder / name)

    @property
    def state(self) -> dict[str, Any]:
        """What was written when it was launched; empty when it never was."""
        return self._read("running.json")

    @property
    def components(self) -> dict[str, dict[str, Any]]:
        """The node's programs by name: pid inside, started, restarts."""
        return self._read("components.json")

    @property
    def owner(self) -> Path | None:
        """The checkout it belongs to."""
        owner = self._read("owner.json").get("checkout")
        return Path(owner) if owner else None

    @property
    def keys(self) -> dict[str, str]:
        """The throwaway provider keys that the simulator accepts, by variable name."""
        return self._read("keys.json")

    @property
    def launcher(self) -> Process | None:
        """The process whose end is the sandbox's end, when it is alive."""
        state = self.state
        process = Process(**state["launcher"]) if state else None
        return process if process and process.alive else None

    @property
    def ready(self) -> bool:
        """Whether it runs and an `up` came to its end."""
        return bool(self.state.get("ready")) and self.launcher is not None

    @property
    def init_pid(self) -> int:
        """Process 1 of the sandbox, as this host numbers it."""
        launcher = self.launcher
        pid = launcher.child() if launcher else None
        if pid is None:
            raise SandboxError(f"sandbox {self.name} is not running", "sandbox/sandbox up")
        return pid

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Python finds the sandbox's own copy of this code."""
        return {**os.environ, "PYTHONPATH": os.fspath(self.folder / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}

    def refuse_anothers(self, remedy: str) -> None:
        """Raise when it belongs to another checkout, which is still there."""
        owner = self.owner
        if owner and owner != CHECKOUT and owner.exists():
            raise SandboxError(f"sandbox {self.name} belongs to the checkout {owner}", remedy)

    def claim(self) -> None:
        """Make it this checkout's own, or refuse when it is another's."""
        self.refuse_anothers("choose another with --name (or the variable SANDBOX_NAME)")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write("owner.json", {"checkout": os.fspath(CHECKOUT)})

    def _listen(self, asked: Ports) -> dict[str, socket.socket]:
        """Return the listening sockets: the ports asked for, else last time's where they are free, else any."""
        last = self._read("ports.json")
        sockets = {}
        for name, port in asdict(asked).items():
            purpose, option = f"the sandbox's {name}", f"--{name}-port"
            if port:
                sockets[name] = preflight.listen(port, purpose, option)
                continue
            try:
                sockets[name] = preflight.listen(last.get(name, 0), purpose, option)
            except SandboxError:
                sockets[name] = preflight.listen(0, purpose, option)
        self._write("ports.json", {name: listener.getsockname()[1] for name, listener in sockets.items()})
        return sockets

    def launch(self, ports: Ports) -> None:
        """Start its node. All that is needed has been built; nothing of an earlier run is left."""
        sockets = self._listen(ports)
        numbers = {name: listener.getsockname()[1] for name, listener in sockets.items()}
        web_names = [WEB_DOMAIN, f"*.{WEB_DOMAIN}", "localhost"]
        pki.make(self.folder / "pki", [host.name for host in CLOUD_HOSTS], web_names)
        (self.folder / "kubeconfigs").mkdir(exist_ok=True)
        for user in KUBECONFIG_USERS:
            pki.write_kubeconfig(self.folder / "kubeconfigs" / user, self.folder / "pki", user, numbers["api"])
        # Those that it has outlive `down`; a newer version of this code may want more.
        self._write("keys.json", {**fresh_keys(), **self.keys})
        store.clone(store.build(loaded_images()) / "containerd", self.folder / "containerd")
        # Its own copy of this code: the checkout may change or go while it runs.
        shutil.copytree(SOURCE / "lib" / "sandbox", self.folder / "lib" / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(SOURCE / "manifests" / "audit-policy.yaml", self.folder / "audit-policy.yaml")
        (self.folder / "volumes").mkdir()
        remove(self.folder / "log")
        (self.folder / "log").mkdir()
        targets = {
            "api": f"127.0.0.1:{numbers['api']}",
            "http": f"{manifests.TRAEFIK_ADDRESS}:80",
            "https": f"{manifests.TRAEFIK_ADDRESS}:443",
        }
        node = {
            "name": self.name,
            "port": numbers["api"],
            "programs": os.fspath(programs.PROGRAMS["kubernetes"].result),
            "pause_image": images()["pause"].reference,
            "relays": {listener.fileno(): targets[name] for name, listener in sockets.items()},
        }
        self._write("node.json", node)
        namespaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--mount-proc", "--kill-child"]
        with (self.folder / "log" / "node.log").open("wb") as log:
            process = subprocess.Popen(
                ["unshare", *namespaces, sys.executable, "-m", "sandbox.node", self.folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[listener.fileno() for listener in sockets.values()],
                preexec_fn=lambda: cgroups.enter(self.name),
                env=self.environment,
                cwd="/",
            )
        for listener in sockets.values():
            listener.close()
        state = {
            "launcher": asdict(Process.of(process.pid)),
            "started": time.time(),
            "ports": numbers,
            "version": version(),
            "ready": False,
        }
        self._write("running.json", state)

    def mark_ready(self) -> None:
        """Note that `up` came to its end with what this checkout has."""
        self._write("running.json", {**self.state, "ready": True, "version": version()})

    def end(self) -> None:
        """End all processes of it, in whatever state they are, and remove what belongs to this run."""
        launcher = self.launcher
        if launcher and not launcher.kill():
            raise SandboxError(
                f"process {launcher.pid} of sandbox {self.name} does not end", "look at it with `ps`; the kernel may hold it in I/O"
            )
        if left := cgroups.clear(self.name):
            raise SandboxError(
                f"processes {left} of sandbox {self.name} do not end", "look at them with `ps`; the kernel may hold them in I/O"
            )
        for name in _OF_ONE_RUN:
            remove(self.folder / name)

    @property
    def left_over(self) -> bool:
        """Whether something of an earlier run is there though it does not run: it was killed."""
        return self.launcher is None and (bool(self.state) or bool(cgroups.processes(self.name)))

    def enter(self) -> list[str]:
        """Return the words that run a command inside: its network, mounts and processes, but the caller's working directory."""
        return ["nsenter", "--target", str(self.init_pid), "--net", "--mount", "--pid", "--uts", "--ipc"]


def boxes() -> list[Box]:
    """Return all sandboxes of this user, running or not."""
    folder = cache_root() / "boxes"
    return [Box(path.name) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.exists() else []
