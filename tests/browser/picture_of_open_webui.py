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

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chat_page import ChatPage  # the path has to be set first
from chromium import Browser, running_browser

SANDBOX = Path(__file__).resolve().parents[2] / "sandbox" / "sandbox"
ADMINISTRATOR, SOMEBODY = "admin@open-webui.internal", "somebody@example.org"


def sandbox(*words: str) -> str:
    return subprocess.run([SANDBOX, *words], capture_output=True, text=True, check=True).stdout


@contextmanager
def somebody(browser: Browser, url: str) -> Iterator[str]:
    """Give somebody an account, and take it and their conversations away in the end; their password."""
    found = sandbox("kubectl", "--", "--namespace", "apps", "get", "secret", "open-webui-secrets", "--output", "json")
    password = base64.b64decode(json.loads(found)["data"]["WEBUI_ADMIN_PASSWORD"]).decode()
    context = browser.new_context(ignore_https_errors=True, base_url=url)
    signed_in = context.request.post("/api/v1/auths/signin", data={"email": ADMINISTRATOR, "password": password}).json()
    bearer = {"Authorization": f"Bearer {signed_in['token']}"}
    about = {"name": "Somebody", "email": SOMEBODY, "password": secrets.token_urlsafe(16), "role": "user"}
    made = context.request.post("/api/v1/auths/add", data=about, headers=bearer).json()
    try:
        yield about["password"]
    finally:
        context.request.delete(f"/api/v1/users/{made['id']}", headers=bearer)
        context.close()


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
