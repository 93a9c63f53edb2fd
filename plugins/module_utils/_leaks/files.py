# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Looks through files and folders of the machine that the module runs on."""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from ansible_collections.homelab.llm.plugins.module_utils._leaks.survey import FILE, Place, Survey

_PIECE = 1 << 18
_GZIP = b"\x1f\x8b"


def look(survey: Survey, paths: Iterable[str]) -> None:
    for name in paths:
        path = Path(name)
        if path.is_dir():
            _look_in_folder(survey, path)
        elif path.exists():
            _look_at(survey, path)
        else:
            survey.miss(name, "there is no such file or folder")


def _look_in_folder(survey: Survey, folder: Path) -> None:
    """Links to folders are not followed: they may lead in a circle, or out of what was named."""
    any_file = False

    def missed(error: OSError) -> None:
        survey.miss(str(error.filename), error.strerror or type(error).__name__)

    for parent, folders, names in os.walk(folder, onerror=missed):
        folders.sort()
        for name in sorted(names):
            any_file = True
            _look_at(survey, Path(parent, name))
    if not any_file:
        survey.miss(str(folder), "there is no file in this folder")


def _look_at(survey: Survey, path: Path) -> None:
    try:
        kind = path.stat().st_mode
    except OSError as error:
        survey.miss(str(path), error.strerror or type(error).__name__)
        return
    if not stat.S_ISREG(kind):
        survey.miss(str(path), "it is no regular file")  # to open a pipe would wait for ever
        return
    survey.look(Place(FILE, path=str(path)), _pieces(path))


def _pieces(path: Path) -> Iterator[bytes]:
    """A rotated log is often compressed: it is looked through as what it was."""
    with path.open("rb") as opened:
        packed = opened.read(len(_GZIP)) == _GZIP
        opened.seek(0)
        if not packed:
            yield from _read(opened)
            return
        with gzip.open(opened) as unpacked:
            yield from _read(unpacked)


def _read(opened: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while piece := opened.read(_PIECE):
        yield piece
