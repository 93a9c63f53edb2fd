# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge of `_stack/stand_ins.py` for playbooks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: litellm_stand_ins
short_description: Tell which models lack their keys, and who answers in their place
version_added: 0.1.0
description:
  - Of a chain, the models that read an environment variable which is not there cannot be served.
  - Their names stay in use. C(aliases) is for LiteLLM's C(router_settings.model_group_alias), so that a client that asks for the first of a
    chain is answered by the first that has its key.
  - What fails there is answered by whoever is next in the chain of the stand-in, which has to be said for the name as well.
positional: _input, order, names, fallbacks
options:
  _input:
    description: Entries of LiteLLM's C(model_list).
    type: list
    elements: dict
    required: true
  order:
    description: Model groups in the order in which they are to be asked.
    type: list
    elements: str
    required: true
  names:
    description: Names of the environment variables that LiteLLM has.
    type: list
    elements: str
    required: true
  fallbacks:
    description: Fallback lists by model group.
    type: dict
    default: {}
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: LiteLLM | Tell which tiers are skipped
  ansible.builtin.debug:
    msg: "{{ (models | homelab.llm.litellm_stand_ins(['claude-opus-4.5', 'ollama/neural-chat'], ['LITELLM_MASTER_KEY'])).messages }}"
"""

RETURN = r"""
_value:
  description:
    - C(lacking), the variables by model group; C(aliases), the stand-in by model group; C(messages), a sentence for each.
    - C(fallbacks), the lists without what cannot be served, and with one for each stand-in.
  type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._stack.stand_ins import find


def litellm_stand_ins(
    models: Sequence[Mapping[str, Any]], order: Sequence[str], names: Sequence[str], fallbacks: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """Return the stand-ins as plain data."""
    found = find(models, order, names)
    return {
        "lacking": {group: list(variables) for group, variables in found.lacking.items()},
        "aliases": dict(found.aliases),
        "fallbacks": found.fallbacks(fallbacks or {}),
        "messages": found.messages,
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"litellm_stand_ins": litellm_stand_ins}
