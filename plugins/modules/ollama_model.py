#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation of the action plugin of the same name: it runs in the controller, so that it can show its progress.

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_model
short_description: Have an Ollama server pull a model, with progress
version_added: 0.1.0
description:
  - Does nothing when the server has the model.
  - A pull that breaks off is tried again, and goes on where it was. So does one that an earlier run had begun, when Ollama was not started
    again in between, for at its start it throws away what is not whole.
  - Ends before the disk is full, with what is fetched kept.
  - Runs in the controller, as an action plugin.
options:
  url:
    description: Address of the server.
    type: str
    required: true
  name:
    description: Name of the model, as it will be asked for. Without a tag it means C(:latest).
    type: str
    required: true
  source:
    description: Name to pull it by when that is another, such as C(registry.example.com/library/neural-chat).
    type: str
  insecure:
    description: Whether a registry may be asked by plain HTTP, or with a certificate that nobody vouches for.
    type: bool
    default: false
  tries:
    description: How often to try, the first time included.
    type: int
    default: 5
  pause:
    description: Seconds between two tries.
    type: float
    default: 5.0
  silence:
    description: After how many seconds without a word from the server a try counts as broken off.
    type: int
    default: 120
  disk:
    description: A folder on the disk that the server keeps models on, to see how much room there is. Not looked at when it is not told.
    type: path
  reserve:
    description: How many bytes of that disk must stay free.
    type: int
    default: 0
extends_documentation_fragment:
  - homelab.llm.attributes
attributes:
  check_mode:
    support: full
    details: Where the server does not answer, it counts as one that will be started.
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: Local stack | Have the model there before it is asked
  homelab.llm.ollama_model:
    url: http://127.0.0.1:11434
    name: neural-chat
"""

RETURN = r"""
pulled:
  description: The models that were pulled.
  returned: success
  type: list
  elements: str
  sample: ["neural-chat:latest"]
digest:
  description: Digest of the model.
  returned: when it is there
  type: str
resumed:
  description: How many bytes of what this run fetched were there already, from a pull that had broken off.
  returned: when it was pulled
  type: int
"""
