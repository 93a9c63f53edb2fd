# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`sandbox up --real-ollama`: the cluster's second tier is a real Ollama, which answers by the name that the inventories ask for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.tiny_model import SENTENCE
from sandbox_cli import Sandbox

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("apt-get"), reason="the sandbox needs root on Debian")

ADDRESS = "http://ollama.ml.svc.cluster.local:11434"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    box = Sandbox(f"t-ollama-{os.getpid()}")
    try:
        box.run("up", "--real-ollama")
        yield box
    finally:
        box.run("down")


def asked(box: Sandbox, path: str, body: Any = None) -> tuple[int, list[dict[str, Any]]]:
    """Ask it as a pod would; return the status and the lines of its answer."""
    data = ("--json", json.dumps(body)) if body is not None else ()
    curl = ("curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--write-out", "\n%{http_code}")
    *lines, status = box.run("exec", "--", *curl, *data, f"{ADDRESS}{path}").stdout.strip().splitlines()
    return int(status), [json.loads(line) for line in lines if line]


def test_it_has_the_models_that_the_inventories_name(box: Sandbox) -> None:
    status, (tags,) = asked(box, "/api/tags")
    assert status == 200
    assert {"qwen2.5:3b", "neural-chat:latest"} <= {each["name"] for each in tags["models"]}
    assert {each["details"]["format"] for each in tags["models"]} == {"gguf"}


def test_it_answers_whole_and_word_by_word(box: Sandbox) -> None:
    question = {"model": "qwen2.5:3b", "messages": [{"role": "user", "content": "Who are you?"}]}
    _status, (whole,) = asked(box, "/api/chat", {**question, "stream": False})
    assert whole["message"]["content"].strip() == SENTENCE
    _status, pieces = asked(box, "/api/chat", question)
    assert "".join(each["message"]["content"] for each in pieces).strip() == SENTENCE
    assert len(pieces) > 3
    assert pieces[-1]["done_reason"] == "stop"


def test_a_model_that_it_has_not_is_404(box: Sandbox) -> None:
    status, (told,) = asked(box, "/api/chat", {"model": "nosuch", "messages": []})
    assert (status, "not found" in told["error"]) == (404, True)


def test_another_up_leaves_it_there(box: Sandbox) -> None:
    before = box.kubectl("get", "pods", "--namespace", "ml", "--selector", "app=ollama", "--output", "jsonpath={.items[*].metadata.uid}")
    box.run("up", "--real-ollama")
    box.run("up")
    after = box.kubectl("get", "pods", "--namespace", "ml", "--selector", "app=ollama", "--output", "jsonpath={.items[*].metadata.uid}")
    assert after == before
