# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a model so many times a second for a while: `load.py URL MODEL SECONDS RATE [HOW]`, the key in LITELLM_MASTER_KEY.

HOW is `plain` (the default), `stream`, or `both` by turns. A plain answer counts when it says something, a stream when it also comes to
its end. Runs in a pod, with the standard library only. Prints JSON: how often which outcome came, by how it was asked, from which
backend and in how many seconds.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

URL, MODEL, SECONDS, RATE = sys.argv[1:5]
HOW = {"plain": [False], "stream": [True], "both": [False, True]}[sys.argv[5] if len(sys.argv) > 5 else "plain"]
KEY = os.environ["LITELLM_MASTER_KEY"]  # not an argument: those are in the process list, and an exec's in the API server's audit log
STATUS: collections.Counter[str] = collections.Counter()
STREAMS: collections.Counter[str] = collections.Counter()
BACKEND: collections.Counter[str] = collections.Counter()
TIMES: list[float] = []


def ask(stream: bool) -> None:
    """Ask once. A stream is asked for an answer of two seconds, so that some are on their way whenever something happens."""
    content = "[tokens=40 rate=20]" if stream else "hi"
    question = {"model": MODEL, "messages": [{"role": "user", "content": content}], "stream": stream, "max_tokens": 64}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{URL}/v1/chat/completions", json.dumps(question).encode(), headers)
    start = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            outcome = streamed(answer) if stream else whole(answer)
            BACKEND[answer.headers.get("x-litellm-model-api-base", "")] += 1
    except urllib.error.HTTPError as error:
        outcome = str(error.code)
    except (OSError, ValueError) as error:
        outcome = f"{type(error).__name__}: {error}"
    (STREAMS if stream else STATUS)[outcome] += 1
    TIMES.append(round(time.monotonic() - start, 3))


def whole(answer: Any) -> str:
    return "answered" if json.load(answer)["choices"][0]["message"]["content"] else "empty"


def streamed(answer: Any) -> str:
    words, ended = 0, False
    for line in answer:
        event = line.decode().removeprefix("data: ").strip()
        if event == "[DONE]":
            ended = True
        elif event.startswith("{"):
            data = json.loads(event)
            if data.get("error"):
                return f"error in the stream: {data['error']}"[:200]
            words += sum(1 for choice in data.get("choices", ()) if choice["delta"].get("content"))
    return "answered" if ended and words else f"cut after {words} words"


began = time.monotonic()
threads = []
for number, stream in enumerate(itertools.cycle(HOW)):
    due = began + number / float(RATE)  # by the clock: a pause of 1/RATE between two would ask less often
    if due - began > float(SECONDS):
        break
    time.sleep(max(0.0, due - time.monotonic()))
    threads.append(threading.Thread(target=ask, args=(stream,)))
    threads[-1].start()
for thread in threads:
    thread.join()
worst = sorted(TIMES, reverse=True)[:5]
found = {"status": STATUS, "streams": STREAMS, "backend": BACKEND, "median_seconds": statistics.median(TIMES), "worst_seconds": worst}
print(json.dumps(found))
