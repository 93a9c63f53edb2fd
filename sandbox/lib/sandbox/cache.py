"""The content cache: what is built is named after the hash of all that went into it, and appears whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

HASH_LENGTH = 16


def hash_of(files: Iterable[Path], *words: str) -> str:
    """Hash file names (without their folder's path), contents and mode, and further words that decide the result."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.parent.name}/{path.name}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for word in words:
        digest.update(f"\0{word}".encode())
    return digest.hexdigest()[:HASH_LENGTH]


def files_below(folder: Path) -> list[Path]:
    """Return all files of a source folder, without what running it leaves behind."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(".pyc")]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for whoever has it: two checkouts may build at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_once(target: Path, build: Callable[[Path], None]) -> bool:
    """Make `target` by `build(place)` unless it is there; tell whether it had to be made.

    `build` writes to a place beside it, which is renamed when complete: an interrupted build leaves no half result.
    """
    if target.exists():
        return False
    with locked(target.parent / f".{target.name}.lock"):
        if target.exists():
            return False
        place = target.parent / f".{target.name}.partial"
        remove(place)
        build(place)
        place.rename(target)
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
