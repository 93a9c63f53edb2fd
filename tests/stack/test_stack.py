# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack of one machine, with the real LiteLLM, Ollama and Docker. One test after another: each leaves it up."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_stack import OTHER_SENTENCE, ROOT, Stack, running_stack, words_of
from setup_page import blocks

from sandbox import images
from sandbox.engine import MODEL
from sandbox.tiny_model import SENTENCE

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("apt-get"), reason="the container engine of the tests is Debian's, and needs root"
)

#: A variable in the environment of what a test is going to kill.
MARK = f"HOMELAB_LLM_KILL_{os.getpid()}"
OTHER, THIRD = "http://registry.sandbox:5000/library/other", "http://registry.sandbox:5000/library/third"
#: A chain of one.
SHORT = {"local_stack_policy": {"litellm": {"fallback_strategy": ["ollama/neural-chat"]}}}
LOTS = {"litellm": {"fallback_strategy": ["ollama/neural-chat"], "quota_limits": {"ollama": {"monthly_limit_usd": "lots"}}}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("local")) as running:
        first = running.play("--diff")
        assert first.changed > 0
        assert "claude-opus-4.5 is skipped, there is no ANTHROPIC_API_KEY: ollama/neural-chat answers in its place" in first.text
        assert "claude-opus-4.5 was asked, ollama/neural-chat answered." in first.text
        assert "library/neural-chat:latest: 100 %" in first.text
        assert running.variables["LITELLM_MASTER_KEY"] not in first.output
        yield running


@pytest.mark.parametrize("model", ["claude-opus-4.5", "gpt-4-turbo", "ollama/neural-chat"])
def test_with_no_key_at_all_ollama_answers_whatever_is_asked_for(stack: Stack, model: str) -> None:
    assert words_of(stack.ask(model)["choices"]) == SENTENCE


def test_a_second_run_changes_nothing(stack: Stack) -> None:
    before = stack.containers()
    assert stack.play("--diff").changed == 0
    assert stack.containers() == before


def test_the_files_are_for_whom_they_should_be(stack: Stack) -> None:
    assert (stack.folder / ".env").stat().st_mode & 0o777 == 0o600
    example = (stack.folder / ".env.example").read_text()
    assert "ANTHROPIC_API_KEY=\n" in example
    for name in ("docker-compose.yml", ".env.example", "config/litellm-config.yaml"):
        assert stack.variables["LITELLM_MASTER_KEY"] not in (stack.folder / name).read_text()


def test_ports_are_on_loopback_only(stack: Stack) -> None:
    published = stack.engine.docker("ps", "--format", "{{.Ports}}")
    assert "127.0.0.1:8001->4000" in published
    assert "127.0.0.1:11434->11434" in published
    assert "0.0.0.0" not in published  # noqa: S104


def test_another_config_restarts_litellm_and_nobody_else(stack: Stack) -> None:
    before = stack.containers()
    policy = {"litellm": {"fallback_strategy": ["ollama/neural-chat"], "api_timeout": 45}}
    foreseen = stack.play("--check", "--diff", variables={"local_stack_policy": policy})
    assert "recreate litellm" in foreseen.text
    assert stack.containers() == before
    changed = stack.play(variables={"local_stack_policy": policy})
    assert changed.changed > 0
    after = stack.containers()
    assert after["ollama"] == before["ollama"]
    assert after["litellm"] != before["litellm"]
    assert "timeout: 45" in (stack.folder / "config/litellm-config.yaml").read_text()


def test_a_key_that_is_there_stays_and_a_new_one_is_used(stack: Stack) -> None:
    env, new = stack.folder / ".env", "sk-ant-api03-" + os.urandom(12).hex()
    env.write_text(env.read_text() + "OPENAI_API_KEY=sk-proj-theirs0123456789\n# a note\n")
    # Nobody listens there: the first tier has a key now and fails, and the chain goes on to Ollama.
    models = [
        {"model_name": "claude-opus-4.5", "litellm_params": _refused("anthropic/claude-opus-4-5", "ANTHROPIC_API_KEY")},
        {
            "model_name": "ollama/neural-chat",
            "litellm_params": {"model": "ollama_chat/neural-chat", "api_base": "http://ollama:11434", "timeout": 300},
        },
    ]
    policy = {"litellm": {"fallback_strategy": ["claude-opus-4.5", "ollama/neural-chat"]}}
    variables = {"local_stack_models": models, "local_stack_policy": policy}
    run = stack.play("-vvv", variables=variables, ANTHROPIC_API_KEY=new, OPENAI_API_KEY="sk-proj-ours01234567890123")
    assert "OPENAI_API_KEY in .env is another one than in your environment, and stays" in run.text
    assert "# a note" in env.read_text()
    assert stack.variables["OPENAI_API_KEY"] == "sk-proj-theirs0123456789"
    assert stack.variables["ANTHROPIC_API_KEY"] == new
    assert new not in run.output
    assert "is skipped" not in run.text
    assert words_of(stack.ask("claude-opus-4.5")["choices"]) == SENTENCE


def _refused(model: str, key: str) -> dict[str, Any]:
    return {"model": model, "api_key": f"os.environ/{key}", "api_base": "http://127.0.0.1:9"}


@pytest.mark.parametrize("provider", ["ollama", "ollama_chat"])
def test_both_of_litellms_providers_for_ollama_answer_whole_and_word_by_word(stack: Stack, provider: str) -> None:
    params = {"model": f"{provider}/neural-chat", "api_base": "http://ollama:11434", "timeout": 300}
    stack.play(variables={"local_stack_models": [{"model_name": "ollama/neural-chat", "litellm_params": params}], **SHORT})
    assert words_of(stack.ask("ollama/neural-chat")["choices"]) == SENTENCE
    pieces = stack.stream("ollama/neural-chat")
    assert "".join(pieces).strip() == SENTENCE
    assert len(pieces) > 3


def test_a_redis_beside_it_is_started_and_used(stack: Stack) -> None:
    stack.engine.load(images.named("redis"))
    beside = {"local_stack_redis": True, "local_stack_redis_image": images.named("redis").reference}
    stack.play(variables=beside)
    assert set(stack.containers()) == {"litellm", "ollama", "redis"}
    assert words_of(stack.ask("ollama/neural-chat")["choices"]) == SENTENCE
    assert stack.play(variables=beside).changed == 0
    # It was for this test: whoever says no more of it gets it taken away, and keeps what it stored.
    stack.play()
    assert set(stack.containers()) == {"litellm", "ollama"}


def test_the_commands_of_the_setup_page_do_what_it_says(stack: Stack) -> None:
    start, look = (block.text for block in blocks() if block.needs == "stack")
    # As somebody whose home has the stack already; only the model comes from here.
    told = {"local_stack_folder": str(stack.folder), "local_stack_model_source": MODEL, "local_stack_model_insecure": True}
    ran = stack.run("bash", "-euo", "pipefail", "-c", start.replace("playbooks/local.yml", f"playbooks/local.yml -e '{json.dumps(told)}'"))
    assert ran.output.count("failed=0") == 2
    seen = stack.run("bash", "-euo", "pipefail", "-c", look.replace("~/homelab-llm", str(stack.folder)))
    assert "homelab-llm-litellm-1" in seen.output
    assert "neural-chat" in seen.output


def test_an_interrupted_pull_goes_on_where_it_was(stack: Stack) -> None:
    already = len(stack.parts_served())
    words = stack.pull(name="other", source=OTHER)
    process = subprocess.Popen(
        stack.command(*words), cwd=ROOT, env={**stack.environment, MARK: "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    for line in process.stdout or ():
        said.append(line)
        if " % of " in line:
            _kill_marked()
            break
    output = "".join(said) + process.communicate(timeout=600)[0]
    _until(lambda: len(stack.parts_served()) > already)
    first = stack.parts_served()[already]
    assert 0 < first["sent"] < 400_000, output
    done = stack.run(*words)
    second = stack.parts_served()[already + 1]
    assert second["digest"] == first["digest"]
    assert second["start"] > 0, done.output
    assert "begun at" in done.text
    assert OTHER_SENTENCE in stack.run("docker", "exec", "homelab-llm-ollama-1", "ollama", "run", "other", "Who are you?").text
    assert "changed: false" in stack.run(*words).output


def _kill_marked() -> None:
    """Kill what was started with the mark in its environment: Ansible's workers leave its process group."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # those that ended meanwhile
            if f"{MARK}=1".encode() in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_an_unknown_model_is_told_with_the_way_out(stack: Stack) -> None:
    done = stack.run(*stack.pull(name="nosuch", source="http://registry.sandbox:5000/library/nosuch"), code=2)
    assert "There is no model http://registry.sandbox:5000/library/nosuch:latest to pull" in done.text
    assert "https://ollama.com/library" in done.text


def test_a_model_that_does_not_fit_on_the_disk_is_not_fetched(stack: Stack) -> None:
    done = stack.run(*stack.pull(name="third", source=THIRD, disk="/", reserve=2**60), code=2)
    assert "local_stack_disk_reserve_gib" in done.text


def test_a_compose_file_that_was_edited_is_left_as_it_is(stack: Stack) -> None:
    file = stack.folder / "docker-compose.yml"
    made = file.read_text()
    file.write_text(made.replace("restart: unless-stopped", "restart: always", 1))
    edited, before = file.read_text(), stack.containers()
    refused = stack.play(code=2)
    assert "was edited by hand" in refused.text
    assert "docker-compose.override.yml" in refused.text
    assert file.read_text() == edited
    assert stack.containers() == before
    file.write_text(made)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"local_stack_policy": LOTS}, "monthly_limit_usd is 'lots'"),
        ({"local_stack_ollama_image": "docker.io/ollama/ollama:latest"}, "has no tag with a version"),
        ({"local_stack_keys": {"OPENAI_API_KEY": "changeme"}}, "OPENAI_API_KEY is a placeholder"),
        ({"local_stack_project": "another"}, "port 8001 of 127.0.0.1, wanted for litellm, cannot be had"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_changed(stack: Stack, variables: dict[str, Any], sentence: str) -> None:
    before = stack.containers()
    folder = stack.folder.parent / f"bad-{len(sentence)}"
    refused = stack.play(code=2, variables={"local_stack_folder": str(folder), **variables})
    assert sentence in refused.text
    assert not (folder / "docker-compose.yml").exists()
    assert stack.containers() == before


def test_without_an_engine_it_is_told_what_was_tried(stack: Stack) -> None:
    refused = stack.play(code=2, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "No container engine of this machine can run the stack, nothing was changed" in refused.text
    assert "docker: does not answer" in refused.text
    assert "podman" in refused.text


def test_down_leaves_files_and_models(stack: Stack) -> None:
    assert stack.play(variables={"local_stack_state": "down"}).changed == 1
    assert stack.engine.docker("ps", "--all", "--quiet") == ""
    assert "homelab-llm_ollama" in stack.engine.docker("volume", "ls", "--quiet")
    assert (stack.folder / ".env").exists()
    assert stack.play(variables={"local_stack_state": "down"}).changed == 0
