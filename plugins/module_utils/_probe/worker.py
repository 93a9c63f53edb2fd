# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Asks models by the clock and writes down what came back. Standard library only. One program with sign_in.py, asking.py: load.program().

The spec is one line of JSON: in the environment variable FAILOVER_PROBE_SPEC, else the first line of standard input. No key is in it:
`key_env` names the environment variable that holds one.

    {"loads": [{"name": "chat", "protocol": "openai", "url": "http://litellm.ml.svc.cluster.local:4000/v1", "model": "vllm-qwen",
                "key_env": "LITELLM_MASTER_KEY",     # "": no key
                "email": "",                         # of Open-WebUI: who signs in, by the password that key_env names
                "rate": 5.0,                         # requests a second, by the clock: a slow answer does not slow the load
                "stream": "both",                    # true, false, or "both" by turns
                "prompt_tokens": 20,                 # about; a word counts as one
                "prompt_suffix": "", "max_tokens": 64}],
     "seconds": 120,       # at most: whoever started the worker may be dead
     "timeout_s": 60,      # a client's patience, per request
     "concurrency": 512,   # more are not sent but recorded as `skipped`, which no verdict overlooks
     "grace_s": 10,        # after a stop: as long may requests under way take
     "keep_alive": false, "ca_file": null, "verify": true}

Standard input takes commands, a line each: `stop` (nothing new, what is under way may finish), `abort` (end now), `ping ID` (answered by a
`pong` line: the caller measures the offset of the clocks). Its end is a `stop` when the spec came that way. SIGTERM and SIGINT stop too.

Standard output is JSON lines: record.py says which. A spec that cannot be used is an `error` line and exit code 2; nothing was sent then.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import queue
import re
import resource
import signal
import ssl
import sys
import threading
import time
import urllib.parse
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.asking import HEADERS, Bad, Json, Load

VERSION = 1
#: Characters kept of both ends of an answer, and of an error.
SAID, ERROR = 80, 400
#: No shorter part of a key gives it away, and none this long is in a text by chance.
FRAGMENT = 12


def parts_of(key: str) -> set[str]:
    """Return all that gives a key away: each of its fragments, as it is and as base64 and URLs spell it."""
    forms = {key, urllib.parse.quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("=")} - {""}
    sizes = {form: min(FRAGMENT, len(form)) for form in forms}
    return {form[at : at + size] for form, size in sizes.items() for at in range(len(form) - size + 1)}


def masked(text: str, parts: set[str]) -> str:
    hidden = bytearray(len(text))
    for part in parts:
        at = text.find(part)
        while at >= 0:
            hidden[at : at + len(part)] = b"\x01" * len(part)
            at = text.find(part, at + 1)
    return re.sub("\x00+", "********", "".join("\x00" if hidden[at] else char for at, char in enumerate(text)))


def read_line() -> str:
    """Return a line of standard input, "" at its end. Without a buffer: a thread that waits in one cannot be left behind at the end."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line.decode(errors="replace")


class Worker:
    """The whole run: schedule, heartbeat, commands, output."""

    def __init__(self, spec: Json) -> None:
        try:
            context = ssl.create_default_context(cafile=spec.get("ca_file") or None)
            if spec.get("verify") is False:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.loads = [Load(load, spec, context) for load in spec["loads"]]
            self.seconds, self.limit = float(spec["seconds"]), int(spec.get("concurrency", 512))
            self.grace = float(spec.get("grace_s", 10))
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise Bad(f"the spec cannot be used: {type(error).__name__}: {error}") from None
        self.secret = {part for load in self.loads for key in (load.key, load.password) for part in parts_of(key)}
        self.sent = self.done = 0
        self.under_way: dict[asyncio.Task[None], Json] = {}
        self.why = ""
        # A reader that is slow must not stop the clock: lines wait here.
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def emit(self, kind: str, **fields: Any) -> None:
        self.lines.put(json.dumps({"kind": kind, **fields}, separators=(",", ":")))

    def write(self) -> None:
        while (line := self.lines.get()) is not None:
            try:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            except OSError:  # nobody reads: there is nothing left to do it for
                os._exit(3)

    def read(self, loop: asyncio.AbstractEventLoop, stop_at_end: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop ended meanwhile
            while line := read_line():
                loop.call_soon_threadsafe(self.obey, line.split())
            if stop_at_end:
                loop.call_soon_threadsafe(self.obey, ["stop"])

    def obey(self, words: list[str]) -> None:
        if words[:1] == ["ping"]:
            self.emit("pong", id=" ".join(words[1:]), t_mono=time.monotonic())
        elif words[:1] in (["stop"], ["abort"]):
            self.grace = 0 if words[0] == "abort" else self.grace
            self.why = self.why or words[0]
            self.wake.set()

    async def run(self, stop_at_end: bool) -> None:
        self.wake = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self.read, args=(loop, stop_at_end), daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.obey, ["stop"])
        began = time.monotonic()
        names = [load.spec["name"] for load in self.loads]
        self.emit("hello", t_mono=began, wall=time.time(), version=VERSION, python=sys.version.split()[0], loads=names)
        # One after the other: requests of several loads that start at the same moment would wait for each other here.
        apart = 1 / len(self.loads)
        starts = [(load, began + 0.05 + place * apart * min(1.0, 1 / load.rate)) for place, load in enumerate(self.loads)]
        tasks = [asyncio.ensure_future(self.schedule(load, first)) for load, first in starts]
        tasks.append(asyncio.ensure_future(self.beat(began)))
        try:
            await asyncio.wait_for(self.wake.wait(), self.seconds)
        except asyncio.TimeoutError:  # noqa: UP041 - as above
            self.why = "seconds"
        for task in tasks[:-1]:
            task.cancel()
        ends = time.monotonic() + self.grace
        while self.under_way and time.monotonic() < ends and self.grace:
            await asyncio.wait(list(self.under_way), timeout=min(0.2, max(0.0, ends - time.monotonic())))
        left = [*tasks, *self.under_way]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)
        self.emit("end", t_mono=time.monotonic(), wall=time.time(), sent=self.sent, done=self.done, why=self.why)

    async def beat(self, began: float) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, began + number - time.monotonic()))
            now = time.monotonic()
            state = {"sent": self.sent, "done": self.done, "in_flight": len(self.under_way), "late_s": round(now - began - number, 6)}
            self.emit("beat", t_mono=now, wall=time.time(), **state)
            number = max(number, int(now - began))

    async def schedule(self, load: Load, first: float) -> None:
        """Send each request at its time, whatever became of those before."""
        number = 0
        while True:
            due = first + number / load.rate
            stream = number % 2 == 1 if load.how == "both" else bool(load.how)
            payload = load.request(number, stream)
            # The loop's timer wakes up to a millisecond late; nothing is gained by more than that.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.send(load, number, due, stream, payload)
            number += 1

    def send(self, load: Load, number: int, due: float, stream: bool, payload: bytes) -> None:
        record: Json = {"id": f"{load.spec['name']}-{number}", "load": load.spec["name"], "asked": load.spec["model"], "stream": stream}
        record.update(t_due=due, t_start=time.monotonic(), t_connected=None, t_headers=None, t_first=None, t_end=None, reused=False)
        record.update(status=0, finish="skipped", error="", answer_id="", model="", chunks=0, chars=0, said="")
        record.update(dict.fromkeys(HEADERS.values(), ""))
        self.sent += 1
        if len(self.under_way) >= self.limit:
            record.update(t_end=record["t_start"], error=f"{self.limit} requests are under way, the probe's own limit")
            self.finish(record)
            return
        task = asyncio.ensure_future(load.ask(record, payload))
        self.under_way[task] = record
        task.add_done_callback(self.ended)

    def ended(self, task: asyncio.Task[None]) -> None:
        record = self.under_way.pop(task)
        if not task.cancelled() and (error := task.exception()):
            record.update(finish="no_answer", error=f"{type(error).__name__}: {error}")
        record["t_end"] = record["t_end"] or time.monotonic()
        self.finish(record)

    def finish(self, record: Json) -> None:
        self.done += 1
        said = masked(record.pop("said_", ""), self.secret)
        record["said"] = said if len(said) <= 2 * SAID else f"{said[:SAID]} … {said[-SAID:]}"
        record["error"] = masked(record["error"], self.secret)[:ERROR]
        # What did not happen is left out: a node keeps only so much of a pod's log (10 MiB by default).
        told = {name: round(value, 6) if isinstance(value, float) else value for name, value in record.items() if value not in ("", None)}
        self.emit("request", **told)


def main() -> int:
    given = os.environ.get("FAILOVER_PROBE_SPEC")
    try:
        worker = Worker(json.loads(given or read_line()))
    except (Bad, ValueError) as error:
        sys.stdout.write(json.dumps({"kind": "error", "text": str(error)}) + "\n")
        return 2
    with contextlib.suppress(ValueError, OSError):  # a hang at a high rate holds many connections
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    writer = threading.Thread(target=worker.write, daemon=True)
    writer.start()
    asyncio.run(worker.run(stop_at_end=not given))
    worker.lines.put(None)
    writer.join(30)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
