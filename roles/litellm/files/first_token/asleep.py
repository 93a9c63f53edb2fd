# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that was late because this process slept is tried once more.

LiteLLM is one process with one loop. While that is short of CPU, a clock of a second runs out over connections that the kernel made long
ago, and a request is lost to a backend that is well. Whoever wakes up late cannot tell; so it asks anew, and nothing was sent before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

#: Seconds that a timer may be late in a loop that is awake.
AWAKE = 0.05


async def connected(send: Callable[[], Awaitable[httpx.Response]], seconds: float | None) -> httpx.Response:
    """Return what `send` does, which has these seconds to connect; raises what it raises, if need be the second time."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        return await send()
    except httpx.ConnectTimeout:
        if seconds is None or clock() - began < seconds + AWAKE:
            raise
    return await send()
