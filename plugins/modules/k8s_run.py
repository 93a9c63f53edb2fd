#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation of the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_run
short_description: Run a program once in a short-lived pod and return what it writes
version_added: 0.1.0
description:
  - Makes a pod, waits for the end of its one program, returns what that wrote, and removes the pod, also when it fails or is interrupted.
  - A pod that is left nevertheless ends by itself, and the next run removes it.
  - The pod meets the Pod Security level C(restricted), has no service account token, and asks for next to no resources.
  - What the program writes is the result. A program that writes a secret is for a task with C(no_log).
  - Runs in the controller, as an action plugin.
options:
  namespace:
    description: Namespace to run in. It must be there.
    type: str
    required: true
  image:
    description: Image to run. Best one that is on the node already.
    type: str
    required: true
  argv:
    description: The program and its arguments. No shell is involved, and the image's entrypoint is not used.
    type: list
    elements: str
    required: true
  env:
    description: Environment variables of the program that are no secret.
    type: dict
    default: {}
  env_keys:
    description:
      - Environment variables whose values Kubernetes takes from a Secret of the namespace.
      - They pass neither this task nor the pod's manifest.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the variable.
        type: str
        required: true
      secret:
        description: Name of the Secret.
        type: str
        required: true
      key:
        description: Key of the Secret. The variable's name without it.
        type: str
  env_secrets:
    description: Names of Secrets whose every key becomes an environment variable.
    type: list
    elements: str
    default: []
  env_given:
    description:
      - Environment variables whose values are secret and not in a Secret yet, such as a key that is to be tried before it is written.
      - They are put into a Secret that belongs to the pod and goes with it, and what the program writes is returned without them.
    type: dict
    default: {}
  env_copied:
    description:
      - Environment variables whose values are copied from Secrets of any namespace, in the same way. They go through no variable.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the variable.
        type: str
        required: true
      from_namespace:
        description: Namespace of the Secret.
        type: str
        required: true
      from_name:
        description: Name of the Secret.
        type: str
        required: true
      from_key:
        description: Key of the Secret. The variable's name without it.
        type: str
  labels:
    description: Labels of the pod, for network policies that look for some.
    type: dict
    default: {}
  name:
    description: What the pod's name begins with.
    type: str
    default: run
  user:
    description: Number of the user and group that the program runs as. Not 0.
    type: int
    default: 10001
  memory:
    description: How much memory the program may take.
    type: str
    default: 256Mi
  image_pull_policy:
    description: When the node pulls the image.
    type: str
    choices: [Always, IfNotPresent, Never]
    default: IfNotPresent
  timeout:
    description: How many seconds the program may take, the start of its pod included.
    type: int
    default: 60
extends_documentation_fragment:
  - homelab.llm.kubernetes
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
attributes:
  check_mode:
    support: none
    details: What the program does is not known, so it is skipped.
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details: Depends on the program. The task says what counts as a change, with C(changed_when).
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: See whether another namespace can resolve LiteLLM's name
  homelab.llm.k8s_run:
    namespace: apps
    image: ghcr.io/berriai/litellm:v1.106.2
    argv:
      - python3
      - -c
      - "import socket; print(socket.gethostbyname('litellm.ml.svc.cluster.local'))"
  changed_when: false

- name: Ask a provider with a key that stays in the cluster
  homelab.llm.k8s_run:
    namespace: ml
    image: docker.io/curlimages/curl:8.16.0
    argv: [sh, -c, 'curl -fsS -H "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/v1/models']
    env_keys:
      - name: OPENAI_API_KEY
        secret: litellm-secrets
  changed_when: false

- name: Try a key before it is written anywhere
  homelab.llm.k8s_run:
    namespace: ml
    image: docker.io/curlimages/curl:8.16.0
    argv: [sh, -c, 'curl -fsS -o /dev/null -H "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/v1/models']
    env_given:
      OPENAI_API_KEY: "{{ lookup('ansible.builtin.env', 'OPENAI_API_KEY') }}"
  changed_when: false
"""

RETURN = r"""
stdout:
  description: What the program wrote to its standard output and its standard error, which Kubernetes does not keep apart.
  returned: when it ended
  type: str
rc:
  description: Its exit code.
  returned: when it ended
  type: int
seconds:
  description: How long it took, the start of its pod included.
  returned: when it ended
  type: float
  sample: 1.8
missing_namespace:
  description: Whether it failed because there is no such namespace.
  returned: failure
  type: bool
"""
