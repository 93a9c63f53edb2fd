"""Image stores: containerd's folder with a set of images already imported, made once per set and cloned by hard links for each sandbox.

Hard links are safe: containerd never changes a layer or a blob, it only adds and unlinks; its databases are copied for real.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.cache import build_once, hash_of
from sandbox.images import Image
from sandbox.paths import cache_root
from sandbox.progress import step
from sandbox.run import last_line, logged, output

#: Runs in its own mount and PID namespace, so that nothing of it can be left behind: $1 store, $2 socket, then REMOVE/IMPORT words.
_IMPORT_SCRIPT = r"""
set -eu
store=$1 socket=$2; shift 2
mount --make-rprivate /
cat >"$store/config.toml" <<CONFIG
version = 2
root = "$store/containerd"
state = "$store/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$socket"
CONFIG
containerd --config "$store/config.toml" &
containerd=$!
for _ in $(seq 200); do [ -S "$socket" ] && ctr --address "$socket" version >/dev/null 2>&1 && break; sleep 0.05; done
for reference in $1; do ctr --address "$socket" --namespace k8s.io images remove --sync "$reference"; done
shift
for archive in "$@"; do ctr --address "$socket" --namespace k8s.io images import "$archive"; done
kill "$containerd"
wait "$containerd" || true
rm -rf "$store/state" "$store/config.toml"
"""


def clone(source: Path, target: Path) -> None:
    """Copy containerd's folder by hard links, except for its databases."""
    output(["cp", "--archive", "--link", source, target])
    for database in source.rglob("*.db"):
        copy = target / database.relative_to(source)
        copy.unlink()
        shutil.copy2(database, copy)


def _content(images: Sequence[Image]) -> dict[str, str]:
    return {image.reference: image.archive.name for image in images}


def folder_for(images: Sequence[Image]) -> Path:
    """Return where the store of this set of images is, or will be."""
    return cache_root() / "stores" / hash_of([], output(["containerd", "--version"]), json.dumps(_content(images), sort_keys=True))


def build(images: Sequence[Image]) -> Path:
    """Return a store with the images, made from the most similar one there is."""
    wanted = _content(images)
    target = folder_for(images)

    def make(place: Path) -> None:
        place.mkdir(parents=True)
        have: dict[str, str] = {}
        best = None
        for other in target.parent.glob("*/images.json"):
            content = json.loads(other.read_text())
            if len(content.items() & wanted.items()) > len(have.items() & wanted.items()):
                have, best = content, other.parent
        if best:
            clone(best / "containerd", place / "containerd")
        stale = [reference for reference, archive in have.items() if wanted.get(reference) != archive]
        new = [image for image in images if have.get(image.reference) != image.archive.name]
        log = cache_root() / "log" / "import.log"
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        with step(f"Importing {', '.join(image.name for image in new) or 'no image'} into containerd", lambda: last_line(log)):
            # A socket's path may have 107 characters at most, so not in the cache; the lock on the target makes the name ours alone.
            socket = Path(tempfile.gettempdir(), f"sandbox-import{place.name}.sock")
            try:
                logged(
                    [*namespaces, "sh", "-c", _IMPORT_SCRIPT, "import", place, socket, " ".join(stale), *(image.archive for image in new)],
                    log,
                )
            finally:
                socket.unlink(missing_ok=True)
                Path(f"{socket}.ttrpc").unlink(missing_ok=True)
        (place / "images.json").write_text(json.dumps(wanted))

    target.parent.mkdir(parents=True, exist_ok=True)
    build_once(target, make)
    return target
