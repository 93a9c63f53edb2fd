# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else who asks, ten times a second on one open connection: `probe_witness.py URL MODEL SECONDS`. Prints their seconds."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import urllib.parse

URL, MODEL, SECONDS = sys.argv[1:]
RATE = 10

address = urllib.parse.urlsplit(URL)
connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('LITELLM_MASTER_KEY', '')}"}
taken = []
begin = time.monotonic()
for number in range(int(float(SECONDS) * RATE)):
    time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": f"witness {number}"}], "max_tokens": 1})
    start = time.perf_counter()
    connection.request("POST", f"{address.path}/chat/completions", body, headers)
    json.loads(connection.getresponse().read())["choices"][0]
    taken.append(time.perf_counter() - start)
print(json.dumps({"seconds": taken}))
