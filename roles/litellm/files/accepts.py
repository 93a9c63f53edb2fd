"""Asks LiteLLM through its Service which master keys it takes, and prints as JSON what is wrong and what was seen.

Runs in a pod, with the keys in its environment. The arguments are the Service's address and a JSON object: whether the key of that
variable shall be taken. Behind the Service there may be several pods, and one that leaves: so the answer has to be the right one ten times
in a row, each on a connection of its own, within a minute. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request

IN_A_ROW, PAUSE, PATIENCE = 10, 0.2, 60

url, wanted = sys.argv[1], json.loads(sys.argv[2])
# It is in the cluster, so a proxy for the Internet is not for it.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def asked(key: str) -> tuple[bool | None, str]:
    """Whether the key is taken, None where nobody says so; and what was answered."""
    headers = {"Authorization": f"Bearer {key}", "Connection": "close"}
    try:
        with opener.open(urllib.request.Request(f"{url}/v1/models", headers=headers), timeout=10) as answer:  # noqa: S310
            answer.read()
            return True, str(answer.status)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        # Without a database LiteLLM answers a wrong key with 400.
        refused = error.code in (401, 403) or (error.code == 400 and "no_db_connection" in text)
        return (False if refused else None), str(error.code)
    except OSError as error:
        return None, type(error).__name__


def settled(name: str, taken: bool) -> str:
    """Wait until it is so. Return what was wrong to the end, or nothing."""
    row, until, said = 0, time.monotonic() + PATIENCE, ""
    while row < IN_A_ROW:
        found, said = asked(os.environ[name])
        row = row + 1 if found is taken else 0
        if time.monotonic() > until:
            return said
        time.sleep(PAUSE)
    return ""


problems, lines = [], []
for name, taken in wanted.items():
    if said := settled(name, taken):
        problems.append(f"LiteLLM should {'take' if taken else 'refuse'} the key in {name} and answers {said}")
    else:
        lines.append(f"LiteLLM {'takes' if taken else 'refuses'} the key in {name}")
print(json.dumps({"problems": problems, "lines": lines}))
