# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edit of one entry in a long config: the editor alone, and litellm_model as a task with all its checks."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from measure import ANSIBLE, report, run, seconds
from ruamel.yaml import YAML

from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import identify
from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import load, rewrite


def entries_of(count: int) -> list[dict[str, Any]]:
    base = {"api_base": "http://vllm:8000/v1", "api_key": "sk-none", "timeout": 3}
    return [{"model_name": f"model-{index}", "litellm_params": {"model": f"openai/m-{index}", **base}} for index in range(count)]


def chains_of(count: int) -> dict[str, list[str]]:
    """Every second model falls back to the next one."""
    return {f"model-{index}": [f"model-{index + 1}"] for index in range(0, count - 1, 2)}


def config_of(count: int) -> str:
    fallbacks = [{head: targets} for head, targets in chains_of(count).items()]
    return yaml.safe_dump({"model_list": entries_of(count), "router_settings": {"fallbacks": fallbacks}}, sort_keys=False)


def edit(text: str) -> str:
    """Change one setting of the entry in the middle, as litellm_model does."""
    wanted = load(text)
    models = wanted["model_list"]
    models[len(models) // 2]["litellm_params"]["timeout"] = 7
    return rewrite(text, wanted, identify)


def rival_edit(text: str) -> str:
    """The same with the usual round-trip library, which keeps comments but not every byte."""
    library = YAML()
    wanted = library.load(text)
    models = wanted["model_list"]
    models[len(models) // 2]["litellm_params"]["timeout"] = 7
    out = io.StringIO()
    library.dump(wanted, out)
    return out.getvalue()


def task(folder: Path, count: int, timeout: int) -> None:
    """A play of one litellm_model task that is told all entries and chains and changes one of them (none when count is 0)."""
    models = entries_of(count)
    if models:
        models[count // 2]["litellm_params"]["timeout"] = timeout
    told = {"path": str(folder / f"{count}.yaml"), "models": models, "fallbacks": chains_of(count), "failover_budget": 200}
    told["settings"] = {"router_settings": {"num_retries": 0}}
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"ansible_python_interpreter": sys.executable}}
    (folder / "play.yml").write_text(json.dumps([{**play, "tasks": [{"homelab.llm.litellm_model": told}]}]))
    run(ANSIBLE, "-i", "localhost,", "-c", "local", folder / "play.yml")


def bench() -> None:
    for count in (100, 1000):
        text = config_of(count)
        report(
            f"editing one of {count:,} entries of a config",
            seconds(partial(edit, text)),
            "ruamel.yaml: load, dump",
            seconds(partial(rival_edit, text)),
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        taken: dict[int, float] = {}
        for count in (0, 100, 1000):
            task(folder, count, 3)
            timeouts = iter(range(4, 100))
            taken[count] = seconds(lambda count=count, timeouts=timeouts: task(folder, count, next(timeouts)))  # type: ignore[misc]
    ten_times_hundred = 10 * (taken[100] - taken[0])
    report(
        "litellm_model with 1,000 entries, a play of nothing taken off", taken[1000] - taken[0], "ten times that of 100", ten_times_hundred
    )
