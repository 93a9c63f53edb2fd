#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: litellm_model
short_description: Edit the models, fallback chains and settings of a LiteLLM config
version_added: 0.1.0
description:
  - Brings entries of C(model_list), fallback lists and settings in a LiteLLM config to what is told, in a key of a ConfigMap or in a file.
  - Everything else in the config keeps every byte, comments and order included.
  - Checks the whole config before it is written, and tells all that is wrong in one error.
  - A fallback to a model that is not there, to itself, in a cycle, to an O(explicit_only) model, or further down than LiteLLM walks.
  - A key in plain text, one that the pods would not have, and an Ollama address that ends in C(/api).
  - A bound on the first token (C(model_info.first_token_timeout), see the role P(homelab.llm.litellm#role)) that could not work.
  - LiteLLM reads its config at its start only. Roll the pods by an annotation with RV(checksum), or let them mount RV(snapshot).
options:
  namespace:
    description: Namespace of the ConfigMap.
    type: str
  name:
    description: Name of the ConfigMap. It is made when it is not there, its namespace is not.
    type: str
    default: litellm-config
  key:
    description: Key of the ConfigMap that holds the config.
    type: str
    default: config.yaml
  path:
    description: Path of the config file, instead of a ConfigMap.
    type: path
  models:
    description:
      - Entries of C(model_list), in LiteLLM's own words.
      - An entry is told as a whole, so what it does not say is removed from it.
      - It is found by its C(model_info.id), else by C(model_name), C(litellm_params.model) and C(litellm_params.api_base) together.
      - With O(state=absent) the C(model_name) alone stands for all entries of that name.
    type: list
    elements: dict
    default: []
  fallbacks:
    description:
      - Model groups to try, in order, when the one that is the key fails. An empty list takes the chain out.
      - They are edited where the config has them, else written to C(router_settings).
    type: dict
    default: {}
  explicit_only:
    description: Model groups that a client may ask for by name, and that no chain may reach.
    type: list
    elements: str
    default: []
  settings:
    description: Settings to merge into the config, key by key. A V(null) takes a key out.
    type: dict
    default: {}
    suboptions:
      litellm_settings:
        description: What goes into C(litellm_settings).
        type: dict
      router_settings:
        description: What goes into C(router_settings).
        type: dict
      general_settings:
        description: What goes into C(general_settings).
        type: dict
  state:
    description: Whether the told entries, fallback lists and settings shall be in the config or not.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description: Whether to remove the entries and fallback lists that are not told. Settings are never purged.
    type: bool
    default: false
  secret:
    description:
      - Secret that the pods read their environment from. Every C(os.environ/NAME) that is told must be a key of it, or in O(env_names).
      - Only the names of its keys are used.
    type: dict
    suboptions:
      namespace:
        description: Namespace of the Secret. That of the ConfigMap without it.
        type: str
      name:
        description: Name of the Secret.
        type: str
        required: true
  snapshot:
    description:
      - Whether to keep the config as an immutable ConfigMap too, named after O(name) and the first ten digits of RV(checksum), or of that
        of config and O(snapshot_files) together.
      - Pods that mount it keep their own config however O(name) is edited, so one that is started again after a rollout that failed
        serves as before, and C(kubectl rollout undo) brings back the config with the pods.
      - When a new one is made, old ones go that no ReplicaSet and no Pod of the namespace refers to, but for the newest of these.
      - They all go with the ConfigMap O(name).
    type: bool
    default: false
  snapshot_files:
    description:
      - Texts that are kept with the config in its snapshot, by the key that each has there.
      - For files that LiteLLM loads from beside its config, such as callbacks. With them in the snapshot, pods that mount it keep what
        belongs to their config.
    type: dict
    default: {}
  env_names:
    description: Names of environment variables that the pods have, or will have, from elsewhere.
    type: list
    elements: str
    default: []
  missing_keys:
    description:
      - What to do with a model that reads an environment variable which neither O(secret) nor O(env_names) has.
      - V(leave_out) leaves it out of the config and of the told chains, removes it when it is there, and warns.
    type: str
    choices: [fail, leave_out]
    default: fail
  failover_budget:
    description:
      - How many seconds LiteLLM may at most take to ask the next model group when one fails. Not checked when it is not told.
      - It is held against the worst single failover, of one model group to the next, that RV(failover) has for any fault, streamed or not,
        for the first request of an outage and for later ones. A request for which several fail takes the sum.
    type: float
  failover_budgets:
    description:
      - Budgets of their own for the model groups that are the keys, whenever one of them fails, in whichever chain. All others keep
        O(failover_budget).
    type: dict
    default: {}
  over_budget:
    description: What to do when a model group may take longer than its budget to fail over.
    type: str
    choices: [fail, warn]
    default: fail
  verify_tags:
    description:
      - Whether to ask the providers of entries that are added or changed, before the config is written, if they have those models.
      - Asked are providers that speak Ollama's protocol (C(ollama/...) and C(ollama_chat/...)) with a key, at C(GET /api/tags) of their
        C(api_base), and with an empty request for an answer, which costs nothing, if they take the key.
      - A model whose key is not there is not asked for, with a warning. Nobody is asked without this option.
      - A pattern (C(ollama_chat/*)) and an address out of the environment (C(os.environ/NAME)) are not asked for.
    type: dict
    suboptions:
      vantage:
        description:
          - Where to ask from. V(here) is where this module runs, with the key from O(secret), or else from the environment.
          - V(pod) is a short-lived pod beside O(secret), which sees what LiteLLM's pods will see, and the key never leaves the cluster.
            In check mode it is not run.
        type: str
        choices: [pod, here]
        default: here
      image:
        description: Image of the pod, with C(python3) in it. Best LiteLLM's own, which the nodes have or will need anyway.
        type: str
      ca:
        description: PEM text of certificate authorities to trust besides the usual ones.
        type: str
        default: ""
      env:
        description: Environment variables of the pod, such as those for a proxy.
        type: dict
        default: {}
      timeout:
        description: How many seconds a provider may take.
        type: int
        default: 10
      changed_keys:
        description: Environment variables whose value has just been changed. The models that read one are asked for too.
        type: list
        elements: str
        default: []
extends_documentation_fragment:
  - homelab.llm.kubernetes
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
attributes:
  check_mode:
    support: full
    details: The write is sent as the server's own dry run. In a cluster that does not have the namespace yet, it is only predicted.
  diff_mode:
    support: full
    details: Keys in plain text are masked.
  idempotent:
    support: full
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: LiteLLM | Serve a cloud model that falls back to a local one, within 5 seconds
  homelab.llm.litellm_model:
    namespace: ml
    secret:
      name: litellm-secrets # has the key OLLAMA_API_KEY
    models:
      - model_name: cloud-kimi
        litellm_params:
          model: ollama_chat/kimi-k2.5
          api_base: https://ollama.com
          api_key: os.environ/OLLAMA_API_KEY
          timeout: 60
          stream_timeout: 4
      - model_name: ollama-qwen
        litellm_params:
          model: ollama_chat/qwen2.5:3b
          api_base: http://ollama.ml.svc.cluster.local:11434
          timeout: 120
    fallbacks:
      cloud-kimi: [ollama-qwen]
    settings:
      router_settings:
        num_retries: 0 # each one sleeps before the next model is asked
    failover_budget: 5
    failover_budgets:
      cloud-kimi: 62 # an answer that is not streamed may take its minute
  register: litellm_config

- name: LiteLLM | Take a model out of a config file, chain included
  homelab.llm.litellm_model:
    path: /srv/litellm/config.yaml
    state: absent
    models:
      - model_name: groq/mixtral-8x7b-32768
    fallbacks:
      groq/mixtral-8x7b-32768: []
"""

RETURN = r"""
checksum:
  description: SHA-256 of the config's text.
  returned: success
  type: str
  sample: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
models:
  description: Names of the model groups that the config serves, in its order.
  returned: success
  type: list
  elements: str
  sample: [vllm-qwen, ollama-qwen]
chains:
  description: The model groups LiteLLM tries, in order, per requested model group. The requested one is the first.
  returned: success
  type: dict
  sample: {"cloud-kimi": ["cloud-kimi", "vllm-qwen", "ollama-qwen"]}
chains_text:
  description: The same as a picture, for people.
  returned: success
  type: str
  sample: "cloud-kimi\n├─ vllm-qwen\n│  └─ ollama-qwen"
chains_mermaid:
  description: The same as a Mermaid flowchart, with the seconds that each model group may take to fail over.
  returned: success
  type: str
  sample: "flowchart LR\n  m0[\"vllm-qwen\"]\n  m1[\"ollama-qwen\"]\n  m0 -->|\"1, 3.4 s\"| m1"
failover:
  description:
    - How many seconds LiteLLM may take to ask the next model group, computed from its timeouts, retries, back-off and cooldowns.
      Upper bounds for one fault at a time, without the time that the one which answers takes.
    - The first request of an outage and later ones differ where a cooldown follows. When that is over, one request pays as the first did.
  returned: success
  type: dict
  contains:
    tiers:
      description: >-
        Per model group that has somewhere to fall back to, per fault: the seconds of the C(first) request and of C(later) ones, those
        of requests to stream (C(first_streamed), C(later_streamed); not for a hang in mid-answer, when a stream ends in an error), and
        the C(settings) that make them so many. In mid-answer they count from its last token.
      type: dict
      sample:
        vllm-qwen:
          hang before headers:
            first: 3.4
            later: 0.4
            first_streamed: 3.4
            later_streamed: 0.4
            settings: [litellm_params.timeout of vllm-qwen (3) bounds it]
    chains:
      description: >-
        Per model group with a chain: what is C(tried), the C(seconds) of its worst failover, which model group C(fails) then, by which
        C(fault), C(streamed) or not, the C(setting) behind it, and the C(total) when all but the last fail in their worst way.
      type: dict
      sample:
        vllm-qwen:
          tried: [vllm-qwen, ollama-qwen]
          seconds: 3.4
          fails: vllm-qwen
          fault: hang before headers
          streamed: false
          setting: litellm_params.timeout of vllm-qwen (3) bounds it
          total: 3.4
failover_text:
  description: The same as a table, for people.
  returned: success
  type: str
added:
  description: Model names of the entries that were added.
  returned: success
  type: list
  elements: str
changed_entries:
  description: Model names of the entries that were changed.
  returned: success
  type: list
  elements: str
removed:
  description: Model names of the entries that were removed.
  returned: success
  type: list
  elements: str
snapshot:
  description: Name of the immutable ConfigMap with this config.
  returned: when O(snapshot=true) and there is a config
  type: str
  sample: litellm-config-5f70bf18a0
snapshots_removed:
  description: Names of the snapshots that nothing used any more.
  returned: when O(snapshot=true) and there is a config
  type: list
  elements: str
left_out:
  description: Models that were left out because the pods do not have the variables they read.
  returned: success
  type: list
  elements: dict
  sample: [{"model_name": "cloud-kimi", "missing": ["OLLAMA_API_KEY"]}]
problems:
  description: Everything that is wrong, one sentence each.
  returned: failure
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.options import argument_spec
from ansible_collections.homelab.llm.plugins.module_utils._litellm import verify_tags
from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import SECTIONS
from ansible_collections.homelab.llm.plugins.module_utils._litellm.task import work

SPECIFICATION: dict[str, Any] = dict(
    argument_spec=dict(
        namespace=dict(type="str"),
        name=dict(type="str", default="litellm-config"),
        key=dict(type="str", default="config.yaml", no_log=False),
        path=dict(type="path"),
        models=dict(type="list", elements="dict", default=[]),
        fallbacks=dict(type="dict", default={}),
        explicit_only=dict(type="list", elements="str", default=[]),
        settings=dict(type="dict", default={}, options={section: dict(type="dict") for section in SECTIONS}),
        state=dict(type="str", choices=["present", "absent"], default="present"),
        purge=dict(type="bool", default=False),
        secret=dict(type="dict", no_log=False, options=dict(namespace=dict(type="str"), name=dict(type="str", required=True))),
        snapshot=dict(type="bool", default=False),
        snapshot_files=dict(type="dict", default={}),
        env_names=dict(type="list", elements="str", default=[]),
        missing_keys=dict(type="str", choices=["fail", "leave_out"], default="fail", no_log=False),
        failover_budget=dict(type="float"),
        failover_budgets=dict(type="dict", default={}),
        over_budget=dict(type="str", choices=["fail", "warn"], default="fail"),
        verify_tags=verify_tags.ARGUMENT_SPEC,
        **argument_spec(),
    ),
    mutually_exclusive=[("namespace", "path")],
    required_one_of=[("namespace", "path")],
    supports_check_mode=True,
    no_log=True,  # an entry with a key in plain text is refused, but not before Ansible would have logged it
)


def main() -> None:
    work(AnsibleModule(**SPECIFICATION))


if __name__ == "__main__":
    main()
