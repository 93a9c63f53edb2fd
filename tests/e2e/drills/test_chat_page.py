# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open-WebUI's page in a real, headless Chromium, before a LiteLLM whose backends can be taken away."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import drilled_site
import pytest
from chat_page import ChatPage, Refused
from chromium import Browser, running_browser
from drilled_chat import Chat, Person

pytestmark = pytest.mark.cluster

#: Seconds until the page can be used.
LIMIT = 3.0
#: Programs for each processor, from which on seconds are the machine's. Alone, this test has one or two of them.
BUSY = 4.0
#: All that LiteLLM serves.
MODELS = set(drilled_site.GROUPS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def somebody(chat: Chat) -> Person:
    return chat.somebody()


@contextmanager
def signed_in(browser: Browser, chat: Chat, person: Person) -> Iterator[ChatPage]:
    """The page as somebody sees it who has just signed in in a new browser."""
    with ChatPage(browser, chat.address) as page:
        page.open()
        page.sign_in(person.email, person.password)
        yield page


@contextmanager
def gaming(chat: Chat, lane: str) -> Iterator[None]:
    """Nobody serves this model, as during Gaming Mode."""
    scale = chat.site.apps.patch_namespaced_deployment_scale
    scale(lane, chat.site.namespace, {"spec": {"replicas": 0}})
    try:
        chat.site.wait_until_gone(lane)
        yield
    finally:
        scale(lane, chat.site.namespace, {"spec": {"replicas": 1}})


def requests_at(chat: Chat, deployment: str) -> int:
    """How many completions a backend was asked for, by its own count."""
    return int(chat.site.admin(deployment, "GET", "/counters")[deployment]["requests"])


def answer_of(backend: str) -> re.Pattern[str]:
    """What the simulators answer."""
    return re.compile(rf"Answer \d+ from {re.escape(backend)} \({re.escape(backend)}-model\)")


def test_the_administrators_first_sign_in_leads_to_every_model_and_to_an_answer(chat: Chat, browser: Browser) -> None:
    with signed_in(browser, chat, chat.administrator) as page:
        assert len(MODELS) >= 11
        shown = page.models()
        assert (set(shown), len(shown)) == (MODELS, len(MODELS))
        page.choose("two")
        assert answer_of("two").fullmatch(page.ask("Good morning!"))


def test_an_ordinary_user_sees_them_all_and_switches_in_the_middle_of_a_conversation(
    chat: Chat, browser: Browser, somebody: Person
) -> None:
    with signed_in(browser, chat, somebody) as page:
        assert set(page.models()) == MODELS
        page.choose("one")
        assert answer_of("one").fullmatch(page.ask("Who are you?"))
        conversation = page.page.url
        page.choose("two")
        assert answer_of("two").fullmatch(page.ask("And who are you now?"))
        assert page.page.url == conversation
        assert "/c/" in conversation


def test_a_message_costs_one_completion_whoever_asks(chat: Chat, browser: Browser, somebody: Person) -> None:
    with signed_in(browser, chat, somebody) as page:
        page.choose("three")
        before = requests_at(chat, "three")
        for count in (1, 2):
            page.ask("What does this cost?")
            # Titles, tags and follow-ups would be asked for when the answer is there.
            page.page.wait_for_timeout(2000)
            assert requests_at(chat, "three") - before == count


def test_during_gaming_mode_the_next_tier_answers_and_afterwards_the_first_one_again(
    chat: Chat, browser: Browser, somebody: Person
) -> None:
    with chat.site.lane() as lane, signed_in(browser, chat, somebody) as page:
        page.choose(lane)
        assert answer_of(lane).fullmatch(page.ask("Who are you?"))
        with gaming(chat, lane):
            assert answer_of(f"{lane}-next").fullmatch(page.ask("And while somebody plays?"))
        chat.site.wait_until_answering(lane)
        assert answer_of(lane).fullmatch(page.ask("And now?"))


def test_with_everything_down_the_page_shows_the_error(chat: Chat, browser: Browser, somebody: Person) -> None:
    with signed_in(browser, chat, somebody) as page:
        page.choose("lower")
        with gaming(chat, "second"):
            said = page.ask("Is anybody there?")
        chat.site.wait_until_answering("second")
        assert "litellm." in said
        assert "lower" in said
        assert answer_of("second").fullmatch(page.ask("And now?"))


def test_a_wrong_password_lets_nobody_in(chat: Chat, browser: Browser) -> None:
    with ChatPage(browser, chat.address) as page:
        page.open()
        with pytest.raises(Refused, match="password provided is incorrect"):
            page.sign_in("nobody@example.org", "not the password")


@pytest.mark.alone
def test_the_page_is_usable_within_the_limit_and_asks_nobody_else(
    chat: Chat, browser: Browser, somebody: Person, record_property: Callable[[str, object], None]
) -> None:
    with ChatPage(browser, chat.address) as page:
        first = page.open()
        page.sign_in(somebody.email, somebody.password)
        again = sorted(page.come_again() for _each in range(7))
        hosts = {urlsplit(each).netloc for each in page.asked if not each.startswith(("data:", "blob:"))}
    warm = f"{', '.join(f'{each:.2f}' for each in again)}; median {statistics.median(again):.2f}"
    lines = [f"seconds until a new browser is asked who it is: {first:.2f}", f"until a message can be written, warm: {warm}"]
    record_property("table", "\n".join((*lines, f"limit {LIMIT} s")))
    assert hosts == {urlsplit(chat.address).netloc}
    # Of a page that loads 200 files from one process of Python, the quickest says what it takes; the others, who else computed.
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    if again[0] >= LIMIT and waiting > BUSY:
        pytest.skip(f"{waiting:.0f} programs wait for each processor, which says nothing of the page: {lines}")
    assert again[0] < LIMIT, lines
