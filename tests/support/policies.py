# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies written to a config by Ansible, and questions to the LiteLLM that serves it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils.litellm_client import ChatAnswer, LiteLLMClient

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "tests" / "local" / "write_config.yml"


class Play:
    """Policies, written to a config file by Ansible."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.yaml"

    def run(self, policies: Sequence[Mapping[str, Any]], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Write them, one after the other: each is `policy`, `models` and perhaps `redis`."""
        told = json.dumps({"config_path": str(self.config), "policies": policies})
        command = [sys.executable, "-m", "ansible.cli.playbook", str(PLAYBOOK), "--extra-vars", told, *arguments]
        surroundings = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0"}
        return subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)


class Asking:
    """A client that never asks the same twice, unless it is told to: there is a cache."""

    _numbers = itertools.count()

    def __init__(self, client: LiteLLMClient) -> None:
        self.client = client

    def __call__(self, model: str, script: str = "", **more: Any) -> ChatAnswer:
        return self.client.call_llm(model, [self.question(script)], **more)

    def question(self, script: str = "") -> dict[str, str]:
        return {"role": "user", "content": f"question {next(self._numbers)} {script}"}
