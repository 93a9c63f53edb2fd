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
  - LiteLLM reads its config at its start only. Roll the pods by an annotation with RV(checksum).
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
- name: LiteLLM | Serve a cloud model that falls back to the local ones
  homelab.llm.litellm_model:
    namespace: ml
    secret:
      name: litellm-secrets
    models:
      - model_name: cloud-kimi
        litellm_params:
          model: ollama_chat/kimi-k2.5
          api_base: https://ollama.com
          api_key: os.environ/OLLAMA_API_KEY
          timeout: 60
    fallbacks:
      cloud-kimi: [vllm-qwen, ollama-qwen]
    explicit_only: [openai-gpt4o]
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

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.options import argument_spec
from ansible_collections.homelab.llm.plugins.module_utils._litellm import _yaml
from ansible_collections.homelab.llm.plugins.module_utils._litellm.config import SECTIONS, Told
from ansible_collections.homelab.llm.plugins.module_utils._litellm.converge import Result, Wanted, converge
from ansible_collections.homelab.llm.plugins.module_utils._litellm.document import DocumentError, checksum
from ansible_collections.homelab.llm.plugins.module_utils._litellm.mask import mask
from ansible_collections.homelab.llm.plugins.module_utils._litellm.secret_fields import inline_values
from ansible_collections.homelab.llm.plugins.module_utils._litellm.target import ChangedMeanwhileError, ConfigMapKey, File, Target

#: How often to read and edit again when somebody else keeps writing at the same time.
TRIES = 5


def main() -> None:
    module = AnsibleModule(
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
            env_names=dict(type="list", elements="str", default=[]),
            missing_keys=dict(type="str", choices=["fail", "leave_out"], default="fail", no_log=False),
            **argument_spec(),
        ),
        mutually_exclusive=[("namespace", "path")],
        required_one_of=[("namespace", "path")],
        supports_check_mode=True,
        no_log=True,  # an entry with a key in plain text is refused, but not before Ansible would have logged it
    )
    module.no_log_values.update(inline_values([module.params["models"], module.params["settings"]]))
    if not _yaml.AVAILABLE:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    try:
        module.exit_json(**run(module))
    except ApiError as error:
        hint = ": make the namespace first" if error.is_missing_namespace else ""
        module.fail_json(msg=f"{error.message}{hint}")
    except OSError as error:
        module.fail_json(msg=f"{module.params['path']} cannot be read or written: {error.strerror}")


def run(module: AnsibleModule) -> dict[str, Any]:
    """Converge the target; leaves through fail_json when anything is wrong with what was told."""
    params = module.params
    client = Client.from_params(params)  # connects at the first request, so a file needs no cluster
    target = _target(params, client)
    wanted = _wanted(params, client)
    for _each in range(TRIES):
        before = target.read()
        result = _converged(module, before or "", wanted, target.name)
        changed = result.text != (before or "")
        try:
            if changed:
                target.write(result.text, dry_run=module.check_mode)
            break
        except ChangedMeanwhileError:
            continue
    else:
        module.fail_json(msg=f"{target.name} was changed by somebody else {TRIES} times while it was edited: see who keeps writing it")
    for warning in client.warnings:
        module.warn(warning)
    for missing in dict.fromkeys(each.missing for each in result.left_out):
        names = ", ".join(dict.fromkeys(each.model_name for each in result.left_out if each.missing == missing))
        module.warn(f"Left out, because {wanted.environment} has no {', '.join(missing)}: {names}")
    return dict(
        changed=changed,
        checksum=checksum(result.text),
        models=list(result.models),
        chains=result.chains,
        chains_text=result.tree,
        added=list(result.added),
        changed_entries=list(result.changed),
        removed=list(result.removed),
        left_out=[dict(model_name=each.model_name, missing=list(each.missing)) for each in result.left_out],
        **_diff(target.name, before or "", result.text),
    )


def _target(params: dict[str, Any], client: Client) -> Target:
    if params["path"]:
        return File(Path(params["path"]))
    return ConfigMapKey(client, params["namespace"], params["name"], params["key"])


def _wanted(params: dict[str, Any], client: Client) -> Wanted:
    settings = {section: values for section, values in params["settings"].items() if values is not None}
    told = Told(params["models"], _listed(params["fallbacks"]), settings, params["state"] == "absent", params["purge"])
    known: set[str] | None = set(params["env_names"]) or None
    environment = "env_names"
    if params["secret"]:
        namespace = params["secret"]["namespace"] or params["namespace"]
        found = client.get("secrets", namespace, params["secret"]["name"])
        known = {*params["env_names"], *((found or {}).get("data") or {})}
        environment = f"Secret {namespace}/{params['secret']['name']}"
    return Wanted(told, params["explicit_only"], known, environment, params["missing_keys"] == "leave_out")


def _listed(fallbacks: dict[str, Any]) -> dict[str, list[str]]:
    return {group: [targets] if isinstance(targets, str) else list(targets or []) for group, targets in fallbacks.items()}


def _converged(module: AnsibleModule, text: str, wanted: Wanted, name: str) -> Result:
    try:
        result = converge(text, wanted)
    except DocumentError as error:
        module.fail_json(msg=f"{name} {error}")
    if result.problems:
        listed = "".join(f"\n- {problem}" for problem in result.problems)
        module.fail_json(msg=f"The LiteLLM config in {name} would not work and was left as it is:{listed}", problems=list(result.problems))
    return result


def _diff(name: str, before: str, after: str) -> dict[str, Any]:
    if before == after:
        return {}
    return {"diff": {"before_header": name, "after_header": name, "before": mask(before), "after": mask(after)}}


if __name__ == "__main__":
    main()
