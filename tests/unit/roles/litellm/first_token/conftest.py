# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the package importable as it is beside LiteLLM's config."""

from __future__ import annotations

import sys
from pathlib import Path

FILES = Path(__file__).resolve().parents[5] / "roles" / "litellm" / "files"
assert (FILES / "first_token").is_dir()
sys.path.append(str(FILES))
