# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small site whose first tier can be taken away: model group `one`, which falls back to `one-next`, and the real LiteLLM before them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import drilled_site
import pytest
import yaml
from drilled_site import Group
from kubernetes import client

MODEL, FALLBACK = "one", "one-next"
GROUPS = {
    MODEL: Group("one", (FALLBACK,)),
    FALLBACK: Group("one-next"),
    # Two more on the first tier's server, one of them a fallback that is none.
    "masked": Group("one", ("mask",)),
    "mask": Group("one"),
    # Its server is not there.
    "nobody": Group("two-next"),
}


def manifests(key: str) -> list[dict[str, Any]]:
    """The Secrets, LiteLLM and both backends."""
    defaults = yaml.safe_load((drilled_site.ROLE / "defaults/main.yml").read_text())
    secrets = {
        "litellm": {"LITELLM_MASTER_KEY": key, "PROVIDER_KEY": drilled_site.RIGHT_KEY},
        "accepted": {"guarded": drilled_site.RIGHT_KEY},
    }
    config = drilled_site.config_of(defaults)
    config["model_list"] = [drilled_site.entry(name, group, defaults) for name, group in GROUPS.items()]
    fallbacks = [{name: list(group.fallbacks)} for name, group in GROUPS.items() if group.fallbacks]
    config["router_settings"] = {**config["router_settings"], "fallbacks": fallbacks}
    litellm = drilled_site.litellm("litellm", config, defaults["litellm_image"])
    # Nobody holds its times against a limit here, so it need not have a share of its own, which a small node may not have.
    (made,) = (each for each in litellm if each["kind"] == "Deployment")
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "20m"}}
    return [
        *({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data} for name, data in secrets.items()),
        *litellm,
        *drilled_site.backend(MODEL, "vllm"),
        *drilled_site.backend(FALLBACK, "ollama"),
    ]


@contextmanager
def switched_site(core: client.CoreV1Api, key: str) -> Iterator[str]:
    """The namespace of one that serves, removed afterwards."""
    if "SANDBOX_CA_FILE" not in os.environ:
        pytest.skip('not on the sandbox: eval "$(sandbox/sandbox env)"')
    name = f"switched-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        drilled_site.create(core.api_client, name, manifests(key))
        drilled_site.wait_until_ready(core.api_client, name)
        yield name
    finally:
        core.delete_namespace(name)


def variables(namespace: str) -> dict[str, Any]:
    """What the playbooks have to be told of it."""
    return {
        "drill_namespace": namespace,
        "drill_model": MODEL,
        "litellm_fallbacks": {MODEL: [FALLBACK]},
        "drill_primary": {"deployment": MODEL, "service": MODEL},
        "drill_image": drilled_site.SIMULATOR,
        "drill_key_secret": {"name": "litellm", "key": "LITELLM_MASTER_KEY"},
    }
