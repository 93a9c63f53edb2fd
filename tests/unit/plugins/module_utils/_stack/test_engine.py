# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine is found, with stand-ins for docker and podman on PATH. With the real Docker: tests/stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._stack.engine import EngineError, Project, find

#: Answers to `compose version --short` and to `info`.
PROGRAM = """#!/bin/sh
case "$1" in
  compose) {compose} ;;
  info) {info} ;;
esac
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH but for a shell's own needs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, *, compose: str = "echo 2.40.3", info: str = "echo /var/lib/engine") -> None:
    program = folder / name
    program.write_text(PROGRAM.format(compose=compose, info=info))
    program.chmod(0o755)


def test_docker_goes_first_and_podman_serves_where_there_is_no_docker(path: Path) -> None:
    install(path, "podman")
    found = find("auto")
    assert (found.name, found.compose, found.data) == ("podman", ("podman", "compose"), Path("/var/lib/engine"))
    install(path, "docker")
    assert find("auto").name == "docker"
    assert find("podman").name == "podman"


def test_an_engine_that_does_not_answer_is_passed_over(path: Path) -> None:
    install(path, "docker", info="echo cannot connect >&2; exit 1")
    install(path, "podman")
    assert find("auto").name == "podman"


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"compose": "echo unknown command >&2; exit 1"}, "docker: `docker compose version` says: unknown command"),
        ({"compose": "echo 1.29.2"}, "docker: its Compose is 1.29.2, and 2 is needed"),
        ({"info": "echo no daemon >&2; exit 1"}, "docker: does not answer: no daemon"),
        ({"info": "echo"}, "docker: does not answer: it says nothing"),
    ],
)
def test_it_is_told_what_was_tried_and_why_it_would_not_do(path: Path, told: dict[str, str], sentence: str) -> None:
    install(path, "docker", **told)
    with pytest.raises(EngineError) as refused:
        find("auto")
    assert sentence in str(refused.value)
    assert "podman: is not on PATH" in str(refused.value)
    assert "Install Docker" in str(refused.value)


def test_a_variable_of_the_shell_does_not_hide_that_of_the_projects_own_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(path, "docker", compose='echo "2 $ANTHROPIC_API_KEY"')
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of the shell")
    engine = find("docker")
    assert Project(engine, "p", path).run("config") == "2 of the shell\n"
    assert Project(engine, "p", path, hidden=frozenset({"ANTHROPIC_API_KEY"})).run("config") == "2 \n"
