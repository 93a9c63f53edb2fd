# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re

import pytest
import yaml

from sandbox.errors import SandboxError
from sandbox.images import images, loaded_images, named
from sandbox.paths import CHECKOUT
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


def test_base_images_and_those_that_one_asks_for_are_not_loaded() -> None:
    wanted = {name for name, image in images().items() if not image.base and not image.optional}
    assert {image.name for image in loaded_images()} == wanted


def test_the_programs_that_images_copy_exist() -> None:
    assert {image.program for image in images().values() if image.program} <= set(PROGRAMS)


def test_an_unknown_name_is_refused_with_the_choices() -> None:
    with pytest.raises(SandboxError, match=r"no image 'ollamma'\n.*choose from .*litellm"):
        named("ollamma")


def test_no_lock_file_says_where_packages_come_from() -> None:
    """So that it builds from whatever registry a machine uses."""
    locks = [path for image in images().values() for path in image.folder.iterdir() if "lock" in path.name]
    assert {path.suffix for path in locks} == {".lock", ".json"}
    assert [path for path in locks if re.search(r"https?:|registry", path.read_text())] == []


def test_every_package_of_npm_is_pinned_by_its_hash() -> None:
    lock = json.loads((images()["openclaw"].folder / "package-lock.json").read_text())
    # What is in the bundle of another has no hash of its own.
    packages = {name: package for name, package in lock["packages"].items() if name and not package.get("inBundle")}
    assert len(packages) > 300
    assert [name for name, package in packages.items() if not package.get("integrity", "").startswith("sha512-")] == []


def test_the_image_holds_the_version_that_it_is_named_after() -> None:
    image = images()["openclaw"]
    package = json.loads((image.folder / "package.json").read_text())
    assert package["dependencies"] == {"openclaw": image.reference.rpartition(":")[2]}


@pytest.mark.parametrize("role", ["litellm", "openclaw", "open_webui"])
def test_the_roles_run_the_images_that_the_sandbox_has(role: str) -> None:
    defaults = yaml.safe_load((CHECKOUT / "roles" / role / "defaults" / "main.yml").read_text())
    assert defaults[f"{role}_image"] == images()[role.replace("_", "-")].reference
