# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""One request: asked of a model, and all that came back noted in a record. Standard library only: see worker.py."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import time
import urllib.parse
import uuid
from collections.abc import AsyncIterator
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe.sign_in import NotSignedIn, token_of

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

Json = dict[str, Any]


class Bad(Exception):
    """The spec cannot be used."""


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


class OpenWebUI(OpenAI):
    """A message of somebody at the page of Open-WebUI, which LiteLLM is asked for in their place; the answer is LiteLLM's, headers and all.

    The page's own requests name its session, and by that they get what the page gets: the tools that Open-WebUI adds. They name a chat too,
    and the answer comes by a WebSocket then; without one nothing is kept of it, and it comes to whoever has asked.
    """

    path = "/api/chat/completions"

    def body(self, load: Json, prompt: str, stream: bool) -> Json:
        return {**super().body(load, prompt, stream), "session_id": str(uuid.uuid4())}


PROTOCOLS = {"openai": OpenAI(), "open_webui": OpenWebUI()}


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
        self.password, email = "", spec.get("email") or ""
        if email:
            try:
                self.password, self.key = self.key, token_of(spec["url"], email, self.key, context)
            except NotSignedIn as error:
                raise Bad(f"{spec['url']} {error}") from None
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
