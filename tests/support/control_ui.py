# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenClaw's page for people, as a person uses it in a real Chromium: sign in, have the browser approved, write a message."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from types import TracebackType

from playwright.sync_api import Browser, Locator, Page, Request

#: Milliseconds since the navigation began, once a message can be written and the page does not say that it is still connecting; else false.
USABLE = """() => {
  const box = document.querySelector('textarea[aria-label="Chat composer"]');
  if (!box || box.disabled || !box.checkVisibility()) return false;
  return document.body.innerText.includes('Finishing connection recovery') ? false : performance.now();
}"""


#: Milliseconds that a page is waited for.
PATIENCE = 180_000


class Refused(Exception):
    """The gateway does not let this browser in; the text is the page's."""


class ControlUi:
    """The page in a browser that has never been there, until the end of `with`. `asked` has the address of everything it asked for."""

    def __init__(self, browser: Browser, url: str, token: str, scale: float = 1) -> None:
        # Chromium knows nothing of a sandbox's authority; nobody looks at certificates here.
        size = {"width": 1280, "height": 860}
        self._context = browser.new_context(ignore_https_errors=True, viewport=size, device_scale_factor=scale)
        self._context.set_default_timeout(PATIENCE)
        self.page: Page = self._context.new_page()
        self._url, self._token = url, token
        self.asked: list[str] = []
        self.page.on("request", self._keep)
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))

    def __enter__(self) -> ControlUi:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """A page that is left open goes on trying to connect."""
        self._context.close()

    def _keep(self, request: Request) -> None:
        self.asked.append(request.url)

    def open(self) -> float:
        """Load the page and return after how many seconds it asked for the token."""
        self.page.goto(self._url)
        self._connect.wait_for()
        return float(self.page.evaluate("performance.now()")) / 1000

    def sign_in(self, approve: Callable[[str], object] | None = None) -> None:
        """Give the token; `approve` runs the command that the page names for a browser that the gateway has not seen before."""
        self.page.locator("input[type=password]").fill(self._token)
        self._connect.click()
        unknown, refused = self.page.get_by_text("Approve this browser"), self.page.get_by_text("rejected the supplied Gateway secret")
        self._composer.or_(unknown).or_(refused).first.wait_for()
        if refused.is_visible():
            raise Refused(self.page.inner_text("body"))
        if unknown.is_visible():
            found = re.search(r"openclaw devices approve [0-9a-f-]{36}", self.page.inner_text("body"))
            assert found, self.page.inner_text("body")
            assert approve, "the gateway wants this browser to be approved"
            approve(found[0])
        self.page.wait_for_function(USABLE)

    def come_again(self) -> float:
        """Load the page as somebody who has been there, and return the seconds until a message can be written."""
        self.page.goto(self._url)
        return float(self.page.wait_for_function(USABLE).json_value()) / 1000

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Let the page work until something is so."""
        until = time.monotonic() + PATIENCE / 1000
        while not done():
            assert time.monotonic() < until
            self.page.wait_for_timeout(50)

    def ask(self, question: str, answer: re.Pattern[str]) -> None:
        """Write a message and wait for the answer."""
        self._composer.fill(question)
        self.page.get_by_role("button", name=re.compile("^Send")).first.click()
        self.page.get_by_text(answer).last.wait_for()
        self.page.get_by_text("is responding").wait_for(state="hidden")

    def tidy(self) -> None:
        """Close what is there for somebody new."""
        for name in ("Dismiss", "Close assistant sidebar"):
            for each in self.page.get_by_label(re.compile(name)).all():
                if each.is_visible():
                    each.click()

    @property
    def _connect(self) -> Locator:
        return self.page.get_by_role("button", name="Connect", exact=True)

    @property
    def _composer(self) -> Locator:
        return self.page.get_by_label("Chat composer")
