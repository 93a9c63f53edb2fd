# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml, ended by SIGKILL wherever it is: nothing is lost, and the next run brings everything to where it should be."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from site_under_test import ROOT, Played, Site

pytestmark = pytest.mark.cluster

#: When the play is killed: the task, and how many seconds into it. One that writes takes about a tenth of a second.
POINTS = (
    ("Patch provider keys", 0.0),
    ("Write models, chains and settings", 0.05),
    ("Apply the manifests", 0.1),
    ("Wait until the new pods serve", 2.0),
    ("Ask the models of every tier through the Service", 0.5),
)


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    """A namespace with LiteLLM in it, whose Secret and config hold something that is not ours."""
    site = Site(f"kill-{uuid.uuid4().hex[:8]}")
    first = site.play("site", litellm_verify=False)
    assert first.code == 0, first.output
    core.patch_namespaced_secret("litellm-secrets", site.namespace, {"stringData": {"THEIRS": uuid.uuid4().hex}})
    text = config_of(core, site) + "\n# by hand\n"
    core.patch_namespaced_config_map("litellm-config", site.namespace, {"data": {"config.yaml": text}})
    yield site
    core.delete_namespace(site.namespace)


def config_of(core: client.CoreV1Api, site: Site) -> str:
    return str(core.read_namespaced_config_map("litellm-config", site.namespace).data["config.yaml"])


def secret_of(core: client.CoreV1Api, site: Site) -> dict[str, str]:
    data = core.read_namespaced_secret("litellm-secrets", site.namespace).data
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def processes_of(pid: int) -> list[int]:
    """The process and all below it. Ansible's workers have sessions of their own, so a process group would not do."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in processes_of(int(child)))]


def killed_in(task: str, seconds: float, site: Site, environ: dict[str, str], **variables: Any) -> str:
    """Run site.yml, and kill all its processes so many seconds after it says that it begins `task`. Return what it had printed."""
    services = {"openclaw_enabled": False, "open_webui_enabled": False}
    given = {**services, "litellm_namespace": site.namespace, "litellm_exposure": "none", **variables}
    command = [sys.executable, "-m", "ansible.cli.playbook", "playbooks/site.yml", "-i", "inventories/sandbox", "-e", json.dumps(given)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1", **environ}
    printed: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            printed.append(line)
            if task in line:
                time.sleep(seconds)
                for each in processes_of(process.pid):
                    os.kill(each, signal.SIGKILL)
                break
        printed.append(process.stdout.read())
        assert process.wait() == -signal.SIGKILL, "".join(printed)
    return "".join(printed)


@pytest.mark.parametrize(("task", "seconds"), POINTS, ids=[task for task, _seconds in POINTS])
def test_a_play_that_is_killed_loses_nothing_and_the_next_run_converges(
    site: Site, core: client.CoreV1Api, task: str, seconds: float, record_property: Callable[[str, object], None]
) -> None:
    before, pods = secret_of(core, site), {pod.metadata.name for pod in site.pods(core)}
    # Something to do for every step: a new provider key, another setting, and so new pods.
    new_key = {"OPENAI_API_KEY": f"sk-{uuid.uuid4().hex}"}
    budget = 100 + [each for each, _seconds in POINTS].index(task)
    change = {"litellm_settings_extra": {"litellm_settings": {"max_budget": budget}}}
    printed = killed_in(task, seconds, site, new_key, **change)
    assert "PLAY RECAP" not in printed

    after_kill, text = secret_of(core, site), config_of(core, site)
    done = {
        "key patched": after_kill["OPENAI_API_KEY"] == new_key["OPENAI_API_KEY"],
        "config written": f"max_budget: {budget}" in text,
        "Deployment applied": pods != {pod.metadata.name for pod in site.pods(core)},
    }
    assert set(after_kill) == set(before)
    assert {key: after_kill[key] for key in before if key not in new_key} == {key: before[key] for key in before if key not in new_key}
    assert after_kill["OPENAI_API_KEY"] in (before["OPENAI_API_KEY"], new_key["OPENAI_API_KEY"])
    assert yaml.safe_load(text)["model_list"], "the config is whole, old or new"

    next_run = site.play("site", environ=new_key, **change)
    assert next_run.code == 0, next_run.output
    assert secret_of(core, site) == {**before, **new_key}
    config = config_of(core, site)
    assert (yaml.safe_load(config)["litellm_settings"]["max_budget"], config.endswith("\n# by hand\n")) == (budget, True)
    assert "answered in" in next_run.output
    assert_nothing_to_do(site.play("site", environ=new_key, litellm_verify=False, **change))
    found = ", ".join(f"{what}: {'yes' if it else 'no'}" for what, it in done.items())
    record_property("table", f"SIGKILL {seconds} s into '{task}': {found}; the next run converged (changed={next_run.recap['changed']})")


def assert_nothing_to_do(played: Played) -> None:
    assert (played.code, played.recap["changed"]) == (0, 0), played.output
