"""Removing what no sandbox uses any more from the cache."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox import images, programs, store
from sandbox.box import boxes
from sandbox.cache import locked, remove
from sandbox.paths import cache_root
from sandbox.progress import say


def _size(path: Path) -> int:
    """Return the bytes on disk; of a file that is hard-linked n times an nth, for the stores share theirs."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if not file.is_dir()]
    return sum(file.lstat().st_blocks * 512 // file.lstat().st_nlink for file in files)


def prune() -> None:
    """Remove programs, image archives and stores of other versions, what interrupted builds left, and Go's caches."""
    used = {program.result for program in programs.PROGRAMS.values()} | {image.archive for image in images.images().values()}
    used.add(store.folder_for(images.loaded_images()))
    for box in boxes():
        if box.launcher:
            used.update(cache_root() / "programs" / name for name in box.state["version"]["programs"].split(","))
    freed = 0
    for folder in ("programs", "images", "stores"):
        for path in (cache_root() / folder).glob("*"):
            if path not in used and not path.name.startswith("."):
                freed += _size(path)
                remove(path)
    with locked(cache_root() / "storage.lock"):  # an image that is being built just now uses tmp
        for folder in ("go", "tmp"):
            path = cache_root() / folder
            if path.exists():
                freed += _size(path)
                remove(path)
    say(f"Removed {freed / 2**30:.1f} GiB from {os.fspath(cache_root())}")
