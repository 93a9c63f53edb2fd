# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge of `_litellm/policy_config.py` for playbooks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: litellm_policy
short_description: Say a policy of order, limits and cache in LiteLLM's words
version_added: 0.1.0
description:
  - Takes what somebody wants of LiteLLM and returns what M(homelab.llm.litellm_model) is to be told for it.
  - Fails with all that is wrong with the policy in one error, before anything is written.
  - A request that a limit refuses goes to the next model of C(litellm.fallback_strategy), as does one that runs into
    C(litellm.api_timeout).
  - A C(monthly_limit_usd) is kept by LiteLLM's price table. The next model takes over when 80 percent of it are spent, with
    C(fallback_after_80_percent=false) when all of it is. The request that crosses the line is still answered.
  - A month begins with the first request that costs something.
  - What was spent and asked for is counted in LiteLLM's memory and is forgotten when it is started again, unless O(redis) says where to
    keep it.
positional: _input, models
options:
  _input:
    description:
      - The policy, with the sections C(litellm) and C(router).
      - Its names of models are the C(model_name) of O(models). A key of C(litellm.quota_limits) is the name of a model, or how it
        begins, without regard to anything but letters and digits, so that C(gpt4) means C(gpt-4-turbo).
    type: dict
    required: true
  models:
    description:
      - Entries of LiteLLM's C(model_list). Those that C(litellm.allowed_models) does not have are left out.
      - Several of one C(model_name) are equals, of which C(router.strategy=cost-based) asks the cheapest.
      - A model that has a C(monthly_limit_usd) and no price in LiteLLM's table needs C(litellm_params.input_cost_per_token) and
        C(litellm_params.output_cost_per_token).
    type: list
    elements: dict
    required: true
  redis:
    description:
      - Where a Redis is that keeps what was spent and asked for, with C(host), C(port) and the name of the environment variable that holds
        its C(password).
    type: dict
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: LiteLLM | Write its config
  homelab.llm.litellm_model:
    path: /srv/litellm/config.yaml
    purge: true
    models: "{{ config.models }}"
    fallbacks: "{{ config.fallbacks }}"
    settings: "{{ config.settings }}"
  vars:
    config: "{{ policy | homelab.llm.litellm_policy(models) }}"
    policy:
      litellm:
        fallback_strategy: [claude-opus-4.5, ollama/neural-chat]
        api_timeout: 30
        cache_config: {enable_cache: true, ttl: 3600}
        quota_limits:
          claude: {monthly_limit_usd: 100, rpm_limit: 100}
      router: {strategy: cost-based}
    models:
      - model_name: claude-opus-4.5
        litellm_params: {model: anthropic/claude-opus-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
      - model_name: ollama/neural-chat
        litellm_params: {model: ollama_chat/neural-chat, api_base: "http://ollama:11434"}
"""

RETURN = r"""
_value:
  description:
    - The parameters C(models), C(fallbacks) and C(settings) of M(homelab.llm.litellm_model), and the C(environment) LiteLLM is to have.
  type: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.homelab.llm.plugins.module_utils._litellm.policy import read
from ansible_collections.homelab.llm.plugins.module_utils._litellm.policy_config import Redis, as_data, configure


def litellm_policy(policy: Any, models: list[Any], redis: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what to tell litellm_model. Raises AnsibleFilterError with everything that is wrong."""
    known, problems = read(policy)
    if known is not None:
        configuration = configure(known, models, _redis(redis))
        problems = configuration.problems
    if problems:
        raise AnsibleFilterError("The policy cannot be kept:" + "".join(f"\n- {problem}" for problem in problems))
    return as_data(configuration)


def _redis(told: Mapping[str, Any] | None) -> Redis | None:
    if not told:
        return None
    try:
        return Redis(str(told["host"]), int(told.get("port", 6379)), str(told.get("password") or ""))
    except (KeyError, TypeError, ValueError):
        raise AnsibleFilterError(
            "redis has to be a mapping with the text host, the number port and the name of the variable password"
        ) from None


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"litellm_policy": litellm_policy}
