# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody at Open-WebUI's page gets while backends fail: the real Open-WebUI before the real LiteLLM, by the role."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from drilled_chat import Chat, Person
from drills import LIVELY, reasons
from playing import Ran

pytestmark = pytest.mark.cluster

DURATIONS = {"steady": 4, "fault": 6, "recovery": 5}


def by_phase(ran: Ran) -> dict[str, dict[str, int]]:
    return dict(ran.result["drill"]["requests"]["by_phase"])


def told(chat: Chat, person: Person, **changes: Any) -> dict[str, Any]:
    """What makes a drill of LiteLLM one of somebody at the page."""
    return {"protocol": "open_webui", "url": chat.url, **person.login, "rate": 2, "durations": DURATIONS, **changes}


def scaled(chat: Chat, lane: str, person: Person) -> Ran:
    return chat.site.drill(lane, {"kind": "scale"}, **told(chat, person, report=str(chat.site.folder / "reports")))


def silent(chat: Chat, lane: str, person: Person) -> Ran:
    return chat.site.drill(lane, {"kind": "hang"}, **told(chat, person))


def nobody(chat: Chat, _lane: str, person: Person) -> Ran:
    """A model that nobody stands behind."""
    fault = {"kind": "scale", "backends": [{"deployment": "second", "service": "second"}]}
    try:
        return chat.site.drill("lower", fault, **told(chat, person, chain=["lower"], down=["lower"]))
    finally:
        chat.site.wait_until_answering("second")


#: What the backend of the drill `counted` counted while it was asked.
COUNTED: list[int] = []


def counted(chat: Chat, lane: str, person: Person) -> Ran:
    """Nothing is broken, and the backend counts."""

    def asked() -> int:
        return int(chat.site.admin(lane, "GET", "/counters")[lane]["requests"])

    before = asked()
    # Once: one that is done again, for its times, would be counted twice.
    ran = chat.site.run(chat.site.params(lane, {"kind": "none"}, **told(chat, person)))
    COUNTED.append(asked() - before)
    return ran


DRILLS: dict[str, Callable[[Chat, str, Person], Ran]] = {"scaled": scaled, "silent": silent, "nobody": nobody, "counted": counted}


@pytest.fixture(scope="module")
def people(chat: Chat) -> dict[str, Person]:
    return {name: chat.somebody() for name in DRILLS}


@pytest.fixture(scope="module")
def chats_before(chat: Chat) -> int:
    return chat.chats()


@pytest.fixture(scope="module")
def drilled(chat: Chat, chats_before: int, people: dict[str, Person]) -> dict[str, Ran]:
    """All drills, done at once: each breaks something else."""
    assert chats_before >= 0

    def run(name: str) -> Ran:
        with chat.site.lane() as lane:
            return DRILLS[name](chat, lane, people[name])

    with ThreadPoolExecutor(LIVELY) as pool:
        return dict(zip(DRILLS, pool.map(run, DRILLS), strict=True))


#: All drills are done before the first test.
@pytest.mark.alone
@pytest.mark.parametrize("name", ["scaled", "silent"])
def test_the_first_word_comes_in_time_from_the_next_tier_and_then_from_the_first_again(drilled: dict[str, Ran], name: str) -> None:
    ran = drilled[name]
    assert ran.result.get("verdict") == "pass", ran.output
    phases = by_phase(ran)
    (lane,) = phases["steady"]
    # LiteLLM leaves it alone for some seconds more; that it is asked again in the end is part of the verdict.
    assert phases["recovery"][lane] >= 2
    assert phases["fault"][f"{lane}-next"] >= 4
    drill = ran.result["drill"]
    assert {load["protocol"] for load in drill["loads"]} == {"open_webui"}
    assert drill["environment"]["Open-WebUI"].startswith("0.12.")
    assert {each["id"] for each in drill["thresholds"]} == {"NFR65", "NFR67"}


def test_each_message_of_a_probe_is_one_completion_and_nothing_else_is_asked(drilled: dict[str, Ran]) -> None:
    ran = drilled["counted"]
    # Beside what is measured, the probe looks once whether each model that it names is there and answers.
    sent = ran.result["drill"]["requests"]["sent"]
    assert sent >= 5
    assert 0 <= COUNTED[-1] - sent <= 2, (COUNTED, ran.result["drill"]["requests"])


def test_with_nobody_left_each_message_ends_in_a_clear_error_in_time(drilled: dict[str, Ran]) -> None:
    ran = drilled["nobody"]
    assert ran.result.get("verdict") == "pass", ran.output
    assert ran.result["drill"]["requests"]["by_finish"]["status"] >= 4


def test_nothing_is_kept_of_what_a_probe_wrote(chat: Chat, chats_before: int, drilled: dict[str, Ran]) -> None:
    assert drilled
    assert chat.chats() == chats_before
    assert chat.site.pods_of_the_probe() == []


def test_neither_a_password_nor_a_token_is_in_anything_that_is_shown(
    chat: Chat, drilled: dict[str, Ran], people: dict[str, Person]
) -> None:
    shown = "".join(ran.output for ran in drilled.values())
    shown += "".join(path.read_text() for path in (chat.site.folder / "reports").iterdir())
    for person in people.values():
        assert person.password not in shown
        assert base64.b64encode(person.password.encode()).decode()[:16] not in shown
    # Its tokens are JSON in base64, and begin like this.
    assert "eyJhbGci" not in shown


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"email": "nobody@example.org"},
            "does not let nobody@example.org in: there is nobody of that address, or the password is another",
        ),
        ({"model": "gpt-9"}, "gpt-9, gpt-9-next is not served at"),
        ({"url": "http://litellm:4000/v1"}, "answered 404 when"),
    ],
    ids=["another person", "no such model", "another address"],
)
def test_what_cannot_be_drilled_is_one_clear_error(chat: Chat, people: dict[str, Person], change: dict[str, str], text: str) -> None:
    changes = told(chat, people["nobody"], **{name: value for name, value in change.items() if name != "model"})
    ran = chat.site.run(chat.site.params(change.get("model", "lower"), {"kind": "none"}, **changes))
    assert ran.failed
    assert text in ran.message
    assert reasons(ran) == []
    assert chat.site.pods_of_the_probe() == []
