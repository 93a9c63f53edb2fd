# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LiteLLM loads: `litellm_settings.callbacks: [first_token.entry.callback]`, with this package beside the config.

LiteLLM runs this one file from beside the config, and not as a module that others could import.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml
from litellm.proxy import proxy_server

_BESIDE_THE_CONFIG = str(Path(__file__).parent.parent)
if _BESIDE_THE_CONFIG not in sys.path:
    sys.path.append(_BESIDE_THE_CONFIG)

from first_token.loaded import load  # noqa: E402

# `litellm --validate_config` reads the config without making it the proxy's.
callback = load(proxy_server.proxy_config.get_config_state() or yaml.safe_load(Path(str(proxy_server.user_config_file_path)).read_text()))
