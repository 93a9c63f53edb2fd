# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two places where a module runs: what it does must be the same in both."""

from __future__ import annotations

import pytest

both_edges = pytest.mark.parametrize("edge", ["controller", "process"])
