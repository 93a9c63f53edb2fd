# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/SETUP.md, to be run as they stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "SETUP.md"

#: What a block of commands needs, which is the second word behind its fence: nothing, a LiteLLM on 8001, or the stack.
NEEDS = ("", "litellm", "stack")


@dataclass(frozen=True)
class Block:
    """Commands that stand together."""

    needs: str
    text: str


def blocks() -> list[Block]:
    """Return all blocks of the page, in its order."""
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for fence, _text in found:
        assert fence.partition(" ")[0] == "sh", f"{fence!r} is no shell: nobody would run it"
        assert fence.partition(" ")[2] in NEEDS, f"{fence!r}: nobody would run it"
    return [Block(fence.partition(" ")[2], text) for fence, text in found]
