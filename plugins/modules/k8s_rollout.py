#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation of the action plugin of the same name: it runs in the controller, so that it can show its progress.

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_rollout
short_description: Wait until every pod of a Deployment is of its newest revision and ready
version_added: 0.1.0
description:
  - Waits like C(kubectl rollout status), shows a line for each step, and gives up sooner where a pod says that it cannot start.
  - When the rollout fails, shows the last log lines of the newest pod, with what looks like a key masked.
  - Runs in the controller, as an action plugin. It reads only.
options:
  namespace:
    description: Namespace of the Deployment.
    type: str
    required: true
  name:
    description: Name of the Deployment.
    type: str
    required: true
  timeout:
    description: How many seconds to wait.
    type: int
    default: 180
  log_lines:
    description: How many of the last log lines a failure shows.
    type: int
    default: 20
extends_documentation_fragment:
  - homelab.llm.kubernetes
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
attributes:
  check_mode:
    support: full
    details: Looks once and does not wait.
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: LiteLLM | Wait until the new pods serve
  homelab.llm.k8s_rollout:
    namespace: ml
    name: litellm
"""

RETURN = r"""
pods:
  description: Names of the pods of the newest revision, the oldest first.
  returned: success
  type: list
  elements: str
  sample: [litellm-5f7b9d8c6-x2x7k]
seconds:
  description: How long it took from the start of this task.
  returned: success
  type: float
  sample: 12.3
"""
