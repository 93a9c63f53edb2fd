#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_secret_patch
short_description: Change single keys of a Kubernetes Secret
version_added: 0.1.0
description:
  - Sets, generates, copies and removes single keys of one Secret, and never touches a key it was not told about.
  - Compares the values that are there with those that shall be, and sends the difference as one merge patch that the API server
    refuses when somebody else has written in between. Then it reads and compares again.
  - Refuses empty values and placeholders, naming the key and never the value. See the notes for the rule.
  - Never deletes a Secret, and never creates one without a key to put in it.
  - No value, in whatever encoding, is in a result, a diff, a log or an error.
notes:
  - 'A value is a placeholder when the B(whole) of it, without white space and quotes around it and without a prefix such as C(sk-),
    C(sk-proj-), C(gsk_) or C(hf_), is one of these, in any case: C(changeme); C(placeholder), alone or with more words behind it;
    C(replace-me), C(replace-with-…-key); C(your-…-key) or C(your-…-token), also with C(-here) behind it; anything in C(<…>);
    three or more C(x) or C(*); C(dummy), C(todo), C(tbd), C(fixme), C(example), C(none), C(null), C(nil), C(undefined), and these with
    C(-key), C(-token) or up to four digits behind them; C(${…}), C($(…)), C(os.environ/…); nothing at all behind a prefix;
    C(sk-1234), the master key of LiteLLM''s documentation. So is a key cut short by dots (C(sk-...), C(sk-ab...yz)), and a value with an
    unrendered C({{ }}) anywhere in it.'
  - A real key that merely contains such a word is none, wherever it stands in it.
  - Fingerprints and checksum are HMACs keyed by the Secret's C(uid). They change when the Secret is deleted and made again.
extends_documentation_fragment:
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
  - homelab.llm.kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The API server carries out a dry run with all its checks.
      - A namespace that is not there yet is a warning, since the task that makes it was not carried out either. So is a Secret to copy
        from.
  diff_mode:
    support: full
    details:
      - The diff shows fingerprints instead of values.
  idempotent:
    support: full
options:
  namespace:
    description: Namespace of the Secret. It must be there.
    type: str
    required: true
  name:
    description: Name of the Secret.
    type: str
    required: true
  data:
    description:
      - Values by key, as plain text.
      - A number or a boolean must be quoted, a structure must go through the filter P(ansible.builtin.to_json#filter).
    type: dict
    default: {}
  skip_empty:
    description:
      - Leave a key of O(data) as it is when its value is empty, blank or null, instead of refusing it.
      - For values from the environment, of which a given run may know only some.
    type: bool
    default: false
  generate:
    description:
      - Keys whose value is made of random letters and digits.
      - It is made once, when the key is not there or holds nothing but a placeholder.
    type: list
    elements: dict
    default: []
    suboptions:
      key:
        description: The key.
        type: str
        required: true
      length:
        description: How many random characters, from 16 to 4096.
        type: int
        default: 48
      prefix:
        description: What stands before them, such as V(sk-).
        type: str
        default: ''
  copy:
    description:
      - Keys whose value is copied from another Secret. It goes through no variable and no log.
    type: list
    elements: dict
    default: []
    suboptions:
      key:
        description: The key.
        type: str
        required: true
      from_name:
        description: Name of the Secret to copy from.
        type: str
        required: true
      from_namespace:
        description: Namespace of that Secret. The same as O(namespace) without it.
        type: str
      from_key:
        description: Its key. The same as O(copy[].key) without it.
        type: str
  absent:
    description: Keys to remove.
    type: list
    elements: str
    default: []
  required:
    description:
      - Keys that must be there with a real value when the module is done, whoever wrote it.
      - Nothing is changed when one would not be.
    type: list
    elements: str
    default: []
  create:
    description: Whether to create the Secret when it is not there.
    type: bool
    default: true
  type:
    description: Type of the Secret. One that is there must have it.
    type: str
    default: Opaque
  placeholder_patterns:
    description: More placeholders, as regular expressions that the whole value must match, in any case.
    type: list
    elements: str
    default: []
  allow_placeholders:
    description:
      - Keys for which a fixed word is right, such as V(sk-none) for a vLLM server without a key.
      - Their value may be a placeholder but not empty.
    type: list
    elements: str
    default: []
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: Keep one provider key up to date and leave all others alone
  homelab.llm.k8s_secret_patch:
    namespace: ml
    name: litellm-secrets
    data:
      OLLAMA_API_KEY: "{{ lookup('ansible.builtin.env', 'OLLAMA_API_KEY') }}"

- name: Patch those keys that this shell knows, make the master key once, be sure that what the config needs is there
  homelab.llm.k8s_secret_patch:
    namespace: ml
    name: litellm-secrets
    data:
      OPENAI_API_KEY: "{{ lookup('ansible.builtin.env', 'OPENAI_API_KEY') }}"
      GROQ_API_KEY: "{{ lookup('ansible.builtin.env', 'GROQ_API_KEY') }}"
    skip_empty: true
    generate:
      - key: LITELLM_MASTER_KEY
        prefix: sk-
    required:
      - OPENAI_API_KEY
  register: litellm_secrets

- name: Give Open-WebUI the master key without ever holding it
  homelab.llm.k8s_secret_patch:
    namespace: apps
    name: open-webui-secrets
    copy:
      - key: OPENAI_API_KEYS
        from_namespace: ml
        from_name: litellm-secrets
        from_key: LITELLM_MASTER_KEY

- name: Drop a provider
  homelab.llm.k8s_secret_patch:
    namespace: ml
    name: litellm-secrets
    absent:
      - MISTRAL_API_KEY
"""

RETURN = r"""
actions:
  description:
    - What was done, or would be in check mode, to each key that an option names.
    - One of V(added), V(updated), V(generated), V(removed), V(unchanged).
  returned: success
  type: dict
  sample: {"LITELLM_MASTER_KEY": "generated", "OPENAI_API_KEY": "unchanged"}
checksum:
  description:
    - One mark for the values of all keys that an option names, for a pod template's annotation. It changes when one of them does.
    - Keys left out by O(skip_empty) count with the value they have, so that it is the same whatever a shell happens to know.
    - Provisional in check mode when a value is still to be generated or the Secret to be created.
  returned: success
  type: str
  sample: 5f0c0bd0c1b3d6a3c7c9e6a0e2b4a7c1f1f6c3b8e0d5a2947b6c8d1e3f507192
created:
  description: Whether the Secret was not there, and now is or in check mode would be.
  returned: success
  type: bool
fingerprints:
  description:
    - A mark of the value of each key that an option names and that is there, to see whether two runs mean the same value.
    - Null in check mode for a value that is still to be generated or whose source is still to be made, and for all when the Secret is
      still to be created.
  returned: success
  type: dict
  sample: {"OPENAI_API_KEY": "9a0364b9e99b"}
problems:
  description: Why the request was refused, one sentence each.
  returned: when it was refused
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import options
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.client import Client
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._secrets import report, request, writer
from ansible_collections.homelab.llm.plugins.module_utils._secrets.veil import Veil

SPECIFICATION: dict[str, Any] = dict(
    argument_spec=dict(
        **options.argument_spec(),
        namespace=dict(type="str", required=True),
        name=dict(type="str", required=True),
        data=dict(type="dict", default={}, no_log=True),
        skip_empty=dict(type="bool", default=False),
        generate=dict(
            type="list",
            elements="dict",
            default=[],
            options=dict(
                key=dict(type="str", required=True, no_log=False),
                length=dict(type="int", default=48),
                prefix=dict(type="str", default=""),
            ),
        ),
        copy=dict(
            type="list",
            elements="dict",
            default=[],
            options=dict(
                key=dict(type="str", required=True, no_log=False),
                from_name=dict(type="str", required=True),
                from_namespace=dict(type="str"),
                from_key=dict(type="str", no_log=False),
            ),
        ),
        absent=dict(type="list", elements="str", default=[]),
        required=dict(type="list", elements="str", default=[]),
        create=dict(type="bool", default=True),
        type=dict(type="str", default="Opaque"),
        placeholder_patterns=dict(type="list", elements="str", default=[]),
        allow_placeholders=dict(type="list", elements="str", default=[]),
    ),
    supports_check_mode=True,
)


def main() -> None:
    work(AnsibleModule(**SPECIFICATION))


def work(module: Module) -> None:
    """Do the task, in whichever process."""
    veil = Veil(module, hidden=("data", "api_key"))
    dry_run = module.check_mode
    try:
        asked = request.from_params(module.params)
        veil.warn(request.warn_of_white_space(asked.wanted))
        client = Client.from_params(module.params)
        outcome = writer.converge(client, asked, dry_run=dry_run, remember=veil.remember)
    except request.Refused as refused:
        veil.fail(str(refused), refused.problems)
    except writer.Contended as contended:
        veil.fail(str(contended))
    except ApiError as error:
        veil.fail(report.explain(error, asked))
    veil.warn(client.warnings)
    if outcome.namespace_missing:
        veil.warn([report.warn_of_missing_namespace(asked)])
    veil.warn(report.warn_of_missing_sources(asked, outcome.unknown))
    veil.succeed(**report.result(outcome, dry_run=dry_run), diff=report.diff(asked, outcome, dry_run=dry_run))


if __name__ == "__main__":
    main()
