#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: open_webui_settings
short_description: Converge what Open-WebUI keeps in its database
version_added: 0.1.0
description:
  - Open-WebUI reads its environment at its first start only. From then on its connections, models, task settings and access rules are
    rows of its database, and a changed variable or a rotated key does nothing.
  - Signs in as an administrator, reads these settings through the admin API, compares, and writes only what differs. A change takes effect
    at once and needs no restart. Sessions of people stay.
  - What it was not told about stays as it is.
  - Asks Open-WebUI whether the backend takes a connection's key before a new or changed connection is written.
  - No key and no password is in a result, a diff, a log, an error or a process list.
notes:
  - The names in O(models), O(tasks) and O(admin) are Open-WebUI's own, which are mostly those of its environment variables. A name that the
    running version does not have is refused before anything is changed.
  - With O(namespace), requests are made inside Open-WebUI's own container, by a Python program that ends with the connection; nothing has
    to be exposed. Keys reach it over the standard input of C(exec), which goes through the API server and into no log of it.
  - Each of Open-WebUI's settings pages is written as a whole. What somebody changes in the web interface in the same moment can be lost.
  - With E(ENABLE_PERSISTENT_CONFIG) set to V(false) for Open-WebUI, what is written is lost at its next start. Leave that variable out.
  - Tested with Open-WebUI 0.12.
extends_documentation_fragment:
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
  - homelab.llm.kubernetes
attributes:
  check_mode:
    support: full
    details:
      - Signs in and reads, and has new keys checked by Open-WebUI, which writes nothing.
      - A pod or a Secret that is not there yet is a warning, since the task that makes it was not carried out either.
  diff_mode:
    support: full
    details:
      - The diff shows fingerprints instead of keys, and only settings that differ.
  idempotent:
    support: full
options:
  namespace:
    description:
      - Namespace of Open-WebUI's pods, to reach it inside its own container.
      - Also where Secrets are looked for that say no namespace of their own.
    type: str
  selector:
    description:
      - Labels of Open-WebUI's pods, as for C(kubectl get pods -l). The newest of those that are ready is used.
      - The default fits the Helm chart of Open-WebUI and the role of this collection.
    type: str
    default: app.kubernetes.io/component=open-webui
  container:
    description: Name of the container. The pod's first one without it. It must have C(python3), as the published image does.
    type: str
  port:
    description: Port on which Open-WebUI listens in the container.
    type: int
    default: 8080
  url:
    description:
      - Address of Open-WebUI, to reach it from where the module runs instead, such as V(https://chat.example.org).
      - No cluster is needed then, unless a Secret is named.
    type: str
  url_ca:
    description: File with the CA certificates that the certificate of O(url) must be signed by. The system's are trusted without it.
    type: path
  admin_email:
    description: Address of an administrator of Open-WebUI.
    type: str
    required: true
  admin_password:
    description: Their password. Prefer O(admin_password_from).
    type: str
  admin_password_from:
    description: The Secret that holds their password. The value goes through no variable and no log.
    type: dict
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      key:
        description: Its key.
        type: str
        required: true
      namespace:
        description: Its namespace. The same as O(namespace) without it.
        type: str
  connections:
    description:
      - OpenAI-compatible backends, such as LiteLLM. They are known by their address.
      - They are put in front of those that Open-WebUI has beside them, in this order. The first that has a model serves it.
      - Left out, connections are not touched, and O(purge_connections) has no effect.
    type: list
    elements: dict
    suboptions:
      url:
        description:
          - Address up to and with C(/v1). A slash at the end is taken off, for Open-WebUI would ask for C(/v1//models), get nothing, and
            say nothing.
        type: str
        required: true
      key:
        description: Key to ask with. Prefer O(connections[].key_from). Without either, a connection keeps the key it has.
        type: str
      key_from:
        description: The Secret that holds the key. The value goes through no variable and no log.
        type: dict
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          key:
            description: Its key.
            type: str
            required: true
          namespace:
            description: Its namespace. The same as O(namespace) without it.
            type: str
      config:
        description:
          - Open-WebUI's options of the connection, such as C(prefix_id), C(model_ids), C(tags), C(connection_type), C(provider).
          - Options that are not named stay. An C(enable) of V(false) switches the connection off.
        type: dict
        default: {}
  purge_connections:
    description: Whether to remove connections that are not in O(connections).
    type: bool
    default: false
  check_keys:
    description:
      - Whether to have Open-WebUI ask the backend for its models before a new or changed connection is written.
      - When the backend refuses the key or cannot be reached, the module fails and nothing is changed.
    type: bool
    default: true
  models:
    description:
      - Settings of the page for models, such as C(DEFAULT_MODELS), C(MODEL_ORDER_LIST), C(DEFAULT_MODEL_METADATA), C(DEFAULT_MODEL_PARAMS).
      - In a dictionary, keys that are not named stay. A list is the whole list.
      - C(DEFAULT_MODELS) and C(DEFAULT_PINNED_MODELS) may be lists; Open-WebUI keeps them with commas between them.
    type: dict
    default: {}
  tasks:
    description:
      - Settings of what Open-WebUI asks models by itself, such as C(ENABLE_TITLE_GENERATION), C(ENABLE_TAGS_GENERATION),
        C(ENABLE_FOLLOW_UP_GENERATION), C(TASK_MODEL_EXTERNAL).
      - With its own defaults a message of a person costs three completions.
    type: dict
    default: {}
  admin:
    description: General settings, such as C(ENABLE_SIGNUP), C(DEFAULT_USER_ROLE), C(JWT_EXPIRES_IN).
    type: dict
    default: {}
  access:
    description:
      - Who may use which model. Without a grant an ordinary user sees no model at all.
      - Models that are not named stay as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      model:
        description: The model's name.
        type: str
        required: true
      grants:
        description:
          - All grants that the model shall have; others are taken away.
          - The default lets everybody who is signed in use it. An empty list leaves it to administrators.
        type: list
        elements: dict
        default: [{principal_type: user, principal_id: '*', permission: read}]
        suboptions:
          principal_type:
            description: What the grant is for.
            type: str
            choices: [user, group]
            default: user
          principal_id:
            description: Open-WebUI's identifier of that user or group, V(*) for everybody.
            type: str
            required: true
          permission:
            description: What it allows.
            type: str
            choices: [read, write]
            default: read
  timeout:
    description: How many seconds Open-WebUI may take for an answer.
    type: int
    default: 30
  sign_in_patience:
    description:
      - How many seconds to wait, once, when Open-WebUI refuses to sign in because there were too many attempts. It allows 15 in about
        three minutes for each address, successful ones included.
      - A time that it tells with C(Retry-After) is waited instead, if it is not longer. V(0) fails at once.
    type: int
    default: 240
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: Keep Open-WebUI on LiteLLM, whatever was set by hand, with one completion for one message and every model for everybody
  homelab.llm.open_webui_settings:
    namespace: apps
    admin_email: admin@example.org
    admin_password_from:
      name: open-webui-secrets
      key: WEBUI_ADMIN_PASSWORD
    connections:
      - url: http://litellm.ml.svc.cluster.local:4000/v1
        key_from:
          name: open-webui-secrets
          key: OPENAI_API_KEY
    purge_connections: true
    models:
      DEFAULT_MODELS: [vllm-qwen]
      DEFAULT_MODEL_METADATA:
        capabilities:
          builtin_tools: false
    tasks:
      ENABLE_TITLE_GENERATION: false
      ENABLE_TAGS_GENERATION: false
      ENABLE_FOLLOW_UP_GENERATION: false
    admin:
      ENABLE_SIGNUP: false
      DEFAULT_USER_ROLE: user
    access: "{{ [{'model': 'vllm-qwen'}, {'model': 'ollama-qwen'}] }}"

- name: Look what somebody has changed in an Open-WebUI that is no pod
  homelab.llm.open_webui_settings:
    url: https://chat.example.org
    admin_email: admin@example.org
    admin_password: "{{ lookup('ansible.builtin.env', 'OPEN_WEBUI_PASSWORD') }}"
    admin:
      ENABLE_SIGNUP: false
  check_mode: true
  diff: true
"""

RETURN = r"""
changes:
  description:
    - What differed and was written, or in check mode would be.
    - Such as V(connections), V(tasks.ENABLE_TITLE_GENERATION), V(access.vllm-qwen).
  returned: success
  type: list
  elements: str
  sample: [connections, tasks.ENABLE_TITLE_GENERATION]
version:
  description: Version of Open-WebUI, empty in check mode when there is none yet.
  returned: success
  type: str
  sample: 0.12.4
problems:
  description: Why the request was refused, one sentence each.
  returned: when it was refused
  type: list
  elements: str
"""

import copy
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.homelab.llm.plugins.module_utils._kubernetes import options
from ansible_collections.homelab.llm.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.homelab.llm.plugins.module_utils._module import Module
from ansible_collections.homelab.llm.plugins.module_utils._open_webui import task
from ansible_collections.homelab.llm.plugins.module_utils._open_webui.trouble import NotThereYet, Trouble
from ansible_collections.homelab.llm.plugins.module_utils._secrets.veil import HIDDEN, Veil

_FROM: dict[str, Any] = dict(
    type="dict",
    no_log=False,
    options=dict(
        name=dict(type="str", required=True),
        key=dict(type="str", required=True, no_log=False),
        namespace=dict(type="str"),
    ),
)
_EVERYBODY = {"principal_type": "user", "principal_id": "*", "permission": "read"}

SPECIFICATION: dict[str, Any] = dict(
    argument_spec=dict(
        **options.argument_spec(),
        namespace=dict(type="str"),
        selector=dict(type="str", default="app.kubernetes.io/component=open-webui"),
        container=dict(type="str"),
        port=dict(type="int", default=8080),
        url=dict(type="str"),
        url_ca=dict(type="path"),
        admin_email=dict(type="str", required=True),
        admin_password=dict(type="str", no_log=True),
        admin_password_from=_FROM,
        connections=dict(
            type="list",
            elements="dict",
            options=dict(
                url=dict(type="str", required=True),
                key=dict(type="str", no_log=True),
                key_from=_FROM,
                config=dict(type="dict", default={}),
            ),
            mutually_exclusive=[("key", "key_from")],
        ),
        purge_connections=dict(type="bool", default=False),
        check_keys=dict(type="bool", default=True, no_log=False),
        models=dict(type="dict", default={}),
        tasks=dict(type="dict", default={}),
        admin=dict(type="dict", default={}),
        access=dict(
            type="list",
            elements="dict",
            default=[],
            options=dict(
                model=dict(type="str", required=True),
                grants=dict(
                    type="list",
                    elements="dict",
                    default=[_EVERYBODY],
                    options=dict(
                        principal_type=dict(type="str", choices=["user", "group"], default="user"),
                        principal_id=dict(type="str", required=True),
                        permission=dict(type="str", choices=["read", "write"], default="read"),
                    ),
                ),
            ),
        ),
        timeout=dict(type="int", default=30),
        sign_in_patience=dict(type="int", default=240),
    ),
    required_one_of=[("namespace", "url"), ("admin_password", "admin_password_from")],
    mutually_exclusive=[("admin_password", "admin_password_from")],
    supports_check_mode=True,
)


def main() -> None:
    work(AnsibleModule(**SPECIFICATION))


def work(module: Module) -> None:
    """Do the task, in whichever process."""
    veil = Veil(module, hidden=("admin_password", "api_key"))
    params = copy.deepcopy(module.params)
    # Ansible adds the parameters to every result.
    for each in module.params["connections"] or ():
        veil.remember([(each["key"] or "").encode()])
        each["key"] = each["key"] and HIDDEN
    try:
        done = task.run(params, check_mode=module.check_mode, remember=veil.remember)
    except NotThereYet as missing:
        if not module.check_mode:
            veil.fail(str(missing))
        veil.warn([f"{missing}. What its settings will be is not known yet"])
        veil.succeed(changed=True, changes=[], version="")
    except Trouble as trouble:
        veil.fail(str(trouble), trouble.problems)
    except ApiError as error:
        veil.fail(error.message)
    veil.succeed(changed=bool(done.changes), changes=list(done.changes), version=done.version, diff=done.diff)


if __name__ == "__main__":
    main()
