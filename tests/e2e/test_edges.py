# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the modules run: inside the controller if that makes no difference, else as every module does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "model_list:\n- model_name: mine\n  litellm_params: {model: openai/mine}\n"


@pytest.fixture
def play(tmp_path: Path) -> Any:
    """Runs litellm_model on a file, which takes no cluster; returns what ansible-playbook printed at its most talkative."""
    (tmp_path / "config.yaml").write_text(CONFIG)

    def run(variables: dict[str, Any] | None = None, **task: Any) -> str:
        params = {"path": str(tmp_path / "config.yaml"), "settings": {"litellm_settings": {"num_retries": 0}}}
        facts = {"ansible_python_interpreter": sys.executable, **(variables or {})}
        play = {"hosts": "localhost", "gather_facts": False, "vars": facts, "tasks": [{"homelab.llm.litellm_model": params, **task}]}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        program = Path(sys.executable).with_name("ansible-playbook")
        done = subprocess.run(
            [program, "-i", "localhost,", "-c", "local", "-vvv", tmp_path / "play.yml"],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "num_retries: 0" in (tmp_path / "config.yaml").read_text()
        return done.stdout

    return run


def as_process(output: str) -> bool:
    return re.search(r"Using module file .*/litellm_model\.py", output) is not None


def test_for_the_controller_itself_it_takes_no_process(play: Any) -> None:
    assert not as_process(play())
    assert not as_process(play({"ansible_python_interpreter": "auto_silent"}))


@pytest.mark.parametrize("task", [{"environment": {"KUBECONFIG": "/elsewhere"}}, {"async": 60, "poll": 1}], ids=["environment", "async"])
def test_what_only_a_process_can_honour_takes_one(play: Any, task: dict[str, Any]) -> None:
    assert as_process(play(**task))


def test_another_python_takes_a_process(play: Any, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    assert as_process(play({"ansible_python_interpreter": str(other)}))


def test_a_wrong_option_is_told_in_the_same_words(play: Any) -> None:
    with pytest.raises(AssertionError, match=r"Unsupported parameters for \(homelab\.llm\.litellm_model\) module: pth"):
        play(**{"homelab.llm.litellm_model": {"path": "x", "pth": "x"}})
