# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real LiteLLM as a process of this machine, on the loopback device, and a Redis for what it counts."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from free_port import free_port

from ansible_collections.homelab.llm.plugins.module_utils.litellm_client import LiteLLMClient

ROOT = Path(__file__).resolve().parents[2]

#: It takes ten seconds to start, on two cores with nothing else to do; minutes, where there is much.
_STARTS_WITHIN, _ENDS_WITHIN = 420, 60


def new_key() -> str:
    """A key that nobody has ever had."""
    return f"sk-{secrets.token_hex(16)}"


def program(name: str) -> str:
    """The path that a script below scripts/ finds, or makes."""
    return subprocess.run([ROOT / "scripts" / name], capture_output=True, text=True, check=True).stdout.strip()


class RunningLiteLLM:
    """One LiteLLM, which can be started again, as the same or with another config."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        """Keep its log in the folder. `environ` is all of its environment but for its paths, its key among it."""
        self._folder, self.environ = folder, environ
        self.port = free_port()
        self.key = environ["LITELLM_MASTER_KEY"]
        self.log = folder / "litellm.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, timeout: float = 60) -> LiteLLMClient:
        return LiteLLMClient(self.url, timeout, self.key)

    def start(self, config: Path) -> None:
        """Start it and wait until it serves."""
        # No more of our environment than this: keys in it would be used, and a proxy would be asked for 127.0.0.1.
        paths = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        command = [program("litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env={**paths, **self.environ}, cwd=self._folder, stdout=log, stderr=log)
        client = self.client(timeout=5)
        _wait(client.get_health, _STARTS_WITHIN, self._process, self.log)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(_ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


@contextmanager
def running_redis(folder: Path, password: str) -> Iterator[int]:
    """Run a Redis that forgets everything at its end, and yield its port."""
    port = free_port()
    settings = folder / "redis.conf"
    # In a file, because everybody can read the arguments of a process.
    settings.write_text(f'bind 127.0.0.1\nport {port}\nsave ""\nrequirepass {password}\n')
    settings.chmod(0o600)
    log = folder / "redis.log"
    with log.open("wb") as file:
        process = subprocess.Popen([program("redis-server"), str(settings)], cwd=folder, stdout=file, stderr=file)
    try:
        _wait(lambda: _listens(port), 30, process, log)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def asked_of_redis(port: int, password: str, *command: str) -> str:
    """The raw answer of a Redis to one command."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"AUTH {password}\r\n{' '.join(command)}\r\nQUIT\r\n".encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait(happens: Callable[[], bool], seconds: float, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert process.poll() is None, f"it ended: {log.read_text()[-3000:]}"
        assert time.monotonic() < end, f"not within {seconds} s: {log.read_text()[-3000:]}"
        time.sleep(0.2)
