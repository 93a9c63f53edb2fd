# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's own code in the controller where the task is for the controller anyway.

A module process costs 0.9 to 1.3 s before it sends its first request: packing, a new Python, the import of the package `kubernetes`.
Here that import happens once a playbook. What the module says and does is the same, because it is the same function.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import kubeconfig
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._module import Module

#: What AnsibleModule takes beside what the validator takes.
_NOT_FOR_THE_VALIDATOR = ("no_log", "supports_check_mode")


class Finished(Exception):
    """How `exit_json` and `fail_json` leave: with the result."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__("finished")
        self.result = result


class ControllerModule:
    """What a module's work asks of AnsibleModule, without the process."""

    def __init__(self, params: dict[str, Any], no_log_values: set[str], *, check_mode: bool, diff: bool) -> None:
        self.params = params
        self.check_mode = check_mode
        self._diff = diff
        self.no_log_values = no_log_values
        self._warnings: list[str] = []

    def warn(self, warning: str) -> None:
        self._warnings.append(warning)

    def exit_json(self, **result: Any) -> NoReturn:
        self._finish({"changed": False, **result})

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        self._finish({**result, "msg": msg, "failed": True})

    def _finish(self, result: dict[str, Any]) -> NoReturn:
        if self._warnings:
            result["warnings"] = [*result.get("warnings", ()), *dict.fromkeys(self._warnings)]
        raise Finished(dict(remove_values(result, self.no_log_values)) if self.no_log_values else result)


class InController(ActionBase):
    """An action plugin gives `specification`, which is what AnsibleModule would be called with, and `work`."""

    specification: Mapping[str, Any]

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def work(self, module: Module) -> None:
        """Do the task; leave by `exit_json` or `fail_json`."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        module = self._module()
        # A worker process has one task, so nobody else sees its environment. The same KUBECONFIG as for a module, or it would be
        # another cluster.
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        os.environ.update({name: str(value) for name, value in environment.items()})
        try:
            self.work(module)
        except Finished as finished:
            return {**result, **finished.result}
        except ApiError as error:
            return {**result, "failed": True, "msg": error.message}
        finally:
            kubeconfig.forget()
        raise AssertionError(f"{self._task.action} ended without a result")

    def _module(self) -> ControllerModule:
        # Strings of a playbook carry marks (where from, trusted or not) that are subclasses of str, and YAML libraries refuse those. So the
        # parameters are made plain as a module process gets them, by the same encoder: what it refuses is refused here too.
        encoder = get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)
        try:
            given = json.loads(json.dumps(dict(self._task.args), cls=encoder))
        except TypeError as error:
            raise AnsibleActionFail(f"{self._task.action}: a parameter cannot be passed on: {error}") from None
        options = {name: value for name, value in self.specification.items() if name not in _NOT_FOR_THE_VALIDATOR}
        validated = ArgumentSpecValidator(**options).validate(given)
        hidden = set(validated._no_log_values)  # AnsibleModule takes them from there too
        if validated.error_messages:
            message = validated.errors.msg
            if isinstance(validated.errors[0], UnsupportedError):
                message = f"Unsupported parameters for ({self._task.action}) module: {message}"
            raise AnsibleActionFail(str(remove_values(message, hidden)))
        return ControllerModule(validated.validated_parameters, hidden, check_mode=bool(self._task.check_mode), diff=bool(self._task.diff))


class OnlyInController(InController):
    """For an action without a module: what it would not do as a module does, on another host or as another user, it refuses."""

    #: What it works on, for the refusal: elsewhere that may be another one.
    works_on = "the cluster"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._connection.transport != "local" or self._connection.become is not None:
            elsewhere = "as another user (become)" if self._connection.transport == "local" else "on another host"
            raise AnsibleActionFail(
                f"{self._task.action} talks to {self.works_on} from the controller, as who runs ansible-playbook, and this task is to run "
                f"{elsewhere}, where {self.works_on} may be another one: use hosts or delegate_to localhost, without become"
            )
        return super().run(tmp, task_vars)


class ModuleInController(InController):
    """An action plugin named like a module gives that module's Python module as `code`, with its SPECIFICATION and work().

    `packages` are what the work imports: where the controller lacks one, the Python that the task is for may have it.
    """

    code: ModuleType
    packages: tuple[str, ...] = ("kubernetes",)

    _requires_connection = True
    _supports_async = True

    @property
    def specification(self) -> Mapping[str, Any]:  # type: ignore[override]  # read-only here
        return dict(self.code.SPECIFICATION)

    def work(self, module: Module) -> None:
        self.code.work(module)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._is_for_the_controller(task_vars or {}):
            return super().run(tmp, task_vars)
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        wrap_async = self._task.async_val and not self._connection.has_native_async
        result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # as the action plugin of every module does
        return result

    def _is_for_the_controller(self, task_vars: Mapping[str, Any]) -> bool:
        """Whether a module process would run on this machine, as this user, with this Python and environment, or might as well."""
        interpreter = str(self._templar.template(task_vars.get("ansible_python_interpreter", "auto")))
        return (
            self._connection.transport == "local"
            and self._connection.become is None
            and not self._task.async_val
            and not any(self._task.environment or ())
            and (interpreter.startswith("auto") or _place(interpreter) == _place(sys.executable))
            and all(importlib.util.find_spec(package) for package in self.packages)
        )


def _place(interpreter: str) -> Path:
    """The real folder of a Python, in which a virtual environment keeps its own; the program there may be a link to one outside."""
    return Path(interpreter).parent.resolve()
