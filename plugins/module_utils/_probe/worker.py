# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Asks models by the clock and writes down what came back: `python3 worker.py`. One file, standard library only: it runs in any pod.

The spec is one line of JSON: in the environment variable FAILOVER_PROBE_SPEC, else the first line of standard input. No key is in it:
`key_env` names the environment variable that holds one.

    {"loads": [{"name": "chat", "protocol": "openai", "url": "http://litellm.ml.svc.cluster.local:4000/v1", "model": "vllm-qwen",
                "key_env": "LITELLM_MASTER_KEY",     # "": no key
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
import uuid
from collections.abc import AsyncIterator
from typing import Any

VERSION = 1
#: Headers of an answer that say who gave it, as litellm 1.106.2 sends them. The cache key comes with answers from its cache only.
HEADERS = {
    "x-litellm-model-group": "model_group",
    "x-litellm-model-id": "model_id",
    "x-litellm-model-name": "model_name",
    "x-litellm-model-api-base": "api_base",
    "x-litellm-attempted-fallbacks": "fallbacks",
    "x-litellm-attempted-retries": "retries",
    "x-litellm-cache-key": "cache_key",
    "x-litellm-version": "version",
}
FILLER = "the node is asked for a short answer and this text is only here to give it something to read before it says so "
#: Characters kept of both ends of an answer, and of an error.
SAID, ERROR = 80, 400
#: No shorter part of a key gives it away, and none this long is in a text by chance.
FRAGMENT = 12

Json = dict[str, Any]


class Bad(Exception):
    """The spec cannot be used."""


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


class OpenAI:
    """Chat completions. Another protocol is another class with these methods, named in PROTOCOLS."""

    path = "/chat/completions"

    def body(self, load: Json, prompt: str, stream: bool) -> Json:
        body = {"model": load["model"], "messages": [{"role": "user", "content": prompt}], "stream": stream}
        return {**body, "max_tokens": load.get("max_tokens", 64)}

    def whole(self, data: Any, seen: Json) -> str:
        """Note what a whole answer says; return its text."""
        self._note(data, seen)
        message = (data.get("choices") or [{}])[0].get("message") or {}
        seen["ended"] = True
        return str(message.get("content") or message.get("reasoning_content") or "")

    def event(self, text: str, seen: Json) -> str:
        """Note what an event of a stream says; return its text."""
        if text == "[DONE]":
            seen["ended"] = seen.get("reason") is not None
            return ""
        data = json.loads(text)
        self._note(data, seen)
        said = ""
        for choice in data.get("choices") or ():
            delta = choice.get("delta") or {}
            said += str(delta.get("content") or delta.get("reasoning_content") or "")
            seen["reason"] = choice.get("finish_reason") or seen.get("reason")
        return said

    @staticmethod
    def _note(data: Any, seen: Json) -> None:
        if not isinstance(data, dict):
            raise ValueError("an answer that is no JSON object")
        if data.get("error"):
            seen["error"] = str(data["error"])
        seen["answer_id"] = seen.get("answer_id") or data.get("id") or ""
        seen["model"] = seen.get("model") or data.get("model") or ""


PROTOCOLS = {"openai": OpenAI()}


class Connections:
    """Connections to one load's host: a new one each time, or kept ones."""

    def __init__(self, url: str, context: ssl.SSLContext | None, keep: bool) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Bad(f"'{url}' is no http:// or https:// address")
        self.host, self.prefix = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._at = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self._tls = context if parts.scheme == "https" else None
        self._keep, self._idle = keep, []  # type: ignore[var-annotated]

    async def get(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bool]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer, True
            writer.close()
        reader, writer = await asyncio.open_connection(*self._at, ssl=self._tls, limit=1 << 20)
        return reader, writer, False

    def put(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: bool) -> None:
        if self._keep and whole:
            self._idle.append((reader, writer))
        else:
            writer.close()


async def head_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.strip().lower(): value.strip() for name, _colon, value in pairs}


async def body_of(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """Yield the parts of a body as they come. Raises IncompleteReadError when it ends before its end."""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    elif "content-length" in headers:
        yield await reader.readexactly(int(headers["content-length"]))
    else:
        while part := await reader.read(1 << 16):
            yield part


class Load:
    """One model, asked at one rate."""

    def __init__(self, spec: Json, common: Json, context: ssl.SSLContext) -> None:
        if spec.get("protocol", "openai") not in PROTOCOLS:
            raise Bad(f"load {spec.get('name')}: protocol '{spec.get('protocol')}' is none of {', '.join(PROTOCOLS)}")
        self.spec, self.rate, self.patience = spec, float(spec["rate"]), float(common.get("timeout_s", 60))
        if self.rate <= 0:
            raise Bad(f"load {spec['name']}: rate must be above 0, it is {spec['rate']}")
        self.protocol = PROTOCOLS[spec.get("protocol", "openai")]
        self.connections = Connections(spec["url"], context, bool(common.get("keep_alive")))
        self.keep = "keep-alive" if common.get("keep_alive") else "close"
        self.how, env = spec.get("stream", "both"), spec.get("key_env") or ""
        self.key = os.environ.get(env, "").strip()
        if env and not self.key:
            raise Bad(f"load {spec['name']}: the environment variable {env} holds no key")
        words = FILLER.split()
        count = max(0, int(spec.get("prompt_tokens", 20)) - 2)
        self.filler = " ".join((words * (count // len(words) + 1))[:count])

    def request(self, number: int, stream: bool) -> bytes:
        # What is different comes first: neither LiteLLM's cache nor a model server's prefix cache can know it.
        prompt = f"{uuid.uuid4().hex}-{number}: {self.filler} {self.spec.get('prompt_suffix', '')}".strip()
        body = json.dumps(self.protocol.body(self.spec, prompt, stream)).encode()
        lines = [f"POST {self.connections.prefix}{self.protocol.path} HTTP/1.1", f"Host: {self.connections.host}"]
        lines += ["User-Agent: homelab.llm-failover-probe", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"Connection: {self.keep}"] + [f"Authorization: Bearer {self.key}"] * bool(self.key)
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def ask(self, record: Json, payload: bytes) -> None:
        """Ask once and note in `record` what came back, whatever it was."""
        seen: Json = {}
        record["finish"] = "unfinished"
        try:
            await asyncio.wait_for(self._exchange(record, seen, payload), self.patience)
        except asyncio.TimeoutError:  # noqa: UP041 - another class before Python 3.11
            record.update(finish="timeout", error=f"no end within {self.patience:g} s")
        except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, asyncio.LimitOverrunError) as error:
            if seen.get("ended") or seen.get("error"):  # only what frames the answer is missing: a client has left by then
                self._judge(record, seen)
            else:
                began = 200 <= record["status"] < 300
                record.update(finish="cut" if began else "no_answer", error=f"{type(error).__name__}: {error}")
        finally:
            record["t_end"] = time.monotonic()
            record.update(answer_id=str(seen.get("answer_id", "")), model=str(seen.get("model", "")))

    async def _exchange(self, record: Json, seen: Json, payload: bytes) -> None:
        reader, writer, record["reused"] = await self.connections.get()
        whole = False
        try:
            record["t_connected"] = time.monotonic()
            writer.write(payload)
            record["status"], headers = await head_of(reader)
            record["t_headers"] = time.monotonic()
            record.update({name: headers.get(header, "") for header, name in HEADERS.items()})
            record["api_base"] = re.sub(r"//[^/@]*@", "//", record["api_base"])
            good, parts = 200 <= record["status"] < 300, body_of(reader, headers)
            if good and "text/event-stream" in headers.get("content-type", ""):
                await self._stream(record, seen, parts)
            else:
                text = b"".join([part async for part in parts]).decode(errors="replace")
                if good:
                    self._say(record, self.protocol.whole(json.loads(text), seen))
                else:
                    record.update(finish="status", error=text)
            framed = "content-length" in headers or "transfer-encoding" in headers
            whole = framed and "close" not in headers.get("connection", "").lower()
        finally:
            self.connections.put(reader, writer, whole)
        if record["finish"] != "status":
            self._judge(record, seen)

    async def _stream(self, record: Json, seen: Json, parts: AsyncIterator[bytes]) -> None:
        rest = b""
        async for part in parts:
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    self._say(record, self.protocol.event(line[5:].decode(errors="replace").strip(), seen))

    @staticmethod
    def _say(record: Json, text: str) -> None:
        if text:
            record["t_first"] = record["t_first"] or time.monotonic()
            record.update(chunks=record["chunks"] + 1, chars=record["chars"] + len(text), said_=record.get("said_", "") + text)

    @staticmethod
    def _judge(record: Json, seen: Json) -> None:
        if seen.get("error"):
            record.update(finish="error", error=seen["error"])
        elif not seen.get("ended"):
            record.update(finish="cut", error="the stream has no end")
        else:
            record["finish"] = "done" if record["chunks"] else "empty"


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
        self.secret = {part for load in self.loads for part in parts_of(load.key)}
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
        tasks = [asyncio.ensure_future(self.schedule(load, began + 0.05)) for load in self.loads]
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
