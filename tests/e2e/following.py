# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that ask a model all the time, each with the key that it is told: `following.py URL MODEL RATE`.

Reads lines `CLIENT KEY` from its standard input: from then on that client has this key. Each asks RATE times a second, plain and streamed
by turns, on a connection of its own each time. Prints a line `ready CLIENT` at a client's first answer, and at the end of its input JSON:
for each client what came when, as [seconds since 1970 of the beginning, outcome]. Standard library only.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
import urllib.error
import urllib.request

URL, MODEL, RATE = sys.argv[1], sys.argv[2], float(sys.argv[3])
KEYS: dict[str, str] = {}
SEEN: dict[str, list[tuple[float, str]]] = {}
OVER = threading.Event()


def ask(client: str, stream: bool) -> None:
    began, key = time.time(), KEYS[client]
    body = {"model": MODEL, "messages": [{"role": "user", "content": "[tokens=10 rate=20]"}], "stream": stream, "max_tokens": 16}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{URL}/v1/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
        said = "data: [DONE]" in text and '"error"' not in text if stream else json.loads(text)["choices"][0]["message"]["content"]
        outcome = "answered" if said else "empty"
    except urllib.error.HTTPError as error:
        outcome = f"{error.code} {error.read().decode(errors='replace')[:200]}".replace(key, "********")
    except (OSError, ValueError, KeyError) as error:
        outcome = f"{type(error).__name__}: {error}"
    if not SEEN[client]:
        print(f"ready {client}", flush=True)
    SEEN[client].append((began, outcome))


def go_on(client: str) -> None:
    asked = []
    for stream in itertools.cycle((False, True)):
        if OVER.wait(1 / RATE):
            break
        asked.append(threading.Thread(target=ask, args=(client, stream)))
        asked[-1].start()
    for each in asked:
        each.join()


clients = []
for line in sys.stdin:
    name, key = line.split()
    KEYS[name] = key
    if name not in SEEN:
        SEEN[name] = []
        clients.append(threading.Thread(target=go_on, args=(name,)))
        clients[-1].start()
OVER.set()
for each in clients:
    each.join()
print(json.dumps(SEEN))
