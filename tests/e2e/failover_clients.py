# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that wait for their answers through an outage: `failover_clients.py WORK`, the key in LITELLM_MASTER_KEY.

WORK is JSON: `admin`, the address of the upstream simulator's admin API; `faults`, per host what breaks it; `well`, what must be answered
before; `steps`, what is done then, each in a thread of its own; `controls`, asked all along, which no fault concerns.

    {"at": 0.2, "asks": [ASK, …]}                from that second on, one after the other
    {"at": 5, "rate": 20, "times": 120, "ask": ASK}   so many a second, whatever became of those before
    {"at": 3, "call": ["GET", "/counters"]}      the admin API; a third word is a body
    {"at": 9, "get": "http://litellm:4000/metrics/"}

ASK: `{"url", "model", "stream"}` and perhaps `prompt`, `more` fields for the body, `leave_after` seconds, `shown` for the whole answer.
Runs in a pod, with the standard library only. Prints JSON: `steps`, per step what was told, and `control`, the seconds of the slowest
control.
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
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
#: Longer than anything that is measured: a client that gives up first would measure itself.
PATIENCE = 60
#: Between two questions of a control: on two cores it would else measure itself.
APART = 0.2
PROMPT = "[tokens=6]"

Json = dict[str, Any]


def connect(url: str, seconds: float = PATIENCE) -> http.client.HTTPConnection:
    address = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=seconds)


def ask(question: Json) -> Json:
    """Return what a client was told, and after how many seconds: `first` the first word of a stream, `seconds` the end."""
    body = {"model": question["model"], "messages": [{"role": "user", "content": question.get("prompt", PROMPT)}]}
    body |= {"stream": question["stream"], **question.get("more", {})}
    told: Json = {"status": 0, "text": "", "error": "", "first": None, "finish": None, "usage": None}
    leave = question.get("leave_after")
    connection = connect(question["url"], leave or PATIENCE)
    began = time.monotonic()
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), HEADERS)
        response = connection.getresponse()
        told["status"] = response.status
        told["headers"] = sorted(name.lower() for name, _value in response.getheaders() if name.lower().startswith("x-litellm"))
        if response.status != 200:
            told["error"] = response.read(1000).decode(errors="replace")
        elif not question["stream"]:
            note_whole(told, json.load(response), question.get("shown", False))
        else:
            for line in response:
                note_line(told, line.decode().removeprefix("data: ").strip(), time.monotonic() - began)
                if leave and time.monotonic() - began > leave:
                    response.close()
                    break
    except (OSError, http.client.HTTPException) as problem:
        told["error"] = told["error"] or repr(problem)
    finally:
        connection.close()
    told["seconds"] = round(time.monotonic() - began, 3)
    told["wait"] = told["seconds"] if told["first"] is None else told["first"]
    return told


def note_whole(told: Json, answer: Json, shown: bool) -> None:
    told["text"] = answer["choices"][0]["message"]["content"] or ""
    told["usage"], told["finish"] = answer.get("usage"), answer["choices"][0]["finish_reason"]
    if shown:
        told["whole"] = answer


def note_line(told: Json, event: str, now: float) -> None:
    if not event.startswith("{"):
        return
    data = json.loads(event)
    told["error"] = told["error"] or (json.dumps(data["error"])[:1000] if data.get("error") else "")
    told["usage"] = data.get("usage") or told["usage"]
    for choice in data.get("choices", ()):
        words = choice["delta"].get("content") or ""
        if words and told["first"] is None:
            told["first"] = round(now, 3)
        told["text"] += words
        told["finish"] = choice.get("finish_reason") or told["finish"]


def fetch(url: str, method: str, path: str, body: Any = None) -> str:
    connection = connect(url, 20)
    connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if response.status >= 300:
        sys.exit(f"{method} {path}: {response.status} {text}")
    return text


def do(step: Json, admin: str, began: float) -> Any:
    def wait_until(second: float) -> None:
        time.sleep(max(0.0, began + second - time.monotonic()))

    wait_until(step["at"])
    if "call" in step:
        return json.loads(fetch(admin, *step["call"]))
    if "get" in step:
        return fetch(step["get"], "GET", urllib.parse.urlsplit(step["get"]).path)
    if "asks" in step:
        return [ask(each) for each in step["asks"]]
    told: list[Json] = []

    def ask_at(number: int) -> None:
        wait_until(step["at"] + number / step["rate"])
        started = time.monotonic() - began - step["at"]
        told.append({"started": round(started, 3), **ask(step["ask"])})

    threads = [threading.Thread(target=ask_at, args=(number,)) for number in range(step["times"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(told, key=lambda each: float(each["started"]))


def run(steps: list[Json], controls: list[Json], admin: str) -> Json:
    results: list[Any] = [None for _ in steps]
    slowest = [0.0]
    over = threading.Event()

    def watch(control: Json) -> None:
        while not over.wait(APART):
            slowest.append(ask(control)["seconds"])

    def work(position: int, began: float) -> None:
        results[position] = do(steps[position], admin, began)

    began = time.monotonic()
    watching = [threading.Thread(target=watch, args=(control,)) for control in controls]
    threads = [threading.Thread(target=work, args=(position, began)) for position in range(len(steps))]
    for thread in watching + threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    for thread in watching:
        thread.join()
    return {"steps": results, "control": max(slowest)}


def wait_until_well(question: Json) -> None:
    """A pod that is ready is not yet one that its Service leads to."""
    end = time.monotonic() + 60
    while error := ask({**question, "prompt": PROMPT})["error"]:
        if time.monotonic() > end:
            sys.exit(f"{question} is not well before any fault: {error}")
        time.sleep(APART)


def break_hosts(admin: str, faults: Json) -> None:
    for host, fault in faults.items():
        fetch(admin, "PUT", f"/hosts/{host}/fault", fault)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    break_hosts(given["admin"], {host: {"kind": "none"} for host in given["faults"]})
    for each in [*given["controls"], *given["well"]]:
        wait_until_well(each)
    break_hosts(given["admin"], given["faults"])
    print(json.dumps(run(given["steps"], given["controls"], given["admin"])))
