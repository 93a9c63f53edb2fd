# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open-WebUI's page as a person uses it in a real Chromium: sign in, choose a model, write a message, read the answer."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Locator
from visited_page import VisitedPage

#: Milliseconds since the navigation began, once a message can be written to a model; else false.
USABLE = """() => {
  const box = document.querySelector('#chat-input'), chosen = document.querySelector('#model-selector-model-button');
  return box?.isContentEditable && box.checkVisibility() && chosen?.checkVisibility() ? performance.now() : false;
}"""


class Refused(Exception):
    """Open-WebUI does not let them in; the text is the page's."""


class ChatPage(VisitedPage):
    """Open-WebUI's."""

    usable = USABLE

    def __init__(self, browser: Browser, url: str, scale: float = 1) -> None:
        super().__init__(browser, url, scale, patience=60)
        # What is new is told to administrators at their first visit, a moment after the page is there, and lies over it.
        news = self.page.get_by_role("button", name=re.compile("Okay, Let.s Go"))
        self.page.add_locator_handler(news, lambda: news.click())

    def open(self) -> float:
        """Load the page and return after how many seconds it asked who one is."""
        self.page.goto(self.url)
        self.page.locator("#password").wait_for()
        return self.loaded()

    def sign_in(self, email: str, password: str) -> None:
        """Say who one is, and wait until a message can be written."""
        self.page.locator("#email").fill(email)
        self.page.locator("#password").fill(password)
        with self.page.expect_response("**/api/v1/auths/signin") as given:
            self.page.locator("button[type=submit]").click()
        if not given.value.ok:
            raise Refused(given.value.json()["detail"])
        self.page.wait_for_function(USABLE)

    def models(self) -> list[str]:
        """Return all that the selector has. It makes only those that are seen, so the list is rolled from its beginning to its end."""
        self.open_selector()
        rolled = self.page.locator("#model-selector-list")
        rolled.evaluate("list => list.scrollTo(0, 0)")
        found: dict[str, None] = {}
        while True:
            self.page.wait_for_timeout(150)
            found.update((str(each), None) for each in self._choices.evaluate_all("all => all.map((each) => each.dataset.value)"))
            if rolled.evaluate("list => list.scrollTop + list.clientHeight >= list.scrollHeight - 1"):
                break
            rolled.evaluate("list => list.scrollBy(0, list.clientHeight / 2)")
        self.page.keyboard.press("Escape")
        self._choices.first.wait_for(state="hidden")
        return list(found)

    def open_selector(self) -> None:
        """Show the models that can be chosen."""
        self._selector.click()
        self._choices.first.wait_for()

    def choose(self, model: str) -> None:
        """Choose a model, also in the middle of a conversation."""
        self.open_selector()
        self.page.locator("#model-search-input").fill(model)
        self.page.locator(f'[role=listbox] [role=option][data-value="{model}"]').click()
        self.page.locator(f'#model-selector-model-button[aria-label$=": {model}"]').wait_for()

    def ask(self, question: str) -> str:
        """Write a message, wait for the end of the answer, and return it as the page shows it: an error as well."""
        before = self._answers.count()
        self.page.locator("#chat-input").fill(question)
        self.page.locator("#send-message-button").click()
        answer = self._answers.nth(before)
        # What can be done with an answer is offered when it is there.
        answer.get_by_role("button", name="Regenerate").first.wait_for()
        return answer.locator(".chat-assistant").inner_text().strip()

    @property
    def _selector(self) -> Locator:
        return self.page.locator("#model-selector-model-button")

    @property
    def _choices(self) -> Locator:
        return self.page.locator("[role=listbox] [role=option]")

    @property
    def _answers(self) -> Locator:
        return self.page.locator("[id^=message-]:has(.chat-assistant)")
