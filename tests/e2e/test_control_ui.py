# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenClaw's page for people in a real, headless Chromium: through the Service and through Traefik, and how fast it can be used."""

from __future__ import annotations

import base64
import json
import os
import re
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chromium import Browser, running_browser
from control_ui import ControlUi, Refused
from forwarded import forwarded
from free_port import free_port
from kubernetes import client
from openclaw_site import ANTHROPIC, OpenclawSite, openclaw_site

pytestmark = pytest.mark.cluster

#: The catalogue's row UI: seconds until it can be used, and what the project aims at when it is warm.
LIMIT, AIM = 3.0, 1.0


class Addressed:
    """A gateway with its page at two addresses."""

    def __init__(self, site: OpenclawSite, by_service: str, by_traefik: str) -> None:
        self.site, self.by_service, self.by_traefik = site, by_service, by_traefik
        found = site.core.read_namespaced_secret("openclaw-secrets", site.namespace).data
        self.token = base64.b64decode(found["OPENCLAW_GATEWAY_TOKEN"]).decode()


@pytest.fixture(scope="module")
def addressed(core: client.CoreV1Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addressed]:
    """Only Traefik is trusted as a proxy, so that the Service can be asked directly as well."""
    (traefik,) = core.list_namespaced_pod("traefik", label_selector="app=traefik").items
    for site in openclaw_site(core, tmp_path_factory.mktemp("openclaw")):
        port, host = free_port(), f"{site.namespace}.homelab.localhost"
        by_traefik = f"https://{host}:{os.environ['SANDBOX_WEB_TLS_PORT']}"
        played = site.play(
            openclaw_exposure="ingressroute",
            openclaw_host=host,
            openclaw_trusted_proxies=[f"{traefik.status.pod_ip}/32"],
            openclaw_origins=[f"http://127.0.0.1:{port}", by_traefik],
            # Who answers is what is looked at here, and a browser beside the gateway may keep it from hearing Claude in time.
            openclaw_first_byte_timeout=30,
        )
        assert played.code == 0, played.output
        assert re.search(r"The page for people and its \d+ files \(\d+ kB\) load through the Service", played.output), played.output
        with forwarded(f"{site.namespace}/openclaw", port) as by_service:
            yield Addressed(site, by_service, by_traefik)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def approve(addressed: Addressed, run_module: Any) -> Callable[[str], object]:
    """Runs in the gateway's container what the page says is to be run there."""

    def run(command: str) -> Any:
        where = {"namespace": addressed.site.namespace, "pod": addressed.site.gateway().metadata.name, "container": "openclaw"}
        return run_module("k8s_exec", {**where, "argv": command.split()}).result["stdout"]

    return run


def assert_the_token_is_nowhere(ui: ControlUi, token: str) -> None:
    """In no address, so in no log of a proxy; and not written in the page."""
    assert len(ui.asked) > 20
    assert not [url for url in (*ui.asked, ui.page.url) if token in url]
    assert token not in ui.page.content()


@pytest.mark.alone
def test_through_the_service_the_page_is_usable_within_the_limit(
    addressed: Addressed, browser: Browser, record_property: Callable[[str, object], None]
) -> None:
    lines: list[str] = []
    # A machine may be busy for a minute, but not each time.
    for _attempt in range(3):
        first, again = loaded(addressed, browser)
        lines += [
            f"seconds until {what}: {', '.join(f'{each:.2f}' for each in sorted(took))}; median {statistics.median(took):.2f}"
            for what, took in (("a new browser is asked for the token", first), ("a message can be written, warm", again))
        ]
        if max(statistics.median(first), statistics.median(again)) < LIMIT:
            break
    record_property("table", "\n".join((*lines, f"limit {LIMIT} s, aim when warm {AIM} s")))
    assert statistics.median(first) < LIMIT, lines
    assert statistics.median(again) < LIMIT, lines


def loaded(addressed: Addressed, browser: Browser) -> tuple[list[float], list[float]]:
    """Seconds until a new browser can be used, five of them, and until one that has been there can, seven times."""
    first = []
    for _each in range(5):
        with ControlUi(browser, addressed.by_service, addressed.token) as ui:
            first.append(ui.open())
    with ControlUi(browser, addressed.by_service, addressed.token) as ui:
        ui.open()
        ui.sign_in()
        again = [ui.come_again() for _each in range(7)]
        assert_the_token_is_nowhere(ui, addressed.token)
    return first, again


def test_a_message_written_there_is_answered_and_the_page_says_by_which_model(addressed: Addressed, browser: Browser) -> None:
    with ControlUi(browser, addressed.by_service, addressed.token) as ui:
        ui.open()
        ui.sign_in()
        ui.ask("Who are you?", re.compile(rf"Answer \d+ from {re.escape(ANTHROPIC)} \(claude-opus-4-5\)"))
        with addressed.site.fault(ANTHROPIC, kind="status", status=529):
            ui.ask("And now?", re.compile(r"Answer \d+ from litellm \(vllm-qwen\)"))


def test_through_traefik_an_unknown_browser_has_to_be_approved(
    addressed: Addressed, browser: Browser, approve: Callable[[str], object]
) -> None:
    commands: list[str] = []

    def keep_and_approve(command: str) -> None:
        commands.append(command)
        approve(command)

    with ControlUi(browser, addressed.by_traefik, addressed.token) as ui:
        ui.open()
        ui.sign_in(keep_and_approve)
        assert len(commands) == 1
        ui.come_again()  # without being asked for anything
        assert_the_token_is_nowhere(ui, addressed.token)


def test_without_the_token_nobody_gets_in(addressed: Addressed, browser: Browser) -> None:
    with ControlUi(browser, addressed.by_service, "not the token") as ui:
        ui.open()
        with pytest.raises(Refused, match="rejected the supplied Gateway secret"):
            ui.sign_in()


def test_a_page_at_another_address_is_refused_and_told_which_setting_to_change(addressed: Addressed, browser: Browser) -> None:
    with forwarded(f"{addressed.site.namespace}/openclaw") as elsewhere, browser.new_page() as page:
        page.goto(elsewhere)
        page.get_by_text("Browser origin not allowed").wait_for()
        assert "gateway.controlUi.allowedOrigins" in page.inner_text("body")


def test_the_page_is_told_the_state_of_every_token(addressed: Addressed, browser: Browser) -> None:
    told: dict[str, str] = {}

    def keep(frame: str | bytes) -> None:
        providers = (json.loads(frame).get("payload") or {}).get("providers")
        if isinstance(providers, list):
            told.update((each["provider"], each["status"]) for each in providers)

    with ControlUi(browser, addressed.by_service, addressed.token) as ui:
        ui.page.on("websocket", lambda socket: socket.on("framereceived", keep))
        ui.open()
        ui.sign_in()
        ui.wait_until(lambda: bool(told))
    assert told == {"anthropic": "static", "litellm": "static"}
