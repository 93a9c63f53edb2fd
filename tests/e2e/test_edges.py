# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the modules run: inside the controller if that makes no difference, else as every module does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "model_list:\n- model_name: mine\n  litellm_params: {model: openai/mine}\n"


@pytest.fixture
def play(tmp_path: Path) -> Any:
    """Runs litellm_model on a file, which takes no cluster; returns what ansible-playbook printed at its most talkative."""
    (tmp_path / "config.yaml").write_text(CONFIG)

    def run(variables: dict[str, Any] | None = None, environ: dict[str, str] | None = None, code: int = 0, **task: Any) -> str:
        params = {"path": str(tmp_path / "config.yaml"), "settings": {"litellm_settings": {"num_retries": 0}}}
        facts = {"ansible_python_interpreter": sys.executable, **(variables or {})}
        tasks = [task if any(name.startswith("homelab.") for name in task) else {"homelab.llm.litellm_model": params, **task}]
        # As YAML: JSON has no bytes and no dates.
        (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": facts, "tasks": tasks}]))
        program = Path(sys.executable).with_name("ansible-playbook")
        done = subprocess.run(
            [program, "-i", "localhost,", "-c", "local", "-vvv", tmp_path / "play.yml"],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

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


def test_what_it_wrote_is_there(play: Any, tmp_path: Path) -> None:
    play()
    assert "num_retries: 0" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize("task", [{}, {"environment": {"EDGE": "process"}}], ids=["controller", "process"])
def test_a_value_that_is_no_text_is_refused_in_both(play: Any, tmp_path: Path, task: dict[str, Any]) -> None:
    settings = {"litellm_settings": {"binary": b"hello"}}
    told = {"homelab.llm.litellm_model": {"path": str(tmp_path / "config.yaml"), "settings": settings}, **task}
    assert "bytes" in play(code=2, **told)
    assert (tmp_path / "config.yaml").read_text() == CONFIG


@pytest.mark.parametrize("task", [{}, {"environment": {"EDGE": "process"}}], ids=["controller", "process"])
def test_a_time_is_written_alike_by_both(play: Any, tmp_path: Path, task: dict[str, Any]) -> None:
    settings = {"litellm_settings": {"since": datetime(2026, 1, 1, 10, tzinfo=UTC)}}
    play(**{"homelab.llm.litellm_model": {"path": str(tmp_path / "config.yaml"), "settings": settings}, **task})
    assert "2026-01-01T10:00:00+00:00" in (tmp_path / "config.yaml").read_text()


def test_a_wrong_option_is_told_in_the_same_words(play: Any) -> None:
    told = play(code=2, **{"homelab.llm.litellm_model": {"path": "x", "pth": "x"}})
    assert "Unsupported parameters for (homelab.llm.litellm_model) module: pth" in told


ROLLOUT = {"homelab.llm.k8s_rollout": {"namespace": "default", "name": "nothing"}}


def test_what_runs_in_the_controller_only_has_the_tasks_environment(play: Any, tmp_path: Path) -> None:
    elsewhere = {
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
    }
    named = {"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}
    (tmp_path / "elsewhere").write_text(json.dumps({**elsewhere, **named}))
    told = play(code=2, environment={"KUBECONFIG": str(tmp_path / "elsewhere")}, **ROLLOUT)
    assert "The Kubernetes API at https://127.0.0.1:9 cannot be reached" in told


def test_and_refuses_to_be_run_as_somebody_else(play: Any) -> None:
    assert "as another user (become)" in play(code=2, become=True, **ROLLOUT)


@pytest.mark.cluster
def test_no_key_of_a_kubeconfig_is_left_behind_by_a_play_that_fails(play: Any, tmp_path: Path, kubeconfig: Path) -> None:
    assert "client-key-data" in kubeconfig.read_text()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for _ in range(3):  # it depends on which process ends first
        told = play(code=2, environ={"TMPDIR": str(temporary), "KUBECONFIG": str(kubeconfig)}, **ROLLOUT)
        assert "There is no Deployment default/nothing" in told
    assert list(temporary.iterdir()) == []
