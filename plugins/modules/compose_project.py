#!/usr/bin/python
# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is the documentation of the action plugin of the same name: it runs in the controller, so that it can show its progress.

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_project
short_description: Bring a Compose project up and wait until it is healthy, with progress
version_added: 0.1.0
description:
  - Compares each service's definition with the container that was made from it, and calls C(up) only when something differs. So a run
    with nothing to do writes nothing, and of a project in which one service has changed only that one is made anew.
  - Looks before that whether the ports of services that do not run yet can be had.
  - Waits until all containers run and are healthy, and shows each step. When one does not, shows its last log lines without the values of
    the project's C(.env).
  - Works with Docker and its Compose plugin, and with C(podman compose) where that runs Compose v2.
  - Runs in the controller, as an action plugin.
options:
  folder:
    description: Folder with C(docker-compose.yml).
    type: path
    required: true
  project:
    description: Name of the project.
    type: str
    required: true
  engine:
    description: Which engine to use. V(auto) is the first that is there and answers.
    type: str
    choices: [auto, docker, podman]
    default: auto
  state:
    description:
      - V(up) is everything running and healthy.
      - V(down) is no container and no network of it; volumes stay.
      - V(found) only looks for an engine, and whether the ports in O(definition) can be had.
    type: str
    choices: [up, found, down]
    default: up
  definition:
    description: Text of C(docker-compose.yml) as it will be, for O(state=found) and for check mode, when the file has not been written.
    type: str
  timeout:
    description: How many seconds it may take until all is healthy, images included.
    type: int
    default: 300
  log_lines:
    description: How many of the last log lines a failure shows.
    type: int
    default: 20
extends_documentation_fragment:
  - homelab.llm.attributes
attributes:
  check_mode:
    support: full
    details: Tells what would be done to the containers that are there, and does not wait.
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - Contributors to the homelab.llm collection (@homelab-llm)
"""

EXAMPLES = r"""
- name: Local stack | Bring it up
  homelab.llm.compose_project:
    folder: /srv/llm
    project: homelab-llm
"""

RETURN = r"""
engine:
  description: The engine that is used.
  returned: success
  type: str
  sample: docker
data:
  description: Folder in which the engine keeps its data, when this machine has it.
  returned: when O(state=found)
  type: str
  sample: /var/lib/docker
services:
  description: The services of the project.
  returned: when O(state) is not V(found)
  type: list
  elements: str
  sample: [litellm, ollama]
create:
  description: Services that had no container.
  returned: when O(state=up)
  type: list
  elements: str
recreate:
  description: Services whose container was made from another definition.
  returned: when O(state=up)
  type: list
  elements: str
start:
  description: Services whose container did not run.
  returned: when O(state=up)
  type: list
  elements: str
remove:
  description: Services that are no longer in the definition.
  returned: when O(state=up)
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: when O(state=up)
  type: float
"""
