# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Chromium for all tests of a module; Playwright drives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Browser, running_browser


# Playwright keeps an event loop running in this process, in which nobody else could start one of their own: so it ends with the module.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser
