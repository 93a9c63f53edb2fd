# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends ten chat requests a second for a while and prints as JSON how often which status came. Runs in a pod: standard library only."""

from __future__ import annotations

import collections
import json
import sys
import threading
import time
import urllib.error
import urllib.request

URL, KEY, MODEL, SECONDS = sys.argv[1:]
STATUS: collections.Counter[str] = collections.Counter()


def ask() -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 16}).encode()
    request = urllib.request.Request(
        f"{URL}/v1/chat/completions", body, {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.load(answer)["choices"][0]["message"]["content"]
        STATUS["answered" if content else "empty"] += 1
    except urllib.error.HTTPError as error:
        STATUS[str(error.code)] += 1
    except OSError as error:
        STATUS[str(error)] += 1


end = time.monotonic() + float(SECONDS)
threads = []
while time.monotonic() < end:
    threads.append(threading.Thread(target=ask))
    threads[-1].start()
    time.sleep(0.1)
for thread in threads:
    thread.join()
print(json.dumps(STATUS))
