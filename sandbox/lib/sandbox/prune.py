"""Removing what no sandbox uses any more from the cache."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox import images, programs, store
from sandbox.box import boxes
from sandbox.cache import remove
from sandbox.paths import cache_root
from sandbox.progress import say


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_blocks * 512
    return sum(file.lstat().st_blocks * 512 for file in path.rglob("*") if file.lstat().st_nlink == 1 or file.is_file())


def prune() -> None:
    """Remove programs, image archives and stores of other versions, and Go's caches, which only a new build needs."""
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
    go = cache_root() / "go"
    if go.exists():
        freed += _size(go)
        remove(go)
    say(f"Removed {freed / 2**30:.1f} GiB from {os.fspath(cache_root())}")
