# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/drill.yml as a person runs it: what it wants to be told before it breaks anything."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import drilled_site
import pytest
import switched_site
from kubernetes import client
from site_under_test import Played, Site
from switched_site import FALLBACK, MODEL

pytestmark = pytest.mark.cluster

KEY = f"sk-{secrets.token_hex(16)}"
SECONDS = {"steady": 4, "fault": 8, "recovery": 5}


class Drills:
    """One backend to break, the one that answers in its place, and the playbook that does it."""

    def __init__(self, core: client.CoreV1Api, namespace: str) -> None:
        self.core, self.apps, self.namespace = core, client.AppsV1Api(core.api_client), namespace

    def play(self, report: Path, *options: str, **variables: Any) -> Played:
        base = f"http://{MODEL}.{self.namespace}.svc.cluster.local:8000/v1"
        own = {
            "litellm_models": [{"model_name": MODEL, "litellm_params": {"model": "openai/m", "api_base": base, "api_key": "sk-none"}}],
            "litellm_fallbacks": {MODEL: [FALLBACK]},
            "drill_model": MODEL,
            "drill_cloud_model": MODEL,
            "drill_primary": {"deployment": MODEL, "service": MODEL},
            "drill_image": drilled_site.SIMULATOR,
            "drill_key_secret": {"name": "litellm", "key": "LITELLM_MASTER_KEY"},
            "drill_counters": [],
            "drill_durations": SECONDS,
            "drill_report": str(report),
            "leaks_secrets": [{"namespace": self.namespace, "name": "litellm"}],
        }
        return Site(self.namespace).play("drill", *options, **{**own, **variables})

    @property
    def written(self) -> tuple[int, Mapping[str, str]]:
        """What the owner of the Deployment wrote of it, and how often anybody did."""
        found = self.apps.read_namespaced_deployment(MODEL, self.namespace).metadata
        return found.generation, found.annotations or {}


def text_of(played: Played) -> str:
    """All of it in one line, for sentences are wrapped."""
    return " ".join(played.output.split())


@pytest.fixture(scope="module")
def drills(core: client.CoreV1Api) -> Iterator[Drills]:
    if "SANDBOX_CA_FILE" not in os.environ:
        pytest.skip('not on the sandbox: eval "$(sandbox/sandbox env)"')
    name = f"dp-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        drilled_site.create(core.api_client, name, switched_site.manifests(KEY))
        drilled_site.wait_until_ready(core.api_client, name, 300)
        yield Drills(core, name)
    finally:
        core.delete_namespace(name)


def test_unasked_it_breaks_nothing_and_says_what_it_would_break_for_how_long_and_how_to_ask(drills: Drills, tmp_path: Path) -> None:
    before = drills.written
    played = drills.play(tmp_path)
    assert played.code == 2, played.output
    assert f"This breaks backends in namespace {drills.namespace} on purpose, each for about 8 s" in text_of(played)
    assert "-e drill_confirm=yes" in played.output
    assert drills.written == before
    assert list(tmp_path.iterdir()) == []


def test_a_drill_that_there_is_not_is_refused_with_those_that_there_are(drills: Drills, tmp_path: Path) -> None:
    before = drills.written
    played = drills.play(tmp_path, drill_confirm="yes", drill_only="failover,meltdown")
    assert played.code == 2, played.output
    assert "there is no drill meltdown; there are failover, failover-refuse, " in text_of(played)
    assert drills.written == before
