"""Carries connections from listening sockets of the host to addresses inside the sandbox.

A socket belongs to the network namespace it was made in: the host makes the listening socket and passes it to this program inside the
sandbox, which accepts from it and connects where the host has no route to. `python3 -m sandbox.relay --relay FD=ADDRESS:PORT …`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket

CHUNK = 64 * 1024


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def serve(listener: socket.socket, address: str, port: int) -> asyncio.Server:
    """Start to relay what connects to `listener` to `address`:`port`; a refused connection is closed at once."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        finally:
            for end in (inner_writer, writer):
                end.close()

    return await asyncio.start_server(handle, sock=listener)


async def run(relays: list[str]) -> None:
    """Relay for ever."""
    servers = []
    for relay in relays:
        fd, _, target = relay.partition("=")
        address, _, port = target.rpartition(":")
        servers.append(await serve(socket.socket(fileno=int(fd)), address, int(port)))
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--relay", action="append", default=[])
    asyncio.run(run(parser.parse_args().relay))
