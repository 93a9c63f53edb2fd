# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks two addresses by turns: `overhead_client.py URL MODEL URL MODEL TIMES`, the key of the second in LITELLM_MASTER_KEY.

Runs in a pod, with the standard library only. Each address has one connection that stays open, as the usual clients keep it. Prints
JSON: the seconds of each request, by address.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import urllib.parse

BACKEND, BACKEND_MODEL, LITELLM, LITELLM_MODEL, TIMES = sys.argv[1:]
WARM_UP = 20


class Asked:
    """One address with its open connection."""

    def __init__(self, url: str, model: str, key: str) -> None:
        address = urllib.parse.urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        self._path = f"{address.path}/chat/completions"
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        self._body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1})

    def ask(self) -> float:
        start = time.perf_counter()
        self._connection.request("POST", self._path, self._body, self._headers)
        answer = self._connection.getresponse()
        json.loads(answer.read())["choices"][0]
        return time.perf_counter() - start


backend = Asked(BACKEND, BACKEND_MODEL, "sk-none")
litellm = Asked(LITELLM, LITELLM_MODEL, os.environ["LITELLM_MASTER_KEY"])
pairs = [(backend.ask(), litellm.ask()) for _ in range(WARM_UP + int(TIMES))][WARM_UP:]
print(json.dumps({"backend": [pair[0] for pair in pairs], "litellm": [pair[1] for pair in pairs]}))
