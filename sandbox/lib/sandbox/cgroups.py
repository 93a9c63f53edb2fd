"""The sandbox's own control groups: everything it runs lives below one group per hierarchy, so nothing of it can be missed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.paths import cache_root

PARENT = "homelab-llm-sandbox"
INIT_GROUP = "init"
#: What a sandbox gets of a busy processor against one process of the host: in it is a whole cluster, whose probes have time limits.
SHARE = 4


@dataclass(frozen=True)
class Hierarchy:
    """A mounted control group hierarchy: its mount point, and `options` such as `cpu,cpuacct` for version 1."""

    mount: Path
    version: int
    options: str

    @property
    def controllers(self) -> list[str]:
        return self.options.split(",")


def _unescape(path: str) -> str:
    return path.replace("\\040", " ")


def hierarchies() -> list[Hierarchy]:
    """Return the hierarchies mounted on this host, from /proc/self/mountinfo (proc(5) has its format)."""
    found: dict[Path, Hierarchy] = {}
    ignored = {"rw", "ro", "xattr", "noprefix", "clone_children"}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ")[:3]
        mount = Path(_unescape(fields.split(" ")[4]))
        if kind == "cgroup2":
            found[mount] = Hierarchy(mount, 2, "")
        elif kind == "cgroup":
            found[mount] = Hierarchy(
                mount, 1, ",".join(word for word in options.split(",") if word not in ignored and not word.startswith("release_agent"))
            )
    return list(found.values())


def group_of(hierarchy: Hierarchy, box: str) -> Path:
    """Return the folder of a sandbox's group in a hierarchy. Sandboxes of one name in two caches are two sandboxes."""
    cache = hashlib.sha256(os.fsencode(cache_root())).hexdigest()[:6]
    return hierarchy.mount / PARENT / f"{box}-{cache}"


def enter(box: str) -> None:
    """Make the sandbox's groups and move this process into them; what it starts is born there."""
    for hierarchy in hierarchies():
        group = group_of(hierarchy, box)
        group.mkdir(parents=True, exist_ok=True)
        if "cpuset" in hierarchy.controllers:  # version 1: an empty cpuset takes no process
            for level in (group.parent, group):
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if not (level / name).read_text().strip():
                        (level / name).write_text((level.parent / name).read_text())
        for level in (group.parent, group):
            for name, usual in (("cpu.shares", 1024), ("cpu.weight", 100)):  # version 1 and 2, where this hierarchy has the controller
                if (level / name).exists():
                    (level / name).write_text(str(SHARE * usual))
        (group / "cgroup.procs").write_text(str(os.getpid()))


def remount() -> None:
    """Inside a new cgroup namespace: make /sys/fs/cgroup show the sandbox's group as the root, as kubelet expects.

    With version 2 the processes have to leave the root first: only leaves may hold processes once controllers are on.
    """
    from sandbox.mounts import mount  # the host side does not need it

    found = hierarchies()
    top = Path("/sys/fs/cgroup")
    if any(hierarchy.mount == top for hierarchy in found):
        mount("cgroup2", top, "cgroup2")
        (top / INIT_GROUP).mkdir(exist_ok=True)
        for pid in (top / "cgroup.procs").read_text().split():
            (top / INIT_GROUP / "cgroup.procs").write_text(pid)
        controllers = (top / "cgroup.controllers").read_text().split()
        (top / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
        return
    mount("tmpfs", top, "tmpfs", options="mode=755")
    for hierarchy in found:
        hierarchy.mount.mkdir(parents=True, exist_ok=True)
        if hierarchy.version == 2:
            mount("cgroup2", hierarchy.mount, "cgroup2")
        else:
            mount("cgroup", hierarchy.mount, "cgroup", options=hierarchy.options)
    for hierarchy in found:  # the usual names of joint controllers: cpu -> cpu,cpuacct
        for name in hierarchy.controllers if hierarchy.version == 1 else ():
            link = hierarchy.mount.parent / name
            if not link.exists() and not name.startswith("name="):
                link.symlink_to(hierarchy.mount.name)


def _groups_below(group: Path) -> list[Path]:
    return sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True)


def processes(box: str) -> set[int]:
    """Return the processes in the sandbox's groups, as this host numbers them."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        group = group_of(hierarchy, box)
        for level in [*_groups_below(group), group] if group.exists() else []:
            try:
                found.update(int(pid) for pid in (level / "cgroup.procs").read_text().split())
            except OSError:  # a group that went away meanwhile
                continue
    return found - {0, os.getpid()}


def clear(box: str, seconds: float = 10.0) -> list[int]:
    """End what is left in the sandbox's groups and remove them; return the processes that would not end."""
    deadline = time.monotonic() + seconds
    while left := processes(box):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return sorted(left)
        time.sleep(0.02)
    for hierarchy in hierarchies():
        group = group_of(hierarchy, box)
        for level in [*_groups_below(group), group] if group.exists() else []:
            _remove_group(level, deadline)
        with contextlib.suppress(OSError):  # another sandbox is in it
            group.parent.rmdir()
    return []


def _remove_group(group: Path, deadline: float) -> None:
    # The kernel takes a moment to notice that a group's last process is gone.
    while True:
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
