# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a picture of OpenClaw's page on the sandbox, with an answer by Claude and one by LiteLLM: `scripts/openclaw-picture OUT.png`."""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chromium import running_browser  # the path has to be set first
from control_ui import ControlUi

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox" / "sandbox"
CLAUDE, LITELLM = (re.compile(rf"Answer \d+ from {host}") for host in (r"api\.anthropic\.com", "vllm-api"))


def sandbox(*words: str) -> str:
    return subprocess.run([SANDBOX, *words], capture_output=True, text=True, check=True).stdout


def in_gateway(*words: str) -> str:
    return sandbox("kubectl", "--", "--namespace", "apps", "exec", "deploy/openclaw", "--container", "openclaw", "--", *words)


def take(out: Path, scale: float) -> None:
    found = sandbox("kubectl", "--", "--namespace", "apps", "get", "secret", "openclaw-secrets", "--output", "json")
    token = base64.b64decode(json.loads(found)["data"]["OPENCLAW_GATEWAY_TOKEN"]).decode()
    url = f"https://openclaw.homelab.localhost:{os.environ['SANDBOX_WEB_TLS_PORT']}/"
    before = {each["deviceId"] for each in json.loads(in_gateway("openclaw", "devices", "list", "--json"))["paired"]}
    with running_browser() as browser, ControlUi(browser, url, token, scale=scale) as ui:
        ui.open()
        ui.sign_in(lambda command: in_gateway(*command.split()))
        ui.ask("Good morning! Who answers me?", CLAUDE)
        sandbox("upstream", "fault", "api.anthropic.com", "status=529")
        try:
            ui.ask("And now that Claude is overloaded?", LITELLM)
        finally:
            sandbox("upstream", "clear", "api.anthropic.com")
        ui.tidy()
        ui.page.screenshot(path=out)
    for each in json.loads(in_gateway("openclaw", "devices", "list", "--json"))["paired"]:
        if each["deviceId"] not in before:
            in_gateway("openclaw", "devices", "remove", each["deviceId"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/openclaw-picture", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--scale", type=float, default=1, help="pixels for each CSS pixel")
    given = parser.parse_args()
    if "SANDBOX_WEB_TLS_PORT" not in os.environ:
        parser.error('it needs a sandbox with site.yml on it: eval "$(sandbox/sandbox env)"')
    take(given.out, given.scale)


if __name__ == "__main__":
    main()
