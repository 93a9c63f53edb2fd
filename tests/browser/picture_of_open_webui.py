# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a picture of Open-WebUI's page on the sandbox, one answer while vLLM is down: `scripts/open-webui-picture OUT.png`."""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chat_page import ChatPage  # the path has to be set first
from chromium import Browser, running_browser

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox" / "sandbox"
#: Asked by the page itself: only the browser knows the way to a host below localhost.
ASK = """async ([method, path, body, token]) => {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}"""
ADMINISTRATOR, SOMEBODY = "admin@open-webui.internal", "somebody@example.org"


def sandbox(*words: str) -> str:
    return subprocess.run([SANDBOX, *words], capture_output=True, text=True, check=True).stdout


@contextmanager
def somebody(browser: Browser, url: str) -> Iterator[str]:
    """Give somebody an account, and take it and their conversations away in the end; their password."""
    found = sandbox("kubectl", "--", "--namespace", "apps", "get", "secret", "open-webui-secrets", "--output", "json")
    password = base64.b64decode(json.loads(found)["data"]["WEBUI_ADMIN_PASSWORD"]).decode()
    about = {"name": "Somebody", "email": SOMEBODY, "password": secrets.token_urlsafe(16), "role": "user"}
    with ChatPage(browser, url) as visited:
        visited.open()

        def ask(method: str, path: str, body: object, token: str = "") -> Any:
            return visited.page.evaluate(ASK, [method, path, body, token])

        token = ask("POST", "/api/v1/auths/signin", {"email": ADMINISTRATOR, "password": password})["token"]
        made = ask("POST", "/api/v1/auths/add", about, token)
        try:
            yield about["password"]
        finally:
            ask("DELETE", f"/api/v1/users/{made['id']}", None, token)


def take(out: Path, scale: float) -> None:
    url = f"https://chat.homelab.localhost:{os.environ['SANDBOX_WEB_TLS_PORT']}"
    with running_browser() as browser, somebody(browser, url) as password, ChatPage(browser, url, scale=scale) as page:
        page.open()
        page.sign_in(SOMEBODY, password)
        page.ask("Good morning! Who answers me?")
        sandbox("upstream", "fault", "vllm-api", "status=503")
        try:
            page.ask("And while somebody plays a game on vLLM's graphics card?")
        finally:
            sandbox("upstream", "clear", "vllm-api")
        page.choose("groq/llama-3.3-70b-versatile")
        page.ask("And somebody else, in the same conversation?")
        page.open_selector()
        page.page.wait_for_timeout(600)  # it comes into sight slowly
        page.page.screenshot(path=out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/open-webui-picture", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--scale", type=float, default=1, help="pixels for each CSS pixel")
    given = parser.parse_args()
    if "SANDBOX_WEB_TLS_PORT" not in os.environ:
        parser.error('it needs a sandbox with site.yml on it: eval "$(sandbox/sandbox env)"')
    take(given.out, given.scale)


if __name__ == "__main__":
    main()
