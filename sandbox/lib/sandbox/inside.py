"""Reaching addresses inside the sandbox from this program itself."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from sandbox.box import Box

_CLONE_NEWNET = 0x40000000


def join_network(box: Box) -> None:
    """Move this thread into the sandbox's network, for good: what it connects to from now on is in there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{box.init_pid}/ns/net").open("rb") as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), f"/proc/{box.init_pid}/ns/net")
