# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every end-to-end test needs: a real cluster, a namespace of its own, and the modules run as a playbook runs them.

The cluster is the one KUBECONFIG names: `eval "$(sandbox/sandbox env)"` sets it to the sandbox's.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from kubernetes import client, config

from secret_under_test import Secret

ROOT = Path(__file__).resolve().parents[2]

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: Run
      MODULE: "{{ params }}"
      environment: "{{ surroundings }}"
      register: outcome
      ignore_errors: true
    - ansible.builtin.debug:
        msg: "OUTCOME {{ outcome | to_json | b64encode }} END"
"""


@dataclass(frozen=True)
class Run:
    """What a module returned, and all that ansible-playbook printed on the way."""

    result: dict[str, Any]
    output: str

    @property
    def changed(self) -> bool:
        return bool(self.result["changed"])

    @property
    def failed(self) -> bool:
        return bool(self.result["failed"])

    @property
    def message(self) -> str:
        return str(self.result.get("msg", ""))

    @property
    def warnings(self) -> list[str]:
        return list(self.result.get("warnings", ()))


class RunModule(Protocol):
    def __call__(self, name: str, params: Mapping[str, Any], *, check: bool = False, diff: bool = False, verbosity: int = 0) -> Run: ...


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    path = os.environ.get("KUBECONFIG")
    if not path:
        pytest.skip('no cluster: run `sandbox/sandbox up` and `eval "$(sandbox/sandbox env)"`')
    return Path(path)


@pytest.fixture(scope="session")
def core(kubeconfig: Path) -> client.CoreV1Api:
    """An independent way to look at the cluster and to change it behind a module's back."""
    return client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))


@pytest.fixture(scope="module")
def namespace(core: client.CoreV1Api) -> Iterator[str]:
    """A namespace for the tests of one file, removed afterwards."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    yield name
    core.delete_namespace(name)


@pytest.fixture
def secret(core: client.CoreV1Api, namespace: str) -> Secret:
    """The name of a Secret that no other test uses, not made yet."""
    return Secret(core, namespace, f"s-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def edge() -> str:
    """Where a module runs: inside the controller, as usual for localhost, or as a process of its own. See `both_edges`."""
    return "controller"


@pytest.fixture
def run_module(kubeconfig: Path, tmp_path: Path, edge: str) -> RunModule:
    """Runs a module in an ansible-playbook process, as a user does: parameters from a file, so that none is in a command line."""

    def run(name: str, params: Mapping[str, Any], *, check: bool = False, diff: bool = False, verbosity: int = 0) -> Run:
        # A folder of its own: a test may run two at once.
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        playbook = folder / "playbook.yml"
        playbook.write_text(PLAYBOOK.replace("MODULE", f"homelab.llm.{name}"))
        variables = folder / "variables.json"
        variables.touch(mode=0o600)
        # A task with an environment of its own takes a process of its own.
        surroundings = {"HOMELAB_LLM_TEST": "process"} if edge == "process" else {}
        variables.write_text(json.dumps({"params": {"kubeconfig": str(kubeconfig), **params}, "surroundings": surroundings}))
        options = ["--check"] * check + ["--diff"] * diff + ["-" + "v" * verbosity] * bool(verbosity)
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-e", f"@{variables}", *options, playbook],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        found = re.search(r"OUTCOME ([A-Za-z0-9+/=]+) END", output)
        assert found, output
        return Run(json.loads(base64.b64decode(found[1])), output)

    return run
