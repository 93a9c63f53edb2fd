# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edit of one entry in a long config: the editor alone, and litellm_model as a task with all its checks."""

from __future__ import annotations

import io
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from measure import report, seconds
from ruamel.yaml import YAML

from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import identify
from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import load, rewrite
from ansible_collections.homelab.llm.plugins.modules.litellm_model import SPECIFICATION, work
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import ControllerModule, Finished


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
    """What litellm_model does when it is told all entries and chains and one of them has changed, from its parameters to its result."""
    models = entries_of(count)
    models[count // 2]["litellm_params"]["timeout"] = timeout
    told = {"path": str(folder / f"{count}.yaml"), "models": models, "fallbacks": chains_of(count), "failover_budget": 200}
    told["settings"] = {"router_settings": {"num_retries": 0}}
    specification = {name: value for name, value in SPECIFICATION.items() if name not in ("no_log", "supports_check_mode")}
    params = ArgumentSpecValidator(**specification).validate(told).validated_parameters
    try:
        work(ControllerModule(params, set(), check_mode=False, diff=False))
    except Finished as finished:
        if not finished.result.get("changed"):
            sys.exit(f"litellm_model did not change a thing: {finished.result}")


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
        taken = {}
        for count in (100, 1000):
            task(folder, count, 3)
            timeouts = iter(range(4, 100))
            taken[count] = seconds(lambda count=count, timeouts=timeouts: task(folder, count, next(timeouts)), 5)  # type: ignore[misc]
    report("litellm_model with 1,000 entries and 500 chains", taken[1000], "ten times that of 100 entries", 10 * taken[100])
