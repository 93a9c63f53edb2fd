# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A backend that is ill: stands behind a Service in the real one's place. `python3 stand_in.py SPEC`; standard library only.

    {"kind": hang | reset | cut | status | slow | refuse | blackhole, "ports": [8000], "where": before_headers | after_headers | mid_stream,
     "after_tokens": 2, "status": 503, "body": "", "first_token": 10.0, "tokens_per_second": 1.0}

`refuse` listens nowhere, `blackhole` lets no connection come about: with a full accept queue Linux drops every further SYN. All others
answer what is no POST with 503 and the header X-Failover-Probe: KIND, so that whoever looks knows the stand-in from the backend.
Prints `listening` once it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import sys
import uuid
from typing import Any

TOKENS = 64
#: More than an accept queue of one takes.
FILLERS = 8
Json = dict[str, Any]


class StandIn:
    """Serves one fault."""

    def __init__(self, spec: Json) -> None:
        self.spec = spec
        self.kind, self.where = spec["kind"], spec.get("where", "before_headers")
        self.held: list[socket.socket] = []

    async def serve(self) -> None:
        if self.kind == "blackhole":
            for port in self.spec["ports"]:
                self.fall_silent(port)
        elif self.kind != "refuse":
            for port in self.spec["ports"]:
                await asyncio.start_server(self.handle, "0.0.0.0", port, backlog=1024)  # noqa: S104 - a pod's only address
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        over = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
        await over.wait()

    def fall_silent(self, port: int) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", port))  # noqa: S104
        listener.listen(0)
        self.held.append(listener)
        for _filler in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            self.held.append(filler)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                await self.answer(head, body, writer)
        with contextlib.suppress(OSError):
            writer.close()

    async def answer(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        if not head.startswith("POST "):
            self.send(writer, 503, json.dumps({"error": f"the failover probe's {self.kind}"}), f"X-Failover-Probe: {self.kind}\r\n")
        elif self.kind == "status":
            text = self.spec.get("body") or json.dumps({"error": {"message": "made by the failover probe", "type": "failover_probe"}})
            self.send(writer, self.spec.get("status", 503), text)
        elif self.kind in ("hang", "reset") and self.where == "before_headers":
            await self.end(writer)
        else:
            asked = json.loads(body or b"{}")
            ollama = "/api/" in head.partition(" HTTP")[0]
            streams = bool(asked.get("stream", ollama))
            await (self.stream if streams else self.whole)(asked, ollama, writer)
        await writer.drain()

    @staticmethod
    def send(writer: asyncio.StreamWriter, status: int, text: str, more: str = "") -> None:
        body = text.encode()
        head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    async def end(self, writer: asyncio.StreamWriter) -> None:
        """What the fault is at its moment: silence, a reset, or the end of the connection."""
        if self.kind == "hang":
            await asyncio.Event().wait()
        if self.kind == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            await writer.drain()
        writer.transport.abort() if self.kind == "reset" else writer.close()
        raise EOFError

    async def stream(self, asked: Json, ollama: bool, writer: asyncio.StreamWriter) -> None:
        kind = "application/x-ndjson" if ollama else "text/event-stream"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        await writer.drain()
        if self.where == "after_headers" and self.kind == "hang":
            await self.end(writer)
        count = TOKENS if self.kind == "slow" else int(self.spec.get("after_tokens", 2))
        if self.kind == "slow":
            await asyncio.sleep(self.spec.get("first_token", 10.0))
        for number in range(min(count, int(asked.get("max_tokens") or TOKENS))):
            if number and self.kind == "slow":
                await asyncio.sleep(1 / self.spec.get("tokens_per_second", 1.0))
            self.chunk(writer, self.piece(asked, ollama, f"word{number} ", None))
            await writer.drain()
        if self.kind != "slow":
            await self.end(writer)
        self.chunk(writer, self.piece(asked, ollama, "", "stop") + ("" if ollama else "data: [DONE]\n\n"))
        writer.write(b"0\r\n\r\n")

    async def whole(self, asked: Json, ollama: bool, writer: asyncio.StreamWriter) -> None:
        count = min(TOKENS, int(asked.get("max_tokens") or TOKENS))
        if self.kind == "slow":
            await asyncio.sleep(self.spec.get("first_token", 10.0) + count / self.spec.get("tokens_per_second", 1.0))
        words = " ".join(f"word{number}" for number in range(count))
        message = {"role": "assistant", "content": words}
        model = asked.get("model", "")
        if ollama:
            text = json.dumps({"model": model, "message": message, "done": True, "done_reason": "stop"})
        else:
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            text = json.dumps(
                {"id": f"fault-{uuid.uuid4().hex}", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]}
            )
        if self.kind == "slow":
            self.send(writer, 200, text)
            return
        body = text.encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        if self.where == "mid_stream" or self.kind == "cut":
            writer.write(body[: len(body) // 2])
        await writer.drain()
        await self.end(writer)

    @staticmethod
    def chunk(writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())

    @staticmethod
    def piece(asked: Json, ollama: bool, text: str, reason: str | None) -> str:
        model = asked.get("model", "")
        if ollama:
            done = {"done": reason is not None, **({"done_reason": reason} if reason else {})}
            return json.dumps({"model": model, "message": {"role": "assistant", "content": text}, **done}) + "\n"
        choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": reason}
        data = {
            "id": asked.setdefault("id", f"fault-{uuid.uuid4().hex}"),
            "object": "chat.completion.chunk",
            "created": 0,
            "model": model,
            "choices": [choice],
        }
        return f"data: {json.dumps(data)}\n\n"


if __name__ == "__main__":
    asyncio.run(StandIn(json.loads(sys.argv[1])).serve())
