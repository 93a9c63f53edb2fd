# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.homelab.llm.plugins.module_utils._probe import load, worker
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import BadLoad, Load, Plan

GOOD: dict[str, Any] = {"name": "chat", "url": "http://litellm:4000/v1", "model": "vllm-qwen"}


def test_the_worker_takes_the_plan_as_it_is_spelled():
    plan = Plan([Load(**GOOD), Load(**{**GOOD, "name": "kimi", "stream": True})], 60)
    assert "\n" not in plan.spec()
    made = worker.Worker(json.loads(plan.spec()))
    assert [one.rate for one in made.loads] == [5.0, 5.0]
    assert (made.seconds, made.limit, made.grace) == (60, 512, 10)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": ""}, "name must not be empty"),
        ({"url": "litellm:4000"}, "is no http:// or https:// address"),
        ({"url": "http://me:secret@litellm"}, "use key_env"),
        ({"model": ""}, "model must not be empty"),
        ({"rate": 0}, "rate must be above 0"),
        ({"rate": 1000}, "at most 100 a second"),
        ({"stream": "sometimes"}, "stream must be true, false or both"),
        ({"protocol": "gopher"}, "protocol 'gopher' is none of openai"),
        ({"prompt_tokens": 0}, "prompt_tokens must be at least 1"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ],
)
def test_a_load_that_cannot_be_generated_is_refused(change: dict[str, Any], text: str):
    with pytest.raises(BadLoad, match=text):
        Load(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"loads": []}, "there is no load"),
        ({"loads": [Load(**GOOD), Load(**GOOD)]}, "must have different names: chat, chat"),
        ({"seconds": 0}, "seconds must be above 0"),
        ({"concurrency": 0}, "concurrency must be above 0"),
        ({"grace_s": -1}, "grace_s must not be below 0"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(change: dict[str, Any], text: str):
    with pytest.raises(BadLoad, match=text):
        Plan(**{"loads": [Load(**GOOD)], "seconds": 60, **change})


def test_the_workers_source_is_found_in_a_zip_too(tmp_path: Path):
    package = Path(load.__file__).parent
    name = "ansible_collections/homelab/llm/plugins/module_utils/_probe"
    with zipfile.ZipFile(tmp_path / "module.zip", "w") as archive:
        for part in range(1, 7):
            archive.writestr("/".join(name.split("/")[:part]) + "/__init__.py", "")
        for file in ("load.py", "sign_in.py", "asking.py", "worker.py"):
            archive.write(package / file, f"{name}/{file}")
    path, package_name = str(tmp_path / "module.zip"), name.replace("/", ".")
    code = f"import sys; sys.path.insert(0, {path!r}); from {package_name} import load; print(load.program(), end='')"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == load.program()
