# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module promises; each states its own `support`."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return the changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, when in diff mode.
  idempotent:
    description: A second run with the same parameters changes nothing and sends no writing request.
"""

    KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/homelab.llm.kubernetes) in C(module_defaults) to set the connection for all modules of this collection at once.
    support: full
    membership:
      - homelab.llm.kubernetes
"""
