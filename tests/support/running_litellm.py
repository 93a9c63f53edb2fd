# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real LiteLLM as a process on the loopback device, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIRST_TOKEN = ROOT / "roles" / "litellm" / "files" / "first_token"
KEY = "sk-of-a-test"
#: Longer than anything that is measured: a client that gives up first would measure itself.
PATIENCE = 120


def program() -> str | None:
    """Return LiteLLM's program: the one in the environment variable LITELLM, else the one in PATH."""
    return shutil.which(os.environ.get("LITELLM", "litellm"))


@dataclass
class Told:
    """What a client got, and when, in seconds since it asked."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    first: float | None = None
    total: float = 0.0
    text: str = ""
    error: str = ""
    finish: str | None = None
    usage: Any = None
    whole: Any = None
    events: list[Any] = field(default_factory=list)

    @property
    def by(self) -> str:
        """The model group that answered, as LiteLLM's headers tell."""
        return self.headers.get("x-litellm-model-group", "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class LiteLLM:
    """A LiteLLM that runs."""

    port: int
    log: Path

    def ask(self, model: str, prompt: str, stream: bool = False, leave_after: float | None = None, **more: Any) -> Told:
        """Ask for a chat completion; with `leave_after` the client leaves after so many seconds."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream, **more}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=leave_after or PATIENCE)
        told, began = Told(), time.monotonic()
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            told.status, told.headers = response.status, {name.lower(): value for name, value in response.getheaders()}
            if response.status != 200:
                told.error = response.read().decode()
            elif stream:
                for line in response:
                    _event(told, line, time.monotonic() - began)
            else:
                told.whole = json.load(response)
                told.text = told.whole["choices"][0]["message"]["content"] or ""
                told.usage = told.whole.get("usage")
        except (OSError, http.client.HTTPException) as problem:
            told.error = told.error or repr(problem)
        finally:
            connection.close()
        told.total = time.monotonic() - began
        return told

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {KEY}"})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def counted(self, metric: str, **labels: str) -> float:
        """Return the sum of a Prometheus counter over the samples with these labels."""
        lines = [line for line in self.get("/metrics/").splitlines() if line.startswith(metric + "{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(f'{name}="{value}"' in line for name, value in labels.items()))


def _event(told: Told, line: bytes, now: float) -> None:
    data = line.decode().removeprefix("data: ").strip()
    if not data.startswith("{"):
        return
    event = json.loads(data)
    told.events.append(event)
    if event.get("error"):
        told.error = json.dumps(event["error"])
    told.usage = event.get("usage") or told.usage
    for choice in event.get("choices", ()):
        words = choice["delta"].get("content") or ""
        told.first = now if told.first is None and words else told.first
        told.text += words
        told.finish = choice.get("finish_reason") or told.finish


def lay_out(folder: Path, config: Mapping[str, Any]) -> Path:
    """Write a config, and the package beside it, as the role mounts them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "first_token").mkdir(exist_ok=True)
    for source in FIRST_TOKEN.glob("*.py"):
        shutil.copy(source, folder / "first_token")
    file = folder / "config.yaml"
    file.write_text(json.dumps(config))  # JSON is YAML
    return file


def spawn(config: Path, port: int, log: Path, **environ: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "INFO",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(program()), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=log.parent, env=environment | environ, stdout=output, stderr=subprocess.STDOUT)


@contextlib.contextmanager
def running(folder: Path, config: Mapping[str, Any]) -> Iterator[LiteLLM]:
    """Run LiteLLM with this config until the block ends."""
    log, port = folder / "litellm.log", free_port()
    process = spawn(lay_out(folder / "etc", config), port, log)
    server = LiteLLM(port, log)
    try:
        end = time.monotonic() + 90
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < end, log.read_text()[-3000:]
            with contextlib.suppress(OSError):
                if "healthy" in server.get("/health/readiness"):
                    break
            time.sleep(0.2)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
