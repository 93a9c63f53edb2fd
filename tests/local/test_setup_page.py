# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/SETUP.md as a newcomer follows it: its commands with a real LiteLLM, and the errors that it explains. Those that need the whole
stack are run where the stack is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from policies import Play
from running_litellm import RunningLiteLLM, new_key
from running_simulator import Running
from setup_page import PAGE, ROOT, Block, blocks

from ansible_collections.homelab.llm.plugins.module_utils.litellm_client import LiteLLMClient

#: Nothing that the page asks: that is in LiteLLM's cache by then.
QUESTION = [{"role": "user", "content": "What does an error look like?"}]


@pytest.fixture(scope="module")
def home(litellm: RunningLiteLLM, providers: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder as the playbook leaves it, and LiteLLM with the policy of the page, but for where its providers are."""
    bases = {host: f"http://127.0.0.1:{providers.port(host)}" for host in ("anthropic", "openai", "ollama")}
    entries: dict[str, dict[str, Any]] = {
        "claude-opus-4.5": {
            "model": "anthropic/claude-opus-4-5",
            "api_base": bases["anthropic"],
            "api_key": "os.environ/ANTHROPIC_API_KEY",
        },
        "gpt-4-turbo": {"model": "openai/gpt-4-turbo", "api_base": f"{bases['openai']}/v1", "api_key": "os.environ/OPENAI_API_KEY"},
        "ollama/neural-chat": {"model": "ollama_chat/qwen2.5:3b", "api_base": bases["ollama"]},
        "ollama/absent": {"model": "ollama_chat/absent", "api_base": bases["ollama"]},
    }
    policy = {
        "litellm": {
            "fallback_strategy": list(entries)[:3],
            "allowed_models": list(entries),
            "cache_config": {"enable_cache": True, "ttl": 3600},
            "quota_limits": {"claude": {"rpm_limit": 100}},
        },
        "router": {"strategy": "cost-based"},
    }
    play = Play(tmp_path_factory.mktemp("config"))
    done = play.run([{"policy": policy, "models": [{"model_name": name, "litellm_params": params} for name, params in entries.items()]}])
    assert done.returncode == 0, done.stdout
    litellm.start(play.config)
    folder = tmp_path_factory.mktemp("home")
    (folder / "homelab-llm").mkdir()
    (folder / "homelab-llm" / ".env").write_text(f"ANTHROPIC_API_KEY=\nLITELLM_MASTER_KEY={litellm.key}\n")
    return folder


def run(block: Block, litellm: RunningLiteLLM | None = None, home: Path | None = None) -> str:
    """Run commands as they stand on the page, but for the port."""
    port = str(litellm.port) if litellm else "8001"
    # The client's own default is the page's port as well.
    text = block.text.replace("localhost:8001", f"127.0.0.1:{port}").replace("LiteLLMClient()", f'LiteLLMClient("http://127.0.0.1:{port}")')
    surroundings = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if litellm and home:
        surroundings.update(HOME=str(home), LITELLM_MASTER_KEY=litellm.key)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands_with_litellm_do_what_the_page_says(litellm: RunningLiteLLM, home: Path):
    key_and_models, own_machine, claude, again, python = (run(block, litellm, home) for block in blocks() if block.needs == "litellm")
    assert "claude-opus-4.5" in key_and_models
    assert "from ollama" in own_machine
    assert "x-litellm-model-group: claude-opus-4.5" in claude
    assert "x-litellm-cache-key" in again
    assert re.search(r"^True \['claude-opus-4.5', 'gpt-4-turbo', 'ollama/neural-chat'", python, re.MULTILINE)
    assert "from anthropic (claude-opus-4-5) claude-opus-4.5 0" in python
    assert "from ollama" in python


def test_the_example_of_the_readme_asks_claude(litellm: RunningLiteLLM, home: Path):
    (example,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    said = run(Block("litellm", f"PYTHONPATH=collections python3 - <<'EOF'\n{example}EOF\n"), litellm, home)
    assert re.fullmatch(r"Answer \d+ from anthropic \(claude-opus-4-5\) claude-opus-4.5 0\n", said)


def test_what_needs_nothing_can_be_run():
    (install,) = (block for block in blocks() if not block.needs)
    run(install)


def test_the_page_names_the_files_that_there_are():
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text()):
        assert (PAGE.parent / link).exists(), link


def explained() -> str:
    """The first column of the table of errors."""
    table = PAGE.read_text().partition("## What an error means")[2]
    return "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))


@pytest.mark.usefixtures("home")
def test_errors_are_as_the_page_says(litellm: RunningLiteLLM, providers: Running):
    def said(client: LiteLLMClient, model: str = "claude-opus-4.5") -> tuple[str, int]:
        with pytest.raises(requests.HTTPError) as error:
            client.call_llm(model, QUESTION)
        return str(error.value), error.value.response.status_code

    client = litellm.client()
    page = explained()
    for words, status, (text, got) in (
        ("No api key passed in", 401, said(LiteLLMClient(litellm.url, api_key=""))),
        ("No connected db.", 400, said(LiteLLMClient(litellm.url, api_key=new_key()))),
        ("Invalid model name passed in model=", 400, said(client, "gpt-5")),
        ("not found", 404, said(client, "ollama/absent")),
    ):
        assert words in text
        assert got == status
        assert words in page
    for host in ("anthropic", "openai", "ollama"):
        providers.fault(host, kind="status", status=500)
    for _each in range(2):
        text, got = said(client)
    assert "No deployments available for selected model, Try again in" in text
    assert got == 429
    assert "No deployments available for selected model, Try again in" in page
