# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Looks at LiteLLM or Open-WebUI once, then at the backends without them, by the worker's own clock. Standard library only, and one program
with sign_in.py, whose argument is:

    {"url": "http://litellm…:4000/v1", "key_env": "LITELLM_MASTER_KEY", "ca_file": null, "verify": true,
     "email": "",         # of Open-WebUI: who signs in, by the password that key_env names
     "targets": [{"name": "service vllm-api", "url": "http://10.96.0.7:8000/v1/models"}], "seconds": 600,
     "counters": [{"tier": "openai-gpt4o", "url": "http://litellm…:4000/metrics/", "metric": "name{label=\"value\"}", "path": []}]}

Lines of JSON:

    look   served: [model], tiers: {model group: [{model, api_base, settings}]}, error     once, after the first reading of each counter
    count  tier, value, t_mono, seconds, error                                            each second; a series that is not there yet is 0
    state  target, up, t_mono, why                                               when one changes, and at the beginning
    clock  id, t_mono                                                            to `ping ID` on standard input

A target is up while it answers in a second with a status below 500 and not as the probe's own stand-in. `t_mono` of an `up: false` is the
moment the failed look began when nobody answered, else the moment of the answer. A look at Open-WebUI tells its `version` too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.sign_in import NotSignedIn, seen

EVERY, PATIENCE = 0.1, 1.0
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
#: What decides how fast LiteLLM leaves a deployment that fails, and for how long.
SETTINGS = ("timeout", "stream_timeout", "first_token_timeout", "gap_timeout", "connect_timeout", "cooldown_time", "max_retries")
Json = dict[str, Any]


def emit(**fields: Any) -> None:
    # One write a line: both programs of a pod may share an output.
    os.write(1, (json.dumps(fields, separators=(",", ":")) + "\n").encode())


def fetch(spec: Json, path: str) -> Any:
    return json.loads(opened(spec, path, 10))


def trusted(spec: Json) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=spec.get("ca_file") or None)
    if spec.get("verify") is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def opened(spec: Json, path: str, timeout: float) -> bytes:
    key = os.environ.get(spec.get("key_env") or "", "").strip()
    request = urllib.request.Request(spec["url"].rstrip("/") + path, headers={"Authorization": f"Bearer {key}"} if key else {})  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted(spec)))
    with opener.open(request, timeout=timeout) as answer:
        return bytes(answer.read())


def look(spec: Json) -> Json:
    """What LiteLLM serves, and which backend stands for which model group; of Open-WebUI, what somebody can choose there."""
    if spec.get("email"):
        return look_as_somebody(spec)
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
            known = {**told, **(each.get("model_info") or {})}
            settings = {name: known[name] for name in SETTINGS if known.get(name) is not None}
            tier = {"model": str(told.get("model") or ""), "api_base": base, "settings": settings}
            tiers.setdefault(str(each["model_name"]), []).append(tier)
    return {"served": served, "tiers": tiers, "error": ""}


def look_as_somebody(spec: Json) -> Json:
    """What stands behind a model Open-WebUI does not tell."""
    try:
        served, version = seen(spec["url"], spec["email"], os.environ.get(spec["key_env"], "").strip(), trusted(spec))
    except NotSignedIn as error:
        return {"served": [], "tiers": {}, "error": str(error)}
    return {"served": served, "tiers": {}, "error": "" if served else "shows no model: does it reach LiteLLM?", "version": version}


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


def read(spec: Json, counter: Json) -> float:
    """Return what a counter says."""
    parts = urllib.parse.urlsplit(counter["url"])
    # LiteLLM's key is for LiteLLM alone, and a password is no key.
    is_key = not spec.get("email") and parts.netloc == urllib.parse.urlsplit(spec["url"]).netloc
    page = opened({**spec, "url": counter["url"], "key_env": spec.get("key_env") if is_key else ""}, "", 2)
    if counter["path"]:
        found: Any = json.loads(page)
        for key in counter["path"]:
            found = found[key]
        return float(found)
    return sum_of(page.decode(errors="replace"), counter["metric"])


def sum_of(page: str, metric: str) -> float:
    """Return the sum of the series of a Prometheus page that have this name and these labels."""
    name, _brace, labels = metric.partition("{")
    wanted = set(LABEL.findall(labels))
    total = 0.0
    for line in page.splitlines():
        if line.startswith((name + "{", name + " ")):
            series, _space, value = line.rpartition(" ")
            total += float(value) if wanted <= set(LABEL.findall(series)) else 0.0
    return total


def count(spec: Json, counter: Json, first: threading.Event) -> None:
    """Read a counter each second."""
    while True:
        began, error, value = time.monotonic(), "", 0.0
        try:
            value = read(spec, counter)
        except urllib.error.HTTPError as failure:
            error = f"status {failure.code}"
        except (OSError, ValueError, LookupError, TypeError) as failure:
            error = f"{type(failure).__name__}: {getattr(failure, 'reason', failure)}"
        emit(
            kind="count", tier=counter["tier"], value=value, t_mono=round(began, 6), seconds=round(time.monotonic() - began, 6), error=error
        )
        first.set()
        time.sleep(max(0.0, began + 1.0 - time.monotonic()))


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
    firsts = []
    for counter in spec.get("counters") or ():
        firsts.append(threading.Event())
        threading.Thread(target=count, args=(spec, counter, firsts[-1]), daemon=True).start()
    loop = asyncio.get_running_loop()
    for first in firsts:
        await loop.run_in_executor(None, first.wait, 10)
    emit(kind="look", **await loop.run_in_executor(None, look, spec))
    await asyncio.wait(tasks or [asyncio.ensure_future(asyncio.sleep(spec["seconds"]))], timeout=spec["seconds"])


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main(json.loads(sys.argv[1])))
    os._exit(0)
