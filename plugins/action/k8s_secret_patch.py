# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module k8s_secret_patch, without a process of its own where none is needed."""

from __future__ import annotations

from ansible_collections.homelab.llm.plugins.modules import k8s_secret_patch
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import ModuleInController


class ActionModule(ModuleInController):
    code = k8s_secret_patch
