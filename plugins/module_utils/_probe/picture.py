# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""The timeline of a drill as inline SVG: every request a mark at its start, as high as its wait, coloured and shaped by who answered.

Without a script, since viewers of build artifacts run none: what a mark says is a text that its style sheet shows while one points at it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

#: A shape for each tier, around (0, 0): colour is never the only difference.
SHAPES = (
    "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0Z",
    "M0 -4.2L4.2 3.2L-4.2 3.2Z",
    "M-3.1 -3.1H3.1V3.1H-3.1Z",
    "M0 -4.4L4.4 0L0 4.4L-4.4 0Z",
    "M-4.2 -3.2L4.2 -3.2L0 4.2Z",
)
CROSS = "M-4 -4L4 4M-4 4L4 -4"
_TICKS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)


@dataclass(frozen=True)
class Frame:
    """Sizes of a picture in its own units, and the most marks that it can show without becoming a blot (or a huge file)."""

    width: int
    height: int
    left: int
    ticks: int
    most_marks: int
    mark: float = 1.0
    right: int = 14
    top: int = 30
    bottom: int = 92
    #: Where the line begins that tells what one points at.
    told: int = 54

    @property
    def floor(self) -> int:
        return self.height - self.bottom


WIDE = Frame(1070, 430, 54, 14, 2500)
#: With room for a second line of names: bands are short there.
NARROW = Frame(330, 420, 50, 5, 900, 0.8, right=6, top=46, told=4)
#: About as wide as a letter is, in the picture's units.
LETTER, BOLD = 6.4, 7.3


class Scale:
    """From seconds to places: time linear, waits logarithmic, since 20 ms and 5 s both matter."""

    def __init__(self, result: Mapping[str, Any], frame: Frame) -> None:
        spans = result["phases"].values()
        self.begin: float = min(span[0] for span in spans)
        self.end: float = max([self.begin + 1, *(span[1] for span in spans)])
        waits: list[float] = [mark[1] for mark in result["marks"]]
        limit: float = result.get("limit_s") or 1.0
        self.low = max(0.001, min([wait for wait in [*waits, limit / 10] if wait > 0]) * 0.7)
        self.high = max([*waits, limit * 1.6]) * 1.4
        self._frame = frame

    def x(self, time: float) -> float:
        frame = self._frame
        share = (min(max(time, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(frame.left + share * (frame.width - frame.left - frame.right), 1)

    def y(self, wait: float) -> float:
        frame = self._frame
        share = math.log(max(wait, self.low) / self.low) / math.log(self.high / self.low)
        return round(frame.floor - share * (frame.floor - frame.top), 1)


def draw(result: Mapping[str, Any], frame: Frame, name: str) -> str:
    """Return the SVG. `name` is unique in the page: shapes are referred to by it."""
    scale = Scale(result, frame)
    label = escape(f"Timeline of {result['title']}: {result['headline']}", quote=True)
    tip = f"--tip:translate({frame.told}px,{frame.height - 7}px)"
    parts = [
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{label}" font-size="12" style="{tip}">',
        _shapes(result, frame, name),
        *_bands(result, frame, scale),
        *_axes(result, frame, scale),
        *_limit(result, frame, scale),
        *_strip(result, frame, scale),
        *_marks(result, frame, scale, name),
        *_slowest(result, frame, scale),
    ]
    return "".join([*parts, "</svg>"])


def _pointed(inside: str, said: str) -> str:
    """Return what says something while one points at it."""
    return f'<g class="m" tabindex="-1">{inside}<text class="tip">{escape(said)}</text></g>'


def _shapes(result: Mapping[str, Any], frame: Frame, name: str) -> str:
    paths = {str(at): SHAPES[at % len(SHAPES)] for at in range(len(result["tiers"]))} | {"-1": CROSS, "-2": SHAPES[0]}
    size = f' transform="scale({frame.mark:g})"' if frame.mark != 1 else ""
    shapes = [f'<path id="{name}{place}" d="{path}"{size}/>' for place, path in paths.items()]
    return f"<defs>{''.join(shapes)}</defs>"


def _bands(result: Mapping[str, Any], frame: Frame, scale: Scale) -> Iterator[str]:
    height, taken = frame.floor - frame.top, 0.0
    for phase, (begin, end) in result["phases"].items():
        if phase == "steady" or end <= begin:
            continue
        x, width = scale.x(begin), scale.x(end) - scale.x(begin)
        band = f'<rect class="band {phase}" x="{x}" y="{frame.top}" width="{width:.1f}" height="{height}"/>'
        yield _pointed(band, f"{phase}: {end - begin:.1f} s")
        names = (f"{phase} {end - begin:.0f} s", phase)
        text = next((text for text in names if len(text) * BOLD <= width), phase)
        # One that is longer than its band stands above those beside it, and within the picture.
        at = min(x + 2, frame.width - len(text) * BOLD)
        row = 2 if len(text) * BOLD > width or at < taken else 1
        taken = at + len(text) * BOLD if row == 1 else taken
        yield f'<text class="band-name {phase}" x="{at:.1f}" y="{frame.top + 7 - row * 16}">{text}</text>'
    effective = result["fault"]["effective_s"]
    if effective is not None:
        x = scale.x(effective)
        line = f'<line class="effect" x1="{x}" x2="{x}" y1="{frame.top}" y2="{frame.floor}"/>'
        yield _pointed(line, f"the fault took effect, {effective - result['fault']['commanded_s']:.2f} s after the command")


def _axes(result: Mapping[str, Any], frame: Frame, scale: Scale) -> Iterator[str]:
    right, floor = frame.width - frame.right, frame.floor
    for tick in _TICKS:
        if scale.low <= tick <= scale.high:
            y, text = scale.y(tick), f"{tick * 1000:g} ms" if tick < 1 else f"{tick:g} s"
            yield f'<line class="grid" x1="{frame.left}" x2="{right}" y1="{y}" y2="{y}"/>'
            yield f'<text class="tick" x="{frame.left - 5}" y="{y + 4}" text-anchor="end">{text}</text>'
    span = scale.end - scale.begin
    step = next((step for step in _STEPS if span / step <= frame.ticks), _STEPS[-1])
    for at in range(math.ceil(scale.begin / step) * step, math.floor(scale.end) + 1, step):
        x = scale.x(at)
        yield f'<line class="axis" x1="{x}" x2="{x}" y1="{floor}" y2="{floor + 4}"/>'
        yield f'<text class="tick" x="{x}" y="{floor + 17}" text-anchor="middle">{at}</text>'
    yield f'<line class="axis" x1="{frame.left}" x2="{right}" y1="{floor}" y2="{floor}"/>'
    zero = "the start" if result["fault"]["commanded_s"] is None else "the fault"
    low = frame.height - 27
    yield f'<text class="tick" x="{frame.left - 5}" y="{frame.top - 9}" text-anchor="end">waited</text>'
    yield f'<text class="tick" x="{frame.left}" y="{low}">who answered</text>'
    yield f'<text class="tick" x="{right}" y="{low}" text-anchor="end">seconds since {zero}</text>'
    yield f'<text class="tick hint" x="{frame.told}" y="{frame.height - 7}">Point at a mark or at a second: it is told here.</text>'


def _limit(result: Mapping[str, Any], frame: Frame, scale: Scale) -> Iterator[str]:
    limit = result.get("limit_s")
    if limit is not None:
        y, right = scale.y(limit), frame.width - frame.right
        ids = ", ".join(one["id"] for one in result["thresholds"] if one["metric"] == "worst_wait")
        yield f'<line class="limit" x1="{frame.left}" x2="{right}" y1="{y}" y2="{y}"/>'
        # At the end, where all is well again, it lies over the fewest marks.
        yield f'<text class="limit" x="{right - 5}" y="{y - 6}" text-anchor="end">limit {limit:g} s {escape(ids)}</text>'


def _slowest(result: Mapping[str, Any], frame: Frame, scale: Scale) -> Iterator[str]:
    """The one number that people look for, at its mark."""
    worst, fault = result["metrics"].get("worst_wait"), result["fault"]["commanded_s"]
    mark = next((mark for mark in result["marks"] if fault is not None and mark[1] == worst and mark[0] + mark[1] >= fault), None)
    if mark is not None:
        text, x = f"{mark[1]:.2f} s", scale.x(mark[0])
        place = f'x="{x + 8}"' if x + 8 + len(text) * LETTER < frame.width else f'x="{x - 8}" text-anchor="end"'
        yield f'<text class="slowest" {place} y="{scale.y(mark[1]) + 4}">{text}</text>'


def _strip(result: Mapping[str, Any], frame: Frame, scale: Scale) -> Iterator[str]:
    """Who answered, per second: a bar filled by shares."""
    places = {tier["name"]: at for at, tier in enumerate(result["tiers"])}
    top, height = frame.floor + 26, 20
    for second, answered, lost, worst in result["seconds"]:
        if second < scale.begin - 1 or second >= scale.end:
            continue
        x, total, done = scale.x(second), sum(answered.values()) + lost, 0.0
        width = max(0.5, scale.x(second + 1) - x - 0.6)
        counts = [(places.get(name, -2), name, count) for name, count in answered.items()] + ([(-1, "lost", lost)] if lost else [])
        said = f"{second:+d} s: " + ", ".join(f"{name} {count}" for _place, name, count in sorted(counts)) + f"; slowest {worst:.2f} s"
        bars = []
        for place, _name, count in sorted(counts):
            share = count / total * height
            y = top + height - done - share
            bars.append(f'<rect class="bar {_class(place)}" x="{x}" y="{y:.1f}" width="{width:.1f}" height="{share:.1f}"/>')
            done += share
        yield _pointed("".join(bars), said)


def _marks(result: Mapping[str, Any], frame: Frame, scale: Scale, name: str) -> Iterator[str]:
    names = {at: tier["name"] for at, tier in enumerate(result["tiers"])} | {-1: "lost", -2: "nobody known"}
    # What matters is drawn last, so that nothing lies over it.
    for start, wait, place, stream, finish in sorted(shown(result, frame.most_marks), key=lambda mark: mark[2] < 0):
        how = names[place] + ("" if finish == "done" else f" ({finish})")
        said = f"{start:+.2f} s: {how}, {'stream' if stream else 'whole'}, {wait:.3f} s"
        kind = f"mark {_class(place)}{' stream' if stream else ''}"
        yield _pointed(f'<use href="#{name}{place}" class="{kind}" x="{scale.x(start)}" y="{scale.y(wait)}"/>', said)


def _class(place: int) -> str:
    return {-1: "lost", -2: "nobody"}.get(place, f"t{place % len(SHAPES)}")


def shown(result: Mapping[str, Any], most: int) -> list[Sequence[Any]]:
    """Return the marks to draw: all, or of too many every n-th, but each that is lost, unknown, slow, or the first of its tier."""
    marks: list[Sequence[Any]] = result["marks"]
    if len(marks) <= most:
        return list(marks)
    every = math.ceil(len(marks) / most)
    slow = sorted(mark[1] for mark in marks)[-min(len(marks), 200)]
    return [
        mark for at, mark in enumerate(marks) if at % every == 0 or mark[2] < 0 or mark[1] >= slow or (at and mark[2] != marks[at - 1][2])
    ]
