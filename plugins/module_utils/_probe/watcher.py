# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Looks at LiteLLM once, then at the backends without LiteLLM, by the worker's own clock: `python3 watcher.py SPEC`. Standard library only.

    {"url": "http://litellm…:4000/v1", "key_env": "LITELLM_MASTER_KEY", "ca_file": null, "verify": true,
     "targets": [{"name": "service vllm-api", "url": "http://10.96.0.7:8000/v1/models"}], "seconds": 600}

Lines of JSON:

    look   served: [model], tiers: {model group: [{model, api_base}]}, error     once, first
    state  target, up, t_mono, why                                               when one changes, and at the beginning
    clock  id, t_mono                                                            to `ping ID` on standard input

A target is up while it answers in a second with a status below 500 and not as the probe's own stand-in. `t_mono` of an `up: false` is the
moment the failed look began when nobody answered, else the moment of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

EVERY, PATIENCE = 0.1, 1.0
Json = dict[str, Any]


def emit(**fields: Any) -> None:
    # One write a line: both programs of a pod may share an output.
    os.write(1, (json.dumps(fields, separators=(",", ":")) + "\n").encode())


def fetch(spec: Json, path: str) -> Any:
    context = ssl.create_default_context(cafile=spec.get("ca_file") or None)
    if spec.get("verify") is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    key = os.environ.get(spec.get("key_env") or "", "").strip()
    request = urllib.request.Request(spec["url"].rstrip("/") + path, headers={"Authorization": f"Bearer {key}"} if key else {})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)


def look(spec: Json) -> Json:
    """What LiteLLM serves, and which backend stands for which model group."""
    try:
        served = sorted({str(each["id"]) for each in fetch(spec, "/models")["data"]})
    except urllib.error.HTTPError as error:
        return {"served": [], "tiers": {}, "error": f"answered {error.code} when asked for its models"}
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = getattr(error, "reason", error)
        return {"served": [], "tiers": {}, "error": f"cannot be reached: {type(reason).__name__}: {reason}"}
    tiers: dict[str, list[Json]] = {}
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # not every key may ask this
        for each in fetch({**spec, "url": spec["url"].rstrip("/").removesuffix("/v1")}, "/model/info")["data"]:
            told = each.get("litellm_params") or {}
            base = str(told.get("api_base") or "")
            tiers.setdefault(str(each["model_name"]), []).append({"model": str(told.get("model") or ""), "api_base": base})
    return {"served": served, "tiers": tiers, "error": ""}


async def ask(url: str) -> str:
    """Return "" when the backend answers, else why not."""
    parts = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    finally:
        writer.close()
    status = int(head.split()[1])
    if "\r\nx-failover-probe:" in head:
        return "the stand-in answers"
    return "" if status < 500 else f"status {status}"


class Target:
    """One address, asked by the clock whatever became of the looks before."""

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url
        self.up: bool | None = None
        self.newest = 0.0

    async def watch(self) -> None:
        looks: set[asyncio.Task[None]] = set()
        while True:
            task = asyncio.ensure_future(self.once())
            looks.add(task)
            task.add_done_callback(looks.discard)
            await asyncio.sleep(EVERY)

    async def once(self) -> None:
        began = time.monotonic()
        try:
            why = await asyncio.wait_for(ask(self.url), PATIENCE)
            moment = time.monotonic()
        except asyncio.TimeoutError:  # noqa: UP041 - another class before Python 3.11
            why, moment = f"no answer in {PATIENCE:g} s", began
        except (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError) as error:
            why, moment = type(error).__name__, time.monotonic()
        # Looks end in any order: one that began before the newest known says nothing new.
        if began < self.newest:
            return
        self.newest = began
        if self.up != (not why):
            self.up = not why
            emit(kind="state", target=self.name, up=self.up, t_mono=round(moment, 6), why=why)


def listen() -> None:
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["ping"]:
            emit(kind="clock", id=" ".join(words[1:]), t_mono=time.monotonic())


async def main(spec: Json) -> None:
    threading.Thread(target=listen, daemon=True).start()
    targets = [Target(each["name"], each["url"]) for each in spec["targets"]]
    tasks = [asyncio.ensure_future(target.watch()) for target in targets]
    emit(kind="look", **await asyncio.get_running_loop().run_in_executor(None, look, spec))
    await asyncio.wait(tasks or [asyncio.ensure_future(asyncio.sleep(spec["seconds"]))], timeout=spec["seconds"])


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main(json.loads(sys.argv[1])))
    os._exit(0)
