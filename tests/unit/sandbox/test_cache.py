# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.cache import build_once, hash_of


def test_a_result_is_built_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def build(place: Path) -> None:
        calls.append(place)
        place.write_text("whole")

    assert build_once(tmp_path / "result", build)
    assert not build_once(tmp_path / "result", build)
    assert len(calls) == 1
    assert (tmp_path / "result").read_text() == "whole"


def test_an_interrupted_build_leaves_no_result_and_the_next_starts_clean(tmp_path: Path) -> None:
    def interrupted(place: Path) -> None:
        place.mkdir()
        (place / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(tmp_path / "result", interrupted)
    assert not (tmp_path / "result").exists()

    def complete(place: Path) -> None:
        place.mkdir()
        (place / "all").touch()

    assert build_once(tmp_path / "result", complete)
    assert [path.name for path in (tmp_path / "result").iterdir()] == ["all"]


def test_the_hash_depends_on_name_content_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    first = hash_of([file])
    file.write_text("two")
    assert hash_of([file]) != first
    file.write_text("one")
    assert hash_of([file]) == first
    file.chmod(0o755)
    assert hash_of([file]) != first
    assert hash_of([file], "more") != hash_of([file])


def test_the_hash_does_not_depend_on_where_the_checkout_lies(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place / "folder").mkdir(parents=True)
        (tmp_path / place / "folder" / "file").write_text("same")
    assert hash_of([tmp_path / "here" / "folder" / "file"]) == hash_of([tmp_path / "there" / "folder" / "file"])
