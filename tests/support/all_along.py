# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that is done again and again while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def all_along(step: Callable[[], None], pause: float) -> Iterator[None]:
    """Do it with that many seconds between, from now until the end of `with`."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(pause):
            step()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
