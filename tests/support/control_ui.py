# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenClaw's page for people, as a person uses it in a real Chromium: sign in, have the browser approved, write a message."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from playwright.sync_api import Browser, Locator
from visited_page import VisitedPage

#: Milliseconds since the navigation began, once a message can be written and the page does not say that it is still connecting; else false.
USABLE = """() => {
  const box = document.querySelector('textarea[aria-label="Chat composer"]');
  if (!box || box.disabled || !box.checkVisibility()) return false;
  return document.body.innerText.includes('Finishing connection recovery') ? false : performance.now();
}"""


class Refused(Exception):
    """The gateway does not let this browser in; the text is the page's."""


class ControlUi(VisitedPage):
    """OpenClaw's; whoever has its token may come in."""

    usable = USABLE

    def __init__(self, browser: Browser, url: str, token: str, scale: float = 1) -> None:
        super().__init__(browser, url, scale, patience=90)
        self._token = token

    def open(self) -> float:
        """Load the page and return after how many seconds it asked for the token."""
        self.page.goto(self.url)
        self._connect.wait_for()
        return self.loaded()

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

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Let the page work until something is so."""
        until = time.monotonic() + 90
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
