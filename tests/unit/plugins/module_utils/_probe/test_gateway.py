# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is run in the gateway's container, and with which words."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ansible_collections.homelab.llm.plugins.module_utils._probe.gateway import URL, Gateway, program, spec
from ansible_collections.homelab.llm.plugins.module_utils._probe.load import Load, Plan
from ansible_collections.homelab.llm.plugins.module_utils._probe.record import FINISHES
from ansible_collections.homelab.llm.plugins.module_utils._probe.vantage import look

ROOT = Path(__file__).parents[5]


def test_the_roles_own_client_comes_before_the_turns_in_one_text() -> None:
    client = (ROOT / "roles/openclaw/files/gateway.mjs").read_text()
    assert program().startswith(client)
    assert "emit('hello'" in program()[len(client) :]


def test_the_programs_argument_names_loads_and_looks_and_no_key() -> None:
    load = Load("chat", URL, "anthropic/claude-opus-4-5", rate=1, stream=False, protocol="openclaw", turn="light")
    told = json.loads(spec(Plan([load], seconds=60), look(URL, "", 60, targets=[{"name": "service x", "url": "https://x"}])))
    assert (told["loads"][0]["turn"], told["seconds"], told["look"]["targets"]) == (
        "light",
        60,
        [{"name": "service x", "url": "https://x"}],
    )
    assert told["loads"][0]["key_env"] == told["look"]["key_env"] == ""


def test_a_turn_ends_in_ways_that_the_record_knows() -> None:
    named = set(re.findall(r"'(timeout|no_answer|error|done|empty|unfinished)'", program()))
    assert named == {"timeout", "no_answer", "error", "done", "empty", "unfinished"} <= set(FINISHES)


def test_a_gateway_is_told_by_its_deployment() -> None:
    assert str(Gateway("apps")) == "OpenClaw (Deployment apps/openclaw)"
