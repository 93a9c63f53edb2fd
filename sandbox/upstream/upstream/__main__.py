# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python3 -m upstream --host vllm-api=vllm:8000 …`."""

from __future__ import annotations

import signal
import sys


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


# The first process of a container has no default handlers: without these it would ignore both signals while the imports below run.
for _signal in (signal.SIGTERM, signal.SIGINT):
    signal.signal(_signal, _end)

import argparse  # noqa: E402
import asyncio  # noqa: E402
import ssl  # noqa: E402
from pathlib import Path  # noqa: E402

from upstream.host import PROVIDERS, Host, HostError, Keys, parse_host, parse_models  # noqa: E402
from upstream.simulator import Simulator  # noqa: E402


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser("upstream", description="Model servers that answer as real ones do, and fail on command.")
    top.add_argument("--host", action="append", required=True, metavar="NAME=PROTOCOL:PORT[:tls]", help=f"one of {', '.join(PROVIDERS)}")
    top.add_argument("--models", action="append", default=[], metavar="HOST=MODEL,…", help="its models; * for any")
    top.add_argument("--address", default="0.0.0.0", help="where to listen (default: %(default)s)")  # noqa: S104
    top.add_argument("--admin-port", type=int, default=9900, help="port of the admin API (default: %(default)s)")
    top.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate of the hosts with :tls")
    top.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    top.add_argument("--keys-dir", type=Path, metavar="DIR", help="a file per host, named after it, with the keys it accepts, one a line")
    return top


def _hosts(options: argparse.Namespace) -> list[Host]:
    models = dict(parse_models(text) for text in options.models)
    hosts = [parse_host(text, models) for text in options.host]
    names = [host.name for host in hosts]
    unknown = sorted(set(models) - set(names))
    if unknown:
        raise HostError(f"--models names {unknown[0]!r}, which is no --host")
    if len(set(names)) < len(names):
        raise HostError("two --host options have the same name")
    if any(host.tls for host in hosts) and not (options.tls_cert and options.tls_key):
        raise HostError("a host with :tls needs --tls-cert and --tls-key")
    return hosts


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if not options.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    return context


async def run(options: argparse.Namespace, hosts: list[Host]) -> None:
    """Serve until a signal ends it."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Simulator(hosts, options.address, options.admin_port, Keys(options.keys_dir), _tls(options), _write):
        await ended.wait()


def main() -> None:
    """Run the simulator; a wrong command line, or a port in use, is one sentence."""
    options = parser().parse_args()
    try:
        asyncio.run(run(options, _hosts(options)))
    except (HostError, OSError) as error:
        sys.exit(f"upstream: {error}")


if __name__ == "__main__":
    main()
