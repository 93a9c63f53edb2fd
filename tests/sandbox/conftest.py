# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the sandbox itself, on sandboxes of their own that run beside the one the other tests use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sandbox_cli import Sandbox, traces


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox that tests may look at and use, but not end."""
    box = Sandbox(f"t-shared-{os.getpid()}")
    try:
        box.run("up")
        yield box
    finally:
        box.run("down")


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """A sandbox of one test, not started yet, that may be maltreated."""
    box = Sandbox(f"t-own-{os.getpid()}")
    yield box
    box.run("down")
    assert not traces(box.name)["processes"]
