# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Why the settings cannot be converged."""

from __future__ import annotations

from collections.abc import Iterable


class Trouble(Exception):
    """One sentence that names the thing and the way out; `problems` are all of them where there are several."""

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{message}: {'; '.join(self.problems)}" if self.problems else message)


class NotThereYet(Trouble):
    """What another task makes is not there, which in check mode is no mistake."""
