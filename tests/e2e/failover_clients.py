# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that wait for their answers through an outage: `failover_clients.py WORK`, the key in LITELLM_MASTER_KEY.

WORK is JSON: `admin`, the address of the upstream simulator's admin API; `faults`, per host what breaks it; `cells`, a list of
`{"url", "model", "stream", "times"}` and perhaps a `prompt`; `controls`, more of them that no fault concerns. Each cell's model is asked
once while all is well. Then the faults are set, and one client per cell, all at once, asks so many times in a row, while the controls
are asked all along.
Runs in a pod, with the standard library only. Prints JSON: `cells`, per cell and request the seconds until the first word of the
answer, what the answer said, and the error of one that got none; `control`, the seconds of the slowest control.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
import urllib.parse
from typing import Any

KEY = os.environ["LITELLM_MASTER_KEY"]
#: Longer than anything that is measured: a client that gives up first would measure itself.
PATIENCE = 60
#: Between the beginnings of two clients: on two cores they would else measure each other.
APART = 0.2
PROMPT = "[tokens=6]"


def connect(url: str) -> http.client.HTTPConnection:
    address = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)


def ask(cell: dict[str, Any]) -> dict[str, Any]:
    body = {"model": cell["model"], "messages": [{"role": "user", "content": cell.get("prompt", PROMPT)}], "stream": cell["stream"]}
    connection = connect(cell["url"])
    began = time.monotonic()
    first = None
    text, error = "", ""
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            error = f"{response.status} {response.read(300)!r}"
        elif not cell["stream"]:
            text = json.load(response)["choices"][0]["message"]["content"]
        else:
            for line in response:
                event = line.decode().removeprefix("data: ").strip()
                if not event.startswith("{"):
                    continue
                data = json.loads(event)
                error = error or str(data.get("error") or "")[:300]
                words = "".join(choice["delta"].get("content") or "" for choice in data.get("choices", ()))
                if words and first is None:
                    first = time.monotonic() - began
                text += words
    except (OSError, http.client.HTTPException) as problem:
        error = repr(problem)
    finally:
        connection.close()
    seconds = time.monotonic() - began if first is None else first
    return {"seconds": round(seconds, 3), "text": text, "error": error}


def measure(cells: list[dict[str, Any]], controls: list[dict[str, Any]]) -> dict[str, Any]:
    results: list[list[dict[str, Any]]] = [[] for _ in cells]
    slowest: list[float] = []
    over = threading.Event()

    def watch(control: dict[str, Any]) -> None:
        while not over.wait(APART):
            slowest.append(ask(control)["seconds"])

    def work(position: int) -> None:
        for _ in range(cells[position]["times"]):
            results[position].append(ask(cells[position]))

    threads = [threading.Thread(target=work, args=(position,)) for position in range(len(cells))]
    watching = [threading.Thread(target=watch, args=(control,)) for control in controls]
    for thread in watching:
        thread.start()
    for thread in threads:
        thread.start()
        time.sleep(APART)
    for thread in threads:
        thread.join()
    over.set()
    for thread in watching:
        thread.join()
    return {"cells": results, "control": max(slowest)}


def wait_until_well(cell: dict[str, Any]) -> None:
    """A pod that is ready is not yet one that its Service leads to."""
    end = time.monotonic() + 20
    while error := ask({**cell, "prompt": PROMPT})["error"]:
        if time.monotonic() > end:
            sys.exit(f"{cell} is not well before any fault: {error}")
        time.sleep(APART)


def break_hosts(admin: str, faults: dict[str, Any]) -> None:
    for host, fault in faults.items():
        connection = connect(admin)
        connection.request("PUT", f"/hosts/{host}/fault", json.dumps(fault), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            sys.exit(f"{host}: {response.status} {response.read()!r}")
        connection.close()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    for control in given["controls"]:
        wait_until_well(control)
    break_hosts(given["admin"], {host: {"kind": "none"} for host in given["faults"]})
    for cell in given["cells"]:
        wait_until_well(cell)
    break_hosts(given["admin"], given["faults"])
    print(json.dumps(measure(given["cells"], given["controls"])))
