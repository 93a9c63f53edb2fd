# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failover probe on a real cluster: real faults, the real LiteLLM, simulators as backends, one site for all files.

A file's drills are done at once, several at a time, when its first test begins; each test then looks at what became of its own.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drilled_site
import pytest
from drilled_chat import Chat, drilled_chat
from drills import Job, Jobs, Site
from kubernetes import client


@pytest.fixture(scope="session")
def key() -> str:
    return f"sk-{secrets.token_hex(16)}"


@pytest.fixture(scope="session")
def site(core: client.CoreV1Api, kubeconfig: Path, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"dr-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        drilled_site.create(core.api_client, name, drilled_site.manifests(key))
        drilled_site.wait_until_ready(core.api_client, name)
        yield Site(core, name, kubeconfig, tmp_path_factory.mktemp("drills"))
    finally:
        core.delete_namespace(name)


@pytest.fixture(scope="session")
def chat(site: Site) -> Iterator[Chat]:
    """Open-WebUI in front of it, by the role."""
    with drilled_chat(site) as running:
        yield running


@pytest.fixture(scope="module")
def done(site: Site, request: pytest.FixtureRequest) -> Jobs:
    """All jobs of the file that tests of this run ask for, done."""
    here = [item for item in request.session.items if item.path == request.path]
    found = [value for item in here if hasattr(item, "callspec") for value in item.callspec.params.values()]
    return Jobs(site, [job for job in found if isinstance(job, Job)])


@pytest.fixture
def outcome(done: Jobs, job: Job) -> Any:
    """What became of a test's own job: the test has it as its parameter `job`."""
    return done.result(job)
