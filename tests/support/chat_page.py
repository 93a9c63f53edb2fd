# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open-WebUI's page as a person uses it in a real Chromium: sign in, choose a model, write a message, read the answer."""

from __future__ import annotations

import re
from types import TracebackType

from playwright.sync_api import Browser, Locator, Page, Request

#: Milliseconds since the navigation began, once a message can be written to a model; else false.
USABLE = """() => {
  const box = document.querySelector('#chat-input'), chosen = document.querySelector('#model-selector-model-button');
  return box?.isContentEditable && box.checkVisibility() && chosen?.checkVisibility() ? performance.now() : false;
}"""


class Refused(Exception):
    """Open-WebUI does not let them in; the text is the page's."""


class ChatPage:
    """The page in a browser that has never been there, until the end of `with`. `asked` has the address of everything it asked for."""

    def __init__(self, browser: Browser, url: str, scale: float = 1) -> None:
        # Chromium knows nothing of a sandbox's authority; nobody looks at certificates here.
        size = {"width": 1280, "height": 860}
        self._context = browser.new_context(ignore_https_errors=True, viewport=size, device_scale_factor=scale, locale="en-US")
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(60_000)
        # What is new is told to administrators at their first visit, a moment after the page is there, and lies over it.
        news = self.page.get_by_role("button", name=re.compile("Okay, Let.s Go"))
        self.page.add_locator_handler(news, lambda: news.click())
        self._url = url
        self.asked: list[str] = []
        self.page.on("request", self._keep)
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))

    def __enter__(self) -> ChatPage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """A page that is left open goes on trying to connect."""
        self._context.close()

    def _keep(self, request: Request) -> None:
        self.asked.append(request.url)

    def open(self) -> float:
        """Load the page and return after how many seconds it asked who one is."""
        self.page.goto(self._url)
        self.page.locator("#password").wait_for()
        return float(self.page.evaluate("performance.now()")) / 1000

    def sign_in(self, email: str, password: str) -> None:
        """Say who one is, and wait until a message can be written."""
        self.page.locator("#email").fill(email)
        self.page.locator("#password").fill(password)
        with self.page.expect_response("**/api/v1/auths/signin") as given:
            self.page.locator("button[type=submit]").click()
        if not given.value.ok:
            raise Refused(given.value.json()["detail"])
        self.page.wait_for_function(USABLE)

    def come_again(self) -> float:
        """Load the page as somebody who has been there, and return the seconds until a message can be written."""
        self.page.goto(self._url)
        return float(self.page.wait_for_function(USABLE).json_value()) / 1000

    def models(self) -> list[str]:
        """Return all that the selector has, in its order."""
        self._selector.click()
        self._choices.first.wait_for()
        found = [str(each.get_attribute("data-value")) for each in self._choices.all()]
        self.page.keyboard.press("Escape")
        self._choices.first.wait_for(state="hidden")
        return found

    def choose(self, model: str) -> None:
        """Choose a model, also in the middle of a conversation."""
        self._selector.click()
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
