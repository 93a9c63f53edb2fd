#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation of the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_exec
short_description: Run a command in a container and return what it writes
version_added: 0.1.0
description:
  - Runs a command in a running container and fails when it does.
  - Runs in the controller, as an action plugin. The container's pod must be readable, as for C(kubectl exec).
options:
  namespace:
    description: Namespace of the pod.
    type: str
    required: true
  pod:
    description: Name of the pod.
    type: str
    required: true
  container:
    description: Name of the container. The pod's first one without it.
    type: str
  argv:
    description: The command and its arguments. No shell is involved.
    type: list
    elements: str
    required: true
  timeout:
    description: How many seconds the command may be silent.
    type: int
    default: 120
extends_documentation_fragment:
  - homelab.llm.kubernetes
  - homelab.llm.attributes
  - homelab.llm.attributes.kubernetes
attributes:
  check_mode:
    support: none
    details: What the command does is not known, so it is skipped.
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details: Depends on the command. The task says what counts as a change, with C(changed_when).
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: See what the pod's name server says
  homelab.llm.k8s_exec:
    namespace: ml
    pod: litellm-5f7b9d8c6-x2x7k
    argv: [python3, -c, "import socket; print(socket.gethostbyname('ollama'))"]
  changed_when: false
"""

RETURN = r"""
stdout:
  description: What the command wrote to its standard output.
  returned: always
  type: str
stderr:
  description: What it wrote to its standard error.
  returned: always
  type: str
rc:
  description: Its exit code.
  returned: always
  type: int
"""
