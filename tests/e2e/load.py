# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a model so many times a second for a while: `load.py URL MODEL SECONDS RATE`, the key in LITELLM_MASTER_KEY.

Runs in a pod, with the standard library only. Prints JSON: how often which status came, from which backend and in how many seconds.
"""

from __future__ import annotations

import collections
import json
import os
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request

URL, MODEL, SECONDS, RATE = sys.argv[1:]
KEY = os.environ["LITELLM_MASTER_KEY"]  # not an argument: those are in the process list, and an exec's in the API server's audit log
STATUS: collections.Counter[str] = collections.Counter()
BACKEND: collections.Counter[str] = collections.Counter()
TIMES: list[float] = []


def ask() -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 16}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{URL}/v1/chat/completions", body, headers)
    start = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.load(answer)["choices"][0]["message"]["content"]
            BACKEND[answer.headers.get("x-litellm-model-api-base", "")] += 1
        STATUS["answered" if content else "empty"] += 1
    except urllib.error.HTTPError as error:
        STATUS[str(error.code)] += 1
    except OSError as error:
        STATUS[str(error)] += 1
    TIMES.append(round(time.monotonic() - start, 3))


end = time.monotonic() + float(SECONDS)
threads = []
while time.monotonic() < end:
    threads.append(threading.Thread(target=ask))
    threads[-1].start()
    time.sleep(1 / float(RATE))
for thread in threads:
    thread.join()
worst = sorted(TIMES, reverse=True)[:5]
print(json.dumps({"status": STATUS, "backend": BACKEND, "median_seconds": statistics.median(TIMES), "worst_seconds": worst}))
