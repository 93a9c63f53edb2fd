# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml with nothing to do, beside the same objects as one task of kubernetes.core each."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import yaml
from measure import ANSIBLE, kubectl, report, run, seconds

SITE = (ANSIBLE, "-i", "inventories/sandbox", "playbooks/site.yml", "-e", "openclaw_enabled=false")
KINDS = "configmap,service,deployment,networkpolicy,ingressroute"


def names() -> list[str]:
    """What the role converges, as kind and name in namespace ml."""
    ours = kubectl("--namespace", "ml", "get", KINDS, "--selector", "app.kubernetes.io/managed-by=homelab.llm", "--output", "name")
    return ["namespace/ml", "secret/litellm-secrets", *ours.split()]


def rival_playbook(folder: Path) -> tuple[Path, int]:
    """Write the same objects as one kubernetes.core task each, without what only the server writes."""
    tasks = []
    for name in names():
        body = json.loads(kubectl("--namespace", "ml", "get", name, "--output", "json"))
        body.pop("status", None)
        keep = {key: body["metadata"][key] for key in ("name", "namespace", "labels") if key in body["metadata"]}
        tasks.append({"kubernetes.core.k8s": {"definition": {**body, "metadata": keep}, "apply": True}, "no_log": True})
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"ansible_python_interpreter": sys.executable}, "tasks": tasks}
    path = folder / "rival.yml"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump([play]))
    return path, len(tasks)


def bench() -> None:
    ours = seconds(lambda: run(*SITE, "--skip-tags", "verify"))
    verified = seconds(lambda: run(*SITE))
    with tempfile.TemporaryDirectory() as folder:
        rival, count = rival_playbook(Path(folder))
        run(ANSIBLE, "-i", "localhost,", "-c", "local", rival)  # its annotations are on the objects afterwards
        theirs = seconds(lambda: run(ANSIBLE, "-i", "localhost,", "-c", "local", rival))
    run(*SITE, "--skip-tags", "verify")
    report("site.yml with nothing to do, verification left out", ours, f"its {count} objects as kubernetes.core tasks", theirs)
    report("site.yml with nothing to do, every tier asked", verified, f"its {count} objects as kubernetes.core tasks", theirs)
