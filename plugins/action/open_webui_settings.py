# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module open_webui_settings, without a process of its own where none is needed."""

from __future__ import annotations

from ansible_collections.homelab.llm.plugins.modules import open_webui_settings
from ansible_collections.homelab.llm.plugins.plugin_utils.in_controller import ModuleInController


class ActionModule(ModuleInController):
    code = open_webui_settings
