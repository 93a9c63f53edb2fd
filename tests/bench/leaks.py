# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""100 MB of logs looked through for thirty keys, on one core: ours for all forms, the rival for the same fragments as fixed strings.

Fails when ours takes ten seconds of a processor, or memory that grows with the logs.
"""

from __future__ import annotations

import json
import os
import random
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import report

from ansible_collections.homelab.llm.plugins.module_utils._leaks.matcher import Matcher
from ansible_collections.homelab.llm.plugins.module_utils._leaks.needle import needles_of
from ansible_collections.homelab.llm.plugins.module_utils._leaks.stream import look_through

SIZE = 100_000_000
KEYS = 30
PIECE = 1 << 16
#: What the project allows itself: seconds of a processor, and KiB of memory beyond what a tenth of the logs needs.
LIMIT, GROWTH = 10, 4096


def write_logs(path: Path, key: bytes) -> None:
    """Lines as a proxy writes them, with quotes, escapes and identifiers; the key is in the very last."""
    chance = random.Random(21)  # noqa: S311
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(3000)]
    block = "".join(_line(chance, words) for _ in range(40_000)).encode()
    with path.open("wb") as opened:
        for _ in range(SIZE // len(block)):
            opened.write(block)
        opened.write(block[: SIZE % len(block)] + b"\n" + key + b"\n")


def _line(chance: random.Random, words: list[str]) -> str:
    text = " ".join(chance.choices(words, k=12))
    if chance.random() < 0.3:
        text = json.dumps({"said": text, "id": f"{chance.getrandbits(128):032x}"})
    line = {"time": f"2026-11-21T10:{chance.randint(10, 59)}:{chance.randint(10, 59)}", "level": "INFO", "text": text}
    return json.dumps({**line, "path": f"/v1/models?after=m%2F{chance.randint(0, 99)}"}) + "\n"


def pieces_of(path: Path, size: int = SIZE + PIECE) -> Iterator[bytes]:
    with path.open("rb") as opened:
        while opened.tell() < size and (piece := opened.read(PIECE)):
            yield piece


def peak() -> int:
    """KiB that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bench() -> None:
    keys = [f"sk-{secrets.token_urlsafe(36)}".encode() for _ in range(KEYS)]
    with tempfile.TemporaryDirectory() as name:
        logs, patterns = Path(name) / "logs", Path(name) / "patterns"
        write_logs(logs, keys[7])
        needles = [needle for number, key in enumerate(keys) for needle in needles_of(number, key)]
        fragments = {needle.text[at : at + needle.least] for needle in needles for at in range(len(needle.text) - needle.least + 1)}
        patterns.write_bytes(b"\n".join(sorted(fragments)) + b"\n")
        look_through(Matcher(needles), pieces_of(logs, SIZE // 10))
        start, tenth = time.process_time(), peak()
        found = look_through(Matcher(needles), pieces_of(logs))
        ours, grown = time.process_time() - start, peak() - tenth
        if [*found.found] != [(7, "plain", "whole")]:
            sys.exit(f"The leak in the last line was not found, or something else was: {[*found.found]}")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        rival = ["grep", "--fixed-strings", "--count", "--text", f"--file={patterns}", str(logs)]
        done = subprocess.run(rival, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The key may have a - or _ in it, which only ours takes for what base64 makes of it; its other fragments are there.
    if done.stdout.strip() != "1":
        sys.exit(f"grep found {done.stdout.strip()} lines: {done.stderr}")
    theirs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report(f"{KEYS} keys in 100 MB of logs, all forms (CPU)", ours, f"grep -F -f with {len(fragments):,} fragments", theirs)
    print(f"{'':<58} limit {LIMIT} s; 90 MB more took {grown / 1024:.1f} MiB more of memory", flush=True)
    if ours >= LIMIT or grown > GROWTH:
        sys.exit(f"The limits are {LIMIT} s and {GROWTH // 1024} MiB.")
