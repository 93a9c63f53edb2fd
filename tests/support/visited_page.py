# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of a service on the sandbox in a browser of its own."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from playwright.sync_api import Browser, Page


class VisitedPage:
    """The page in a browser that has never been there, until the end of `with`. `asked` has the address of everything it asked for."""

    #: An expression of the page: milliseconds since the navigation began, once it can be used; else false.
    usable = "false"

    def __init__(self, browser: Browser, url: str, scale: float, patience: float) -> None:
        # Chromium knows nothing of a sandbox's authority; nobody looks at certificates here.
        size = {"width": 1280, "height": 860}
        self._context = browser.new_context(ignore_https_errors=True, viewport=size, device_scale_factor=scale, locale="en-US")
        self.page: Page = self._context.new_page()
        # How long is for who asks to judge; the usual half a minute is an error where a server and the browser share two processors.
        self.page.set_default_timeout(patience * 1000)
        self.url = url
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """A page that is left open goes on trying to connect."""
        self._context.close()

    def loaded(self) -> float:
        """Return after how many seconds of its loading the page is."""
        return float(self.page.evaluate("performance.now()")) / 1000

    def come_again(self) -> float:
        """Load the page as somebody who has been there, and return the seconds until a message can be written."""
        self.page.goto(self.url)
        return float(self.page.wait_for_function(self.usable).json_value()) / 1000
