# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/drill.yml breaks nothing that nobody asked to be broken: one sentence, before the cluster is asked anything."""

from __future__ import annotations

import re
from typing import Any

import pytest
from site_under_test import Site

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("options", "variables", "told", "passed"),
    [
        ((), {}, "This breaks backends in namespace nowhere", 0),
        (("--tags", "NFR65"), {"drill_confirm": "maybe"}, "If that is what you want: -e drill_confirm=yes. To only look: --check", 0),
        ((), {"drill_confirm": "yes", "drill_only": "failover-hang, melt"}, "drill_only: there is no drill melt; there are failover", 1),
    ],
    ids=["not confirmed", "confirmed with a word of one's own", "no such drill"],
)
def test_what_nobody_asked_for_is_refused_first(options: tuple[str, ...], variables: dict[str, Any], told: str, passed: int) -> None:
    played = Site("nowhere").play("drill", *options, **variables)
    assert played.code == 2
    assert told in re.sub(r"\s+", " ", played.output)
    # Not even what an earlier run has left is looked for.
    assert (played.recap["ok"], played.recap["failed"]) == (passed, 1), played.output
