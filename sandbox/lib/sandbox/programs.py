"""The Go programs of the sandbox, built from the Go module proxy with our own go.mod and go.sum."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.cache import build_once, hash_of
from sandbox.errors import SandboxError
from sandbox.paths import SOURCE, cache_root
from sandbox.progress import step
from sandbox.run import last_line, logged, output

KUBERNETES_VERSION = "1.34.4"
COREDNS_VERSION = "1.14.7"
TRAEFIK_VERSION = "3.6.12"
OLLAMA_VERSION = "0.17.4"
COMPOSE_VERSION = "2.40.3"
_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Program:
    """A binary: `folder` below `programs/` has its go.mod, `package` is what is built there.

    `module_files` are files of a dependency to keep beside the binary: name here → (module, path in it).
    `headers` make it a program with C in it, and are what its sources include without having it: path there → (module, path in it).
    A cluster does without one that is `optional`: it is built when it is asked for.
    """

    name: str
    title: str
    package: str = "."
    linker_flags: str = "-s -w"
    links: tuple[str, ...] = ()
    module_files: dict[str, tuple[str, str]] = field(default_factory=dict)
    headers: dict[str, tuple[str, str]] = field(default_factory=dict)
    optional: bool = False

    @property
    def folder(self) -> Path:
        return SOURCE / "programs" / self.name

    @property
    def result(self) -> Path:
        sources = [path for path in self.folder.iterdir() if path.name in ("go.mod", "go.sum") or path.suffix == ".go"]
        return cache_root() / "programs" / f"{self.name}-{hash_of(sources, *self._words)}"

    @property
    def _words(self) -> tuple[str, ...]:
        words = (self.package, self.linker_flags, *self.links, repr(self.module_files))
        return (*words, repr(self.headers)) if self.headers else words

    @property
    def binary(self) -> Path:
        return self.result / self.name


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "kubernetes",
            f"Kubernetes {KUBERNETES_VERSION} with etcd",
            linker_flags=f"-s -w -X {_VERSION_PACKAGE}.gitVersion=v{KUBERNETES_VERSION}"
            f" -X {_VERSION_PACKAGE}.gitMajor=1 -X {_VERSION_PACKAGE}.gitMinor={KUBERNETES_VERSION.split('.')[1]}",
            links=(
                "etcd",
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
                "storage-provisioner",
            ),
        ),
        Program("pause", "the pause program"),
        Program("coredns", f"CoreDNS {COREDNS_VERSION}", linker_flags="-s -w -X github.com/coredns/coredns/coremain.GitCommit=sandbox"),
        Program(
            "traefik",
            f"Traefik {TRAEFIK_VERSION}",
            package="github.com/traefik/traefik/v3/cmd/traefik",
            linker_flags=f"-s -w -X github.com/traefik/traefik/v3/pkg/version.Version={TRAEFIK_VERSION}",
            module_files={
                "crds.yaml": (
                    "github.com/traefik/traefik/v3",
                    "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
                ),
            },
        ),
        Program(
            "ollama",
            f"Ollama {OLLAMA_VERSION}",
            package="github.com/ollama/ollama",
            # With the C++ library in it: the image has none.
            linker_flags=f"-s -w -X github.com/ollama/ollama/version.Version={OLLAMA_VERSION}"
            " -linkmode external -extldflags '-static-libstdc++ -static-libgcc'",
            # Its two other headers are in Debian's packages, see preflight.
            headers={"miniaudio/miniaudio.h": ("github.com/gen2brain/malgo", "miniaudio.h")},
            optional=True,
        ),
        Program(
            "compose",
            f"Docker Compose {COMPOSE_VERSION}",
            package="github.com/docker/compose/v2/cmd",
            linker_flags=f"-s -w -X github.com/docker/compose/v2/internal.Version=v{COMPOSE_VERSION}",
            optional=True,
        ),
    )
}


def go_environment() -> dict[str, str]:
    """Return Go's settings: static binaries, and its caches in our folder, which is how an interrupted build resumes."""
    cache = cache_root() / "go"
    return {
        "CGO_ENABLED": "0",
        "GOCACHE": str(cache / "build"),
        "GOMODCACHE": str(cache / "modules"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
    }


def build(program: Program) -> Path:
    """Return the folder with the program's binary and links, building it when its inputs changed."""

    def make(place: Path) -> None:
        log = cache_root() / "log" / f"build-{program.name}.log"
        place.mkdir(parents=True)
        with step(f"Building {program.title}", lambda: last_line(log)), tempfile.TemporaryDirectory() as include:
            for header, source in program.headers.items():
                target = Path(include) / header
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(_module_file(program, *source), target)
            logged(
                ["go", "build", "-trimpath", "-ldflags", program.linker_flags, "-o", place / program.name, program.package],
                log,
                env=go_environment() | (_c_environment(include) if program.headers else {}),
                cwd=program.folder,
            )
            for name, source in program.module_files.items():
                shutil.copyfile(_module_file(program, *source), place / name)
            for link in program.links:
                (place / link).symlink_to(program.name)

    program.result.parent.mkdir(parents=True, exist_ok=True)
    build_once(program.result, make)
    return program.result


def _module_file(program: Program, module: str, path: str) -> Path:
    # Of a fresh checkout nothing is in the module cache yet.
    output(["go", "-C", program.folder, "mod", "download", module], env=go_environment())
    folder = output(["go", "-C", program.folder, "list", "-m", "-f", "{{.Dir}}", module], env=go_environment()).strip()
    return Path(folder) / path


def _c_environment(include: str) -> dict[str, str]:
    # Not -I: the flags are part of what Go knows a compiled package by, and this folder has another name each time.
    return {"CGO_ENABLED": "1", "CPATH": include, "CGO_CFLAGS": "-O2", "CGO_CXXFLAGS": "-O2"}


def go_is_missing() -> str:
    """Return what is wrong with the Go toolchain for building, or an empty string."""
    if not shutil.which("go"):
        return "the Go toolchain is missing"
    version = output(["go", "env", "GOVERSION"]).strip()
    found = re.match(r"go(\d+)\.(\d+)", version)
    if not found or (int(found[1]), int(found[2])) < (1, 25):
        return f"Go 1.25 or later is needed, `go` is {version or os.fspath(shutil.which('go') or '')}"
    return ""


def missing() -> list[Program]:
    """Return the programs of every sandbox that have yet to be built."""
    return [program for program in needed() if not program.result.exists()]


def needed() -> list[Program]:
    """Return the programs that every sandbox has."""
    return [program for program in PROGRAMS.values() if not program.optional]


def kubectl() -> Path:
    """Return the path of kubectl."""
    path = PROGRAMS["kubernetes"].result / "kubectl"
    if not path.exists():
        raise SandboxError("kubectl is not built yet", "sandbox/sandbox up")
    return path
