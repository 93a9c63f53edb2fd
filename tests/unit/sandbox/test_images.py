# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from sandbox.errors import SandboxError
from sandbox.images import images, loaded_images, named
from sandbox.programs import PROGRAMS


def test_every_image_has_a_folder_and_every_folder_a_line() -> None:
    found = {name: image.folder / "Containerfile" for name, image in images().items()}
    assert [name for name, file in found.items() if not file.is_file()] == []
    folders = {path.name for path in next(iter(found.values())).parents[1].iterdir() if path.is_dir()}
    assert folders == set(found)


def test_an_image_comes_after_what_it_is_made_from() -> None:
    order = list(images())
    for name, image in images().items():
        assert all(order.index(parent.name) < order.index(name) for parent in image.parents)


def test_a_parents_change_is_a_change_of_the_image() -> None:
    assert images()["python"].hash in repr([parent.hash for parent in images()["litellm"].parents])


def test_base_images_are_not_loaded() -> None:
    assert {image.name for image in loaded_images()} == {name for name, image in images().items() if not image.base}


def test_the_programs_that_images_copy_exist() -> None:
    assert {image.program for image in images().values() if image.program} <= set(PROGRAMS)


def test_an_unknown_name_is_refused_with_the_choices() -> None:
    with pytest.raises(SandboxError, match=r"no image 'ollamma'\n.*choose from .*litellm"):
        named("ollamma")
