# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Lets `finally` run when the process is told to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal told the process to end. No `except Exception` swallows it."""


@contextmanager
def delayed() -> Iterator[None]:
    """Let what is inside come to its end before a signal is heard."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def raised() -> Iterator[None]:
    """Raise Interrupted where the process would end; once what is inside has cleaned up, it ends by that very signal.

    Ansible's workers, which are not told of Ctrl-C by Python, would otherwise end without a `finally`. A second signal is ignored: it
    would interrupt the cleaning up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    # Whoever is told to ignore one, as by nohup, goes on doing so.
    before = {each: handler for each in ENDING if (handler := signal.getsignal(each)) not in (signal.SIG_IGN, None)}

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        received.append(number)
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    for each in before:
        signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if received:
            signal.raise_signal(received[0])
