# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains that are written down beside the inventories are those of the inventories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("inventory", ["inventories/homelab", "inventories/homelab inventories/three-tier"])
def test_the_committed_chains_are_up_to_date(inventory: str, tmp_path: Path) -> None:
    made = tmp_path / "CHAINS.md"
    environ = {key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "SANDBOX_CA_FILE")}
    done = subprocess.run(
        [ROOT / "scripts" / "chain", "-e", f"chain_to={made}"],
        env={**environ, "INVENTORY": inventory, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    committed = ROOT / inventory.split()[-1] / "CHAINS.md"
    assert made.read_text() == committed.read_text(), f'make chain INVENTORY="{inventory}" writes it anew'
    assert "WARNING" not in done.stdout + done.stderr, "every exception from the budget is to be stated in the inventory"
