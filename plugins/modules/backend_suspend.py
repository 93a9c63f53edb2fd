#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation of the action plugin of the same name: it runs in the controller, so that it can show its progress.

from __future__ import annotations

DOCUMENTATION = r"""
module: backend_suspend
short_description: Take a model server off its GPU and bring it back, while LiteLLM's requests go on
version_added: 0.1.0
description:
  - Scales the Deployment of a model server to 0 and remembers its replicas, or gives them back.
  - Waits until its pods are gone, or ready, and until the requests for its model are really answered by the next model group, or by
    its own again.
  - It asks LiteLLM by the clock meanwhile, from a short-lived pod. A lost request, or an answer of who had no business answering, fails
    the task. The Deployment stays as asked for then.
  - What is remembered is an annotation of the Deployment, C(homelab.llm/suspended), written in the same patch that changes its replicas
    and bound to the version that was read. So it may be interrupted at any time, and run from several machines at once.
  - Before anything is changed it looks whether the next model group answers at all, and whether these credentials may do all of it.
  - A Deployment that a M(homelab.llm.failover_probe) drill has broken is left alone.
  - When somebody scales the Deployment back meanwhile, such as a controller that keeps it as it is in Git, the task fails and says who.
  - Runs in the controller, as an action plugin, and shows a line each second.
options:
  state:
    description:
      - V(suspended) takes the pods away.
      - V(resumed) brings them back.
      - V(reported) only says how it is and who answers now. What is wrong is in RV(problems), and does not fail the task.
    type: str
    choices: [suspended, resumed, reported]
    required: true
  namespace:
    description: Namespace of the Deployment.
    type: str
    required: true
  deployment:
    description: Name of the model server's Deployment.
    type: str
    required: true
  service:
    description:
      - Name of the Service that leads to it. When that leads nowhere, or elsewhere too, nothing is changed.
      - Without it nobody looks.
    type: str
  replicas:
    description: How many replicas it gets back, where it has 0 and nothing is remembered. Not used otherwise.
    type: int
  model:
    description: The model to ask for, the model group of this server.
    type: str
    required: true
  fallbacks:
    description: The model groups that it falls back to, in LiteLLM's order. The first has to answer meanwhile.
    type: list
    elements: str
    required: true
  url:
    description: Where LiteLLM is asked, such as V(http://litellm.ml.svc.cluster.local:4000/v1).
    type: str
    required: true
  key_secret:
    description: The Secret with the key to ask with. Its value never passes through the controller.
    type: dict
    suboptions:
      name:
        description: Name of the Secret, in O(vantage_namespace).
        type: str
        required: true
      key:
        description: Key of the Secret.
        type: str
        required: true
  image:
    description: Image with C(python3) for the pod that asks. Best one that is on the node already, such as LiteLLM's.
    type: str
    required: true
  vantage_namespace:
    description: Namespace of that pod, and of O(key_secret). O(namespace) without it.
    type: str
  labels:
    description: Labels of that pod, for network policies that look for some.
    type: dict
    default: {}
  rate:
    description: Requests a second for O(model), by the clock. Half a request a second more goes straight to the first of O(fallbacks).
    type: float
    default: 2
  max_tokens:
    description: Longest answer. Short ones leave a CPU time for others.
    type: int
    default: 8
  patience:
    description: Seconds until a client gives up, and its request is lost.
    type: float
    default: 60
  timeout:
    description: Seconds until the pods must be as asked for and the right model group must answer. A large model takes minutes to load.
    type: float
    default: 600
extends_documentation_fragment:
  - homelab.llm.kubernetes
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
attributes:
  check_mode:
    support: full
    details: Asks LiteLLM, from a pod as well, and lets the server check the patch (dry run). Nothing is waited for that is not so already.
  diff_mode:
    support: full
  idempotent:
    support: full
    details: A second run writes nothing to the Deployment, and asks again who answers.
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
seealso:
  - module: homelab.llm.failover_probe
"""

EXAMPLES = r"""
- name: Free the GPU for a game
  homelab.llm.backend_suspend:
    state: suspended
    namespace: ml
    deployment: vllm-server
    service: vllm-api
    model: vllm-qwen
    fallbacks: [ollama-qwen]
    url: http://litellm.ml.svc.cluster.local:4000/v1
    key_secret: {name: litellm-secrets, key: LITELLM_MASTER_KEY}
    image: ghcr.io/berriai/litellm:v1.106.2
  register: suspended

- name: Tell how that went
  ansible.builtin.debug:
    msg: >-
      The GPU is free after {{ suspended.pods_after }} s; {{ suspended.answered_by }} answers.
      {{ suspended.requests.lost }} of {{ suspended.requests.total }} requests were lost.

- name: Bring it back, also when somebody has scaled it to 0 by hand
  homelab.llm.backend_suspend:
    state: resumed
    replicas: 1
    namespace: ml
    deployment: vllm-server
    service: vllm-api
    model: vllm-qwen
    fallbacks: [ollama-qwen]
    url: http://litellm.ml.svc.cluster.local:4000/v1
    key_secret: {name: litellm-secrets, key: LITELLM_MASTER_KEY}
    image: ghcr.io/berriai/litellm:v1.106.2
"""

RETURN = r"""
msg:
  description: All of it in a few sentences.
  returned: always
  type: str
suspended:
  description: Whether the Deployment has no pods because it was suspended. In check mode, whether it would.
  returned: when clients were asked
  type: bool
since:
  description: Since when it is suspended, by the clock of who did it. Empty when it is not.
  returned: when clients were asked
  type: str
  sample: '2026-11-21T20:00:00+00:00'
by:
  description: Who suspended it, user and machine. Empty when it is not suspended.
  returned: when clients were asked
  type: str
  sample: anna@desk
replicas:
  description: The Deployment's replicas; of a suspended one those it gets back.
  returned: when clients were asked
  type: int
  sample: 1
answered_by:
  description: The model group that answered the newest request. Empty when nobody did.
  returned: when clients were asked
  type: str
  sample: ollama-qwen
answered_after:
  description:
    - Seconds from the command to the first answer of the right model group after which no other one answered.
    - 0 when it was so already.
  returned: when clients were asked
  type: float
  sample: 0.42
pods_after:
  description: Seconds from the command until the pods were gone, or ready. 0 when it was so already.
  returned: when clients were asked
  type: float
  sample: 2.1
requests:
  description: What clients got.
  returned: when clients were asked
  type: dict
  contains:
    total:
      description: Requests that were sent.
      type: int
    lost:
      description: Those without a whole, right answer.
      type: int
    worst_wait:
      description: Seconds that somebody waited at most, for the first text of a stream or for a whole answer.
      type: float
    answered:
      description: How many were answered by whom.
      type: dict
  sample: {total: 21, lost: 0, worst_wait: 0.31, answered: {vllm-qwen: 6, ollama-qwen: 15}}
sharing:
  description: Other models at the same server, which are gone with it.
  returned: when clients were asked
  type: list
  elements: str
  sample: [granite-docling, vllm-r1]
problems:
  description: What is not as it must be, a sentence each.
  returned: when clients were asked
  type: list
  elements: str
"""
