# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service of the sandbox on a port of this machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from site_under_test import SANDBOX


@contextmanager
def forwarded(service: str, port: int = 0) -> Iterator[str]:
    """A Service on a port of this machine, any free one for 0, as another client of the network sees it."""
    with subprocess.Popen([*SANDBOX, "forward", service, "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield re.findall(r"http://\S+", process.stdout.readline())[0] + "/"
        finally:
            process.terminate()
