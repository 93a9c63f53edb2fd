# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small site whose first tier can be taken away: model group `one`, which falls back to `one-next`, and the real LiteLLM before them."""

from __future__ import annotations

from typing import Any

import drilled_site
import yaml
from drilled_site import Group

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
