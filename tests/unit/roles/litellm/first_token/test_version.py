# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package and the role speak of one LiteLLM."""

from __future__ import annotations

from pathlib import Path

ROLE = Path(__file__).resolve().parents[5] / "roles" / "litellm"


def test_the_version_it_was_written_for_is_the_one_the_role_installs():
    # Read and not imported: the file needs LiteLLM.
    written_for = (ROLE / "files" / "first_token" / "loaded.py").read_text().split('WRITTEN_FOR = "')[1].split('"')[0]
    assert f":v{written_for}\n" in (ROLE / "defaults" / "main.yml").read_text()
