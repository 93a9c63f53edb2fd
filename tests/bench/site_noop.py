# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role with nothing to do, beside the same objects as one task of kubernetes.core each."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml
from measure import ANSIBLE, kubectl, report, run, seconds

KINDS = "configmap,service,deployment,networkpolicy,ingressroute,persistentvolumeclaim"


@dataclass(frozen=True)
class Part:
    """One of the services of the site."""

    role: str
    namespace: str
    asked: str

    @property
    def app(self) -> str:
        """Its app.kubernetes.io/name."""
        return self.role.replace("_", "-")


PARTS = (
    Part("litellm", "ml", "every tier asked"),
    Part("openclaw", "apps", "Claude asked"),
    Part("open_webui", "apps", "every model looked for"),
)


def names(part: Part) -> list[str]:
    """What the role converges, as kind and name in its namespace."""
    chosen = ("--selector", f"app.kubernetes.io/managed-by=homelab.llm,app.kubernetes.io/name={part.app}", "--output", "name")
    ours = kubectl("--namespace", part.namespace, "get", KINDS, *chosen)
    return [f"namespace/{part.namespace}", f"secret/{part.app}-secrets", *ours.split()]


def rival_playbook(part: Part, folder: Path) -> tuple[Path, int]:
    """Write the same objects as one kubernetes.core task each, without what only the server writes."""
    tasks = []
    for name in names(part):
        body = json.loads(kubectl("--namespace", part.namespace, "get", name, "--output", "json"))
        body.pop("status", None)
        keep = {key: body["metadata"][key] for key in ("name", "namespace", "labels") if key in body["metadata"]}
        tasks.append({"kubernetes.core.k8s": {"definition": {**body, "metadata": keep}, "apply": True}, "no_log": True})
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"ansible_python_interpreter": sys.executable}, "tasks": tasks}
    path = folder / "rival.yml"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump([play]))
    return path, len(tasks)


def role_playbook(part: Part, folder: Path) -> Path:
    """Write what somebody has who uses this role alone: site.yml also checks what the others are told, whatever its tags."""
    path = folder / "role.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "roles": [f"homelab.llm.{part.role}"]}]))
    return path


def compare(part: Part) -> None:
    with tempfile.TemporaryDirectory() as folder:
        role = (ANSIBLE, "-i", "inventories/sandbox", role_playbook(part, Path(folder)))
        ours = seconds(lambda: run(*role, "--skip-tags", "verify"))
        verified = seconds(lambda: run(*role))
        rival, count = rival_playbook(part, Path(folder))
        words = (ANSIBLE, "-i", "localhost,", "-c", "local", rival)
        run(*words)  # its annotations are on the objects afterwards
        theirs = seconds(lambda: run(*words))
        run(*role, "--skip-tags", "verify")
    beside = f"its {count} objects as kubernetes.core tasks"
    report(f"role {part.role} with nothing to do, verification left out", ours, beside, theirs)
    report(f"role {part.role} with nothing to do, {part.asked}", verified, beside, theirs)


def bench() -> None:
    for part in PARTS:
        compare(part)
