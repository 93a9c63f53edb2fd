"""A container engine for as long as it is used: Docker from Debian's packages, with Compose, in namespaces and a folder of its own.

It is not installed: its package is only unpacked, so nothing of it is on PATH or starts by itself. In its network there is no way out but
what it makes itself; whoever is to reach its ports runs there too, with the words of `enter`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox import cgroups, images, preflight, programs
from sandbox.cache import build_once, hash_of, remove
from sandbox.errors import SandboxError
from sandbox.paths import SOURCE, cache_root
from sandbox.process import Process
from sandbox.progress import step
from sandbox.run import logged, output, tail

#: What dockerd calls, by the Debian package that brings it.
RUN_PACKAGES = {name: preflight.RUN_PACKAGES[name] for name in ("containerd", "runc", "iptables", "ip", "unshare", "nsenter")}
START_SECONDS = 60.0
#: Where the registry with the tiny model listens in the engine's network, and the name by which containers find it.
REGISTRY_PORT = 5000
MODEL = f"http://registry.sandbox:{REGISTRY_PORT}/library/neural-chat"

_NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_SCRIPT = """\
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
exec dockerd --data-root "$0/data" --exec-root "$0/exec" --pidfile "$0/pid" --host "unix://$0/docker.sock" --cgroup-parent "$1"
"""


def docker() -> Path:
    """Return the folder with Debian's Docker unpacked, fetching it when it is not there. As root on Debian."""
    if not shutil.which("apt-get"):
        raise SandboxError("Docker is taken from Debian's packages, and there is no apt-get here", "use a Docker or Podman of your own")

    def make(place: Path) -> None:
        log = cache_root() / "log" / "docker.log"
        with step("Fetching Docker from Debian's packages"), tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            logged(["apt-get", "update"], log)
            logged(["apt-get", "download", "docker.io"], log, cwd=Path(folder))
            for package in Path(folder).glob("*.deb"):
                logged(["dpkg-deb", "--extract", package, place], log)
            plugins = place / "config" / "cli-plugins"
            plugins.mkdir(parents=True)
            shutil.copy2(programs.build(programs.PROGRAMS["compose"]) / "compose", plugins / "docker-compose")

    target = cache_root() / "programs" / f"docker-{hash_of([], programs.PROGRAMS['compose'].result.name)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    build_once(target, make)
    return target


class Engine:
    """A running engine. It ends, with every container, when this process's `with` block does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = docker()
        self.process: subprocess.Popen[bytes] | None = None
        self._group = f"/homelab-llm-engine-{os.getpid()}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program in the engine's namespaces needs to find it."""
        path = [self.program / "usr" / "bin", self.program / "usr" / "sbin", os.environ["PATH"]]
        return {
            "DOCKER_HOST": f"unix://{self.folder / 'docker.sock'}",
            "DOCKER_CONFIG": str(self.program / "config"),
            "PATH": os.pathsep.join(str(part) for part in path),
        }

    @property
    def enter(self) -> list[str]:
        """The words in front of a command that is to run in its network and among its processes."""
        first = Process.of(self.process.pid).child() if self.process else None
        if first is None:
            raise SandboxError(f"the container engine does not run:\n{tail(self.folder / 'dockerd.log')}")
        return ["nsenter", f"--target={first}", "--net", "--mount", "--pid", f"--wdns={Path.cwd()}"]

    def docker(self, *words: str | Path) -> str:
        """Run docker and return what it says."""
        return output([*self.enter, "docker", *words], env=self.environment)

    def start(self) -> None:
        """Start it and wait until it answers."""
        preflight.install(RUN_PACKAGES)
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "dockerd.log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                ["unshare", *_NAMESPACES, "sh", "-ec", _SCRIPT, str(self.folder), self._group],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (self.folder / "docker.sock").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SandboxError(f"the container engine did not start:\n{tail(log)}", f"its log is {log}")
            time.sleep(0.1)
        self.docker("version")

    def load(self, image: images.Image) -> None:
        """Load an image of images.toml under the name it is published by, building it when need be."""
        archive = built(image)
        with step(f"Loading {image.reference} into the container engine"), tempfile.TemporaryDirectory(dir=self.folder) as folder:
            copy = Path(folder) / "image.tar"
            as_docker_archive(archive, copy)
            self.docker("load", "--input", copy)

    def end(self) -> None:
        """End it with all its containers. Their mounts end with its mount namespace."""
        if self.process:
            self.process.kill()
            self.process.wait()
        for hierarchy in cgroups.hierarchies():
            group = hierarchy.mount / self._group.lstrip("/")
            deadline = time.monotonic() + 10
            while group.exists() and time.monotonic() < deadline:
                for folder in (*sorted(group.rglob("*/"), key=lambda path: -len(path.parts)), group):
                    with contextlib.suppress(OSError):  # until its last process is gone
                        folder.rmdir()
                time.sleep(0.05)
        remove(self.folder)


def built(image: images.Image) -> Path:
    """Return an image's archive, building it, its program and what these need when it is not there."""
    if not image.archive.exists():
        program = programs.PROGRAMS.get(image.program)
        preflight.check(building=True)
        if program and not program.result.exists():
            preflight.install(preflight.C_PACKAGES if program.headers else {})
            programs.build(program)
    return images.build(image)


def as_docker_archive(archive: Path, target: Path) -> None:
    """Copy an OCI archive and add the table of contents that `docker load` of before version 25 looks for."""

    def blob(descriptor: Mapping[str, Any]) -> str:
        return "blobs/" + str(descriptor["digest"]).replace(":", "/")

    shutil.copyfile(archive, target)
    with tarfile.open(archive) as source:
        entry = _document(source, "index.json")["manifests"][0]
        manifest = _document(source, blob(entry))
    contents = {
        "Config": blob(manifest["config"]),
        "RepoTags": [entry["annotations"]["org.opencontainers.image.ref.name"]],
        "Layers": [blob(layer) for layer in manifest["layers"]],
    }
    data = json.dumps([contents]).encode()
    with tarfile.open(target, "a") as added:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(data)
        added.addfile(member, io.BytesIO(data))


def _document(source: tarfile.TarFile, name: str) -> Any:
    member = source.extractfile(name)
    if member is None:
        raise SandboxError(f"{source.name!r} is no OCI archive: {name} in it is no file")
    return json.load(member)


@contextlib.contextmanager
def running(folder: Path, names: Sequence[str] = ("litellm", "ollama")) -> Iterator[Engine]:
    """Run an engine with these images in it for the length of a block."""
    engine = Engine(folder)
    try:
        with step("Starting a container engine"):
            engine.start()
        for name in names:
            engine.load(images.named(name))
        yield engine
    finally:
        engine.end()


def with_model(engine: Engine, command: Sequence[str]) -> int:
    """Run a command where the engine's ports are, with the registry of the tiny model beside it, and return how it ended."""
    registry = subprocess.Popen(
        [*engine.enter, shutil.which("python3") or "python3", "-m", "sandbox.model_registry", "--port", str(REGISTRY_PORT)],
        env={**os.environ, "PYTHONPATH": str(SOURCE / "lib")},
        stdin=subprocess.DEVNULL,
    )
    environment = {**os.environ, **engine.environment, "SANDBOX_MODEL": MODEL}
    try:
        return subprocess.run([*engine.enter, *command], env=environment, check=False).returncode
    finally:
        registry.kill()
        registry.wait()
