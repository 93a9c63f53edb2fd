# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a Compose project up in the controller: a module could not show anything before it ends."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.rollout import masked
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._secrets.masking import redact
from ansible_collections.homelab.llm.plugins.module_utils._stack import compose, env_file
from ansible_collections.homelab.llm.plugins.module_utils._stack.engine import Engine, EngineError, Project, find
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import OnlyInController

#: Seconds between two looks at the containers.
PAUSE = 1.0

SPECIFICATION = dict(
    argument_spec=dict(
        folder=dict(type="path", required=True),
        project=dict(type="str", required=True),
        engine=dict(type="str", choices=["auto", "docker", "podman"], default="auto"),
        state=dict(type="str", choices=["up", "found", "down"], default="up"),
        definition=dict(type="str"),
        timeout=dict(type="int", default=300),
        log_lines=dict(type="int", default=20),
    )
)


class ActionModule(OnlyInController):
    specification = SPECIFICATION
    works_on = "the container engine"

    def work(self, module: Module) -> None:
        params = module.params
        folder = Path(params["folder"])
        try:
            engine = find(params["engine"])
            found = params["state"] == "found"
            # Before it is written, and in check mode, the file is not what it will be.
            definition = params["definition"] if found or module.check_mode else None
            if definition == _text_of(folder / "docker-compose.yml"):
                definition = None  # so that what stands beside it is read as well
            if found:
                if params["definition"] is not None:
                    self._refuse_taken_ports(module, _project(engine, params["project"], folder, definition))
                module.exit_json(engine=engine.name, data=str(engine.data) if engine.data.is_dir() else None)
            if definition is None and not (folder / "docker-compose.yml").exists():
                if params["state"] == "down":
                    module.exit_json(engine=engine.name, services=[])
                module.fail_json(msg=f"There is no docker-compose.yml in {folder}")
            project = _project(engine, params["project"], folder, definition)
            if params["state"] == "down":
                self._down(module, project)
            self._up(module, project)
        except EngineError as error:
            module.fail_json(msg=_without_keys(str(error), folder))

    def _down(self, module: Module, project: Project) -> None:
        there = compose.containers(project.run("ps", "--all", "--format", "json"))
        if there and not module.check_mode:
            self._show(project, "down", "--remove-orphans")
        module.exit_json(changed=bool(there), engine=project.engine.name, services=sorted(each.service for each in there))

    def _up(self, module: Module, project: Project) -> None:
        started = time.monotonic()
        wanted = compose.hashes(project.run("config", "--hash", "*"))
        there = compose.containers(project.run("ps", "--all", "--format", "json"))
        plan = compose.plan(wanted, there)
        self._refuse_taken_ports(module, project)
        if plan and not module.check_mode:
            self._display.display(f"  {project.name}: {plan.text}")
            self._show(project, "up", "--detach", "--remove-orphans")
            plan = compose.done(there, compose.containers(project.run("ps", "--all", "--format", "json")))
        if not module.check_mode:
            self._wait(module, project, wanted, started)
        changes = {verb: list(getattr(plan, verb)) for verb in ("create", "recreate", "start", "remove")}
        seconds = round(time.monotonic() - started, 1)
        result = dict(changed=bool(plan), engine=project.engine.name, services=list(wanted), seconds=seconds, **changes)
        if plan and module._diff:
            result["diff"] = dict(prepared=f"{project.name}: {plan.text}\n")
        module.exit_json(**result)

    @staticmethod
    def _refuse_taken_ports(module: Module, project: Project) -> None:
        """Fail when somebody else has a port: Compose would tell so when half of the stack is up."""
        ours = {each.service for each in compose.containers(project.run("ps", "--format", "json"))}
        problems = []
        for port in compose.ports(json.loads(project.run("config", "--format", "json"))):
            if port.service in ours:
                continue
            family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
            with socket.socket(family) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind((port.address, port.number))
                except OSError as error:
                    problems.append(
                        f"port {port.number} of {port.address}, wanted for {port.service}, cannot be had ({error.strerror}): "
                        f"end what listens there (`ss -ltnp`), or choose another with local_stack_{port.service}_port"
                    )
        if problems:
            module.fail_json(msg=f"Nothing was started: {'; '.join(problems)}")

    def _show(self, project: Project, *words: str) -> None:
        """Run a verb that takes a while, showing each line that it writes. Raises EngineError with the last ones."""
        process = project.start(*words)
        said: list[str] = []
        for line in process.stdout or ():
            text = _without_keys(line.strip(), project.folder)
            if text and text not in said[-1:]:
                said.append(text)
                self._display.display(f"  {text}")
        if process.wait():
            told = "\n".join(said[-5:])
            raise EngineError(f"`{' '.join(project.engine.compose)} {words[0]}` ended with {process.returncode}:\n{told}")

    def _wait(self, module: Module, project: Project, wanted: Iterable[str], started: float) -> None:
        names, shown = list(wanted), ""
        while True:
            there = compose.containers(project.run("ps", "--all", "--format", "json"))
            unready = [each for each in there if each.service in names and not each.ready]
            if not unready and {each.service for each in there} >= set(names):
                return
            seconds = time.monotonic() - started
            ended = [each for each in unready if each.state in ("exited", "dead")]
            if ended or seconds > module.params["timeout"]:
                why = "ended" if ended else f"not ready after {seconds:.0f} s"
                module.fail_json(msg=self._failure(project, (ended or unready or there)[0], why, module.params["log_lines"]))
            text = compose.progress(names, there)
            if text != shown:
                shown = text
                self._display.display(f"  after {seconds:4.1f} s: {text}")
            time.sleep(PAUSE)

    @staticmethod
    def _failure(project: Project, container: compose.Container, why: str, lines: int) -> str:
        log = project.run("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), container.service)
        said = f"Its last log lines:\n{_without_keys(masked(log), project.folder)}" if log.strip() else "It has not logged anything."
        return f"{container.service} of {project.name} {why} ({container.state} {container.health}). {said}"


def _project(engine: Engine, name: str, folder: Path, definition: str | None) -> Project:
    # Compose prefers a variable of the shell to one of .env, and then the same files would make another stack from another shell.
    hidden = frozenset(env_file.values_in(_text_of(folder / ".env") or ""))
    return Project(engine, name, folder, definition, hidden)


def _text_of(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _without_keys(text: str, folder: Path) -> str:
    """What somebody else wrote, without any value of the project's .env."""
    values = env_file.values_in(_text_of(folder / ".env") or "").values()
    return redact(text, (value.encode() for value in values))
