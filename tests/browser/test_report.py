# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report in a real, headless Chromium: what a person sees of it, on a desk, on a phone, by day and by night."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from colours import contrast, difference
from playwright.sync_api import Browser, Page
from synthetic_drill import Drill, failure, good, in_fault

from ansible_collections.homelab.llm.plugins.module_utils._probe import picture, report_html
from ansible_collections.homelab.llm.plugins.module_utils._probe.report_style import STYLE
from ansible_collections.homelab.llm.plugins.module_utils._probe.result import About, report_of, result_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WIDTHS = {"small phone": 360, "phone": 390, "tablet": 768, "desk": 1280}
#: What WCAG 2.2 asks of text (1.4.3 AA), and of what else must be seen to understand (1.4.11).
TEXT, GRAPHIC = 4.5, 3.0
#: Below this, in CIE 1976 units, two marks beside each other look alike.
ALIKE = 20.0


def result(drill: Drill, name: str = "refuse") -> dict[str, Any]:
    about = About(
        name,
        "vLLM refuses connections",
        "refuse",
        "Deployment ml/vllm-server",
        how="a Service that leads to a pod which refuses",
        restored_how="replicas, selector",
        environment={"LiteLLM": "1.106.2", "a setting with a long value": "http://vllm-api.ml.svc.cluster.local:8000/v1," * 3},
        loads=[{"model": "vllm-qwen", "rate": 10}],
    )
    return result_of(about, drill.judged(), drill.recording, drill.phases, drill.expectation, drill.counters, drill.clock_error)


def failing() -> Drill:
    drill = good()
    drill.change(in_fault, lambda request: failure(request, "no_answer", error="refused " * 60), most=3)
    return drill


def two_drills() -> str:
    report = report_of([result(failing()), result(good(), "two")], "Failover, homelab", NOW)
    return report_html.render(report, report)


@dataclass
class Opened:
    """A page, and what went on behind it."""

    page: Page
    requested: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Open:
    """Opens a report as a file, which is how people get it."""

    @contextmanager
    def open_it(html: str, width: int = 1280, *, dark: bool = False, touch: bool = False) -> Iterator[Opened]:
        path = tmp_path / "report.html"
        path.write_text(html, encoding="utf-8")
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=touch, is_mobile=touch)
        try:
            page = context.new_page()
            found = Opened(page)
            page.on("request", lambda request: found.requested.append(request.url))
            page.on("console", lambda message: found.said.append(message.text))
            page.on("pageerror", lambda error: found.said.append(str(error)))
            page.goto(path.as_uri())
            yield found
        finally:
            context.close()

    return open_it


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_it_asks_nobody_complains_of_nothing_and_is_as_wide_as_its_window(opened: Open, tmp_path: Path, width: int, dark: bool):
    with opened(two_drills(), width, dark=dark) as seen:
        seen.page.screenshot(path=tmp_path / f"report-{width}{'-dark' if dark else ''}.png", full_page=True)
        assert seen.requested == [(tmp_path / "report.html").as_uri()]
        assert seen.said == []
        page = seen.page.evaluate("({is: document.documentElement.scrollWidth, has: document.documentElement.clientWidth})")
        assert page["is"] <= page["has"] == width


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_verdict_is_the_first_thing(opened: Open, width: int):
    with opened(two_drills(), width) as seen:
        assert seen.page.locator("body").inner_text().startswith("Fail\n")
        sizes = seen.page.evaluate("[...document.querySelectorAll('body *')].map(each => parseFloat(getComputedStyle(each).fontSize))")
        word = seen.page.locator(".verdict .word")
        box = word.bounding_box()
        assert box
        assert box["y"] + box["height"] < 100
        assert word.evaluate("each => parseFloat(getComputedStyle(each).fontSize)") == max(sizes)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("width", "smallest"), [(390, 11), (1280, 12)], ids=["phone", "desk"])
def test_every_text_is_large_enough_and_stands_out_from_what_is_behind_it(opened: Open, width: int, smallest: int, dark: bool):
    with opened(two_drills(), width, dark=dark) as seen:
        texts = seen.page.evaluate((Path(__file__).with_name("texts.js")).read_text())
    assert len(texts) > 200
    faint = {f"{each['text']!r} {each['colour']} on {each['behind']}" for each in texts if contrast(each["colour"], each["behind"]) < TEXT}
    assert not faint
    assert not {each["text"] for each in texts if each["size"] < smallest}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_who_answered_can_be_told_by_colour_and_by_shape(opened: Open, dark: bool):
    classes = [*(f"t{place}" for place in range(len(picture.SHAPES))), "lost", "nobody"]
    swatches = "".join(f'<p class="{name}" style="color:var(--c)"></p>' for name in classes)
    with opened(f"<style>{STYLE}</style>{swatches}<p style='color:var(--card)'></p>", dark=dark) as seen:
        *colours, card = seen.page.locator("p").evaluate_all("all => all.map(each => getComputedStyle(each).color)")
    for name, colour in zip(classes, colours, strict=True):
        assert contrast(colour, card) >= GRAPHIC, (name, colour, card)
    for one, other in itertools.combinations(colours, 2):
        assert difference(one, other) >= ALIKE, (one, other)
    assert len({*picture.SHAPES, picture.CROSS}) == len(picture.SHAPES) + 1


@pytest.mark.parametrize("width", [360, 1280])
def test_each_request_is_a_mark(opened: Open, width: int):
    with opened(report_html.render(report_of([result(failing())], "Failover", NOW)), width) as seen:
        frame = ".narrow" if width < 640 else ".wide"
        drawn = "marks => marks.filter(mark => mark.getBoundingClientRect().width > 0).length"
        assert seen.page.locator("use.mark").evaluate_all(drawn) == seen.page.locator(f"{frame} use.mark").count() == 599
        assert seen.page.locator(f"{frame} use.mark.lost").count() == 3
        names = seen.page.locator(f"{frame} text.band-name").all()
        boxes = {name.text_content(): name.bounding_box() for name in names}
        assert [str(name).split()[0] for name in boxes] == ["fault", "restore", "recovery"]
        for one, other in itertools.combinations(boxes.values(), 2):
            assert one
            assert other
            beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            above = one["y"] + one["height"] <= other["y"] + 1 or other["y"] + other["height"] <= one["y"] + 1
            assert beside or above, boxes


@pytest.mark.parametrize(("width", "touch"), [(1280, False), (390, True)], ids=["pointed at", "tapped"])
def test_a_mark_tells_its_request_when_one_points_at_it(opened: Open, width: int, touch: bool):
    with opened(two_drills(), width, touch=touch) as seen:
        frame = seen.page.locator(".narrow" if touch else ".wide").first
        told, hint = frame.locator(".tip:visible"), frame.locator(".hint")
        assert told.count() == 0
        assert hint.is_visible()
        lost = frame.locator("use.mark.lost").last
        lost.scroll_into_view_if_needed()
        box = lost.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        if touch:
            seen.page.touchscreen.tap(x, y)
        else:
            seen.page.mouse.move(x, y)
        told.wait_for()
        assert "lost (no_answer)" in (told.text_content() or "")
        assert not hint.is_visible()
        inside, whole = told.bounding_box(), frame.bounding_box()
        assert inside
        assert whole
        assert whole["x"] <= inside["x"]
        assert inside["x"] + inside["width"] <= whole["x"] + whole["width"]


def test_of_several_drills_those_that_pass_are_short(opened: Open):
    with opened(two_drills()) as seen:
        first, second = seen.page.locator("section.drill details").all()
        assert first.get_attribute("open") is not None
        assert second.get_attribute("open") is None
        seen.page.get_by_text("Percentiles, what was done, settings").nth(1).click()
        assert seen.page.get_by_text("Compared with").nth(1).is_visible()


def test_five_thousand_requests_are_a_file_to_send_and_a_page_that_is_there_at_once(opened: Open):
    drill = good(rate=84)
    assert len(drill.requests) > 5000
    html = report_html.render(report_of([result(drill)], "Failover", NOW))
    assert len(html.encode()) < 1_000_000
    with opened(html) as seen:
        session = seen.page.context.new_cdp_session(seen.page)
        # The page's own seconds of the processor: a busy machine is none of its doing.
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def worked() -> float:
            return next(each["value"] for each in session.send("Performance.getMetrics")["metrics"] if each["name"] == "TaskDuration")

        begun = worked()
        seen.page.reload()
        loaded = worked()
        seen.page.evaluate(
            "new Promise(done => { document.body.style.zoom = 1.01; requestAnimationFrame(() => requestAnimationFrame(done)) })"
        )
        drawn = worked()
        assert 0 < loaded - begun < 3
        assert 0 < drawn - loaded < 1.5
        assert "ordinary requests are left out of the picture" in seen.page.locator("figure").inner_text()
