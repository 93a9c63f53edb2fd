# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack of one machine on a container engine of its own, with a registry that has tiny models; and plays run where its ports are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.engine import MODEL, REGISTRY_PORT, Engine, running
from sandbox.paths import SOURCE

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
#: What a second model says, so that it shares nothing with the first but its template.
OTHER_SENTENCE = "another model took a while to get here"
THIRD_SENTENCE = "a third one"
#: A model takes more than half a minute: time enough to break it off, on a busy machine too.
BYTES_PER_SECOND = 15_000

#: Ollama's container finds the registry by a name, as it would find one of a company.
OVERRIDE = """
services:
  ollama:
    extra_hosts: ["registry.sandbox:host-gateway"]
"""


@dataclass(frozen=True)
class Play:
    """How a run of playbooks/local.yml ended, and what it printed."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        found = re.search(r"changed=(\d+) .*failed=0", self.output)
        assert found, self.output
        return int(found[1])

    @property
    def text(self) -> str:
        """The output without line breaks, for sentences that Ansible folds."""
        return re.sub(r"\s+", " ", self.output)


@dataclass
class Stack:
    """The stack of the tests; `environment` is that of whoever runs the plays, without any key of this machine."""

    engine: Engine
    folder: Path
    served: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str | Path) -> list[str]:
        return [*self.engine.enter, *(str(word) for word in words)]

    def run(self, *words: str | Path, code: int | None = 0, **environment: str) -> Play:
        """Run a program where the stack's ports are."""
        env = {**self.environment, **environment}
        done = subprocess.run(
            self.command(*words), cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=900
        )
        output = done.stdout + done.stderr
        assert code is None or done.returncode == code, output
        return Play(done.returncode, output)

    def play(self, *words: str, code: int | None = 0, variables: dict[str, Any] | None = None, **environment: str) -> Play:
        """Run playbooks/local.yml."""
        told = {
            "local_stack_folder": str(self.folder),
            "local_stack_model_source": MODEL,
            "local_stack_model_insecure": True,
            **(variables or {}),
        }
        inventory, playbook = "inventories/local", "playbooks/local.yml"
        program = PROGRAMS / "ansible-playbook"
        return self.run(program, "-i", inventory, playbook, "-e", json.dumps(told), *words, code=code, **environment)

    def pull(self, **parameters: Any) -> list[str]:
        """Return the words that have the stack's Ollama pull a model."""
        told = {"url": "http://127.0.0.1:11434", "insecure": True, "pause": 1, "tries": 100, **parameters}
        return [str(PROGRAMS / "ansible"), "localhost", "-m", "homelab.llm.ollama_model", "-a", json.dumps(told)]

    def ask(self, model: str) -> dict[str, Any]:
        """Ask LiteLLM as a user of the Python client does."""
        return dict(self._told("call_llm", "call_llm({question})", model))

    def stream(self, model: str) -> list[str]:
        """Ask LiteLLM for a stream, and return its pieces."""
        return list(self._told("LiteLLMClient", "list(LiteLLMClient(timeout=300).stream_llm({question}))", model))

    def _told(self, name: str, asked: str, model: str) -> Any:
        """What this part of the Python client, asked so, returns: run by a program of its own where the stack's ports are."""
        question = "sys.argv[1], [{'role': 'user', 'content': 'Who are you?'}]"
        program = (
            "import json, sys\n"
            f"from ansible_collections.homelab.llm.plugins.module_utils.litellm_client import {name}\n"
            f"print(json.dumps({asked.format(question=question)}))\n"
        )
        key = self.variables["LITELLM_MASTER_KEY"]
        done = self.run(sys.executable, "-c", program, model, PYTHONPATH=str(ROOT / "collections"), LITELLM_MASTER_KEY=key)
        return json.loads(done.output)

    @property
    def variables(self) -> dict[str, str]:
        lines = (self.folder / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def containers(self) -> dict[str, str]:
        """Return each service's container: its number and when it was started."""
        form = '{{index .Config.Labels "com.docker.compose.service"}} {{.Id}} {{.State.StartedAt}}'
        numbers = self.engine.docker("ps", "--quiet").split()
        return dict(line.split(" ", 1) for line in self.engine.docker("inspect", "--format", form, *numbers).splitlines())

    def parts_served(self) -> list[dict[str, Any]]:
        """Return what the registry has sent so far, in order."""
        return [json.loads(line) for line in self.served.read_text().splitlines()]


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Run an engine and a registry; the stack itself is not up yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with running(folder / "engine") as engine:
        stack = Stack(engine, folder / "stack", folder / "served.jsonl", _environment(engine))
        stack.folder.mkdir()
        (stack.folder / "docker-compose.override.yml").write_text(OVERRIDE)
        with stack.served.open("w") as out:
            words = ["-m", "sandbox.model_registry", "--port", str(REGISTRY_PORT), "--bytes-per-second", str(BYTES_PER_SECOND)]
            words += ["--model", f"library/other={OTHER_SENTENCE}", "--model", f"library/third={THIRD_SENTENCE}"]
            registry = subprocess.Popen(
                stack.command(shutil.which("python3") or sys.executable, *words),
                env={**os.environ, "PYTHONPATH": str(SOURCE / "lib")},
                stdout=out,
                stdin=subprocess.DEVNULL,
            )
        try:
            yield stack
        finally:
            registry.kill()
            registry.wait()


def _environment(engine: Engine) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY") and name.lower() != "http_proxy"}
    # As in a shell that has the project's environment.
    path = f"{PROGRAMS}{os.pathsep}{engine.environment['PATH']}"
    return {**kept, **engine.environment, "PATH": path, "ANSIBLE_NOCOLOR": "1", "NO_PROXY": "127.0.0.1", "COLUMNS": "200"}


def words_of(answer: Sequence[dict[str, Any]]) -> str:
    """Return what the first choice says."""
    return str(answer[0]["message"]["content"]).strip()
