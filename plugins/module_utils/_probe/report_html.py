# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""A report as one HTML file: no script, nothing from the network, every text escaped."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe import picture
from ansible_collections.homelab.llm.plugins.module_utils._probe.compare import compare
from ansible_collections.homelab.llm.plugins.module_utils._probe.report_style import STYLE

_SIGNS = {
    "pass": '<path d="M13 24.5l7.5 7.5L35 17"/>',
    "fail": '<path d="M16 16l16 16M32 16L16 32"/>',
    "inconclusive": '<path d="M18 18.5a6 6 0 1 1 8.5 6.2c-1.8.9-2.5 2-2.5 4.3M24 34.6v.4"/>',
}
_SIGN = (
    '<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="4" stroke-linecap="round" stroke-linejoin="round" '
    'aria-hidden="true"><circle cx="24" cy="24" r="21" stroke-width="3"/>%s</svg>'
)
_SAYINGS = {
    "pass": "Every requirement that was drilled holds.",
    "fail": "At least one requirement does not hold.",
    "inconclusive": "The measurement does not tell: nothing is proven.",
}
#: Nothing may be loaded, whatever a title or an error text contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table; a head is "text", "text|class"."""
    pairs = [head.partition("|") for head in heads]
    line = "".join(f'<th class="{name}">{text}</th>' for text, _bar, name in pairs)
    return f'<div class="scroll"><table><tr>{line}</tr>{"".join(rows)}</table></div>'


def _cell(text: str, name: str = "n") -> str:
    """Return a table's cell; `text` is HTML."""
    return f'<td class="{name}">{text}</td>'


def _t(text: Any) -> str:
    return escape(str(text), quote=True)


def _number(value: float | None, unit: str = "", most: int = 3) -> str:
    if value is None:
        return "not measured"
    digits = 0 if value == 0 or unit == "requests" else 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else most
    return f"{value:.{digits}f}" + (f" {unit}" if unit else "")


def render(report: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> str:
    """Return the file's text. Both are reports as result.py describes them; `earlier` is one to compare with."""
    drills: Sequence[Mapping[str, Any]] = report["drills"]
    body = [
        _verdict(report, drills),
        *([_overview(drills)] if len(drills) > 1 else []),
        *([_checks(report["checks"])] if report.get("checks") else []),
        # Of many drills, those that need nobody's attention are short.
        *(_drill(drill, at, earlier, short=len(drills) > 1 and drill["verdict"] == "pass") for at, drill in enumerate(drills)),
        (
            "<footer>Made by homelab.llm's failover_probe. Waiting: until the first text of a stream, until the end of a whole answer. "
            "Percentiles are nearest-rank. This file loads nothing.</footer>"
        ),
    ]
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{_t(report['verdict'])}: {_t(report['title'])}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _verdict(report: Mapping[str, Any], drills: Sequence[Mapping[str, Any]]) -> str:
    """What everybody looks for comes first, before even the title."""
    word = report["verdict"]
    counts = {name: sum(drill["verdict"] == name for drill in drills) for name in _SAYINGS}
    said = f" {', '.join(f'{count} {name}' for name, count in counts.items() if count)}." if len(drills) > 1 else ""
    made = _t(report["made_at"][:16].replace("T", " "))
    words = f'<div class="word">{word.capitalize()}</div><h1>{_t(report["title"])}</h1><p>{_SAYINGS[word]}{_t(said)}</p>'
    return f'<header class="verdict {word}">{_SIGN % _SIGNS[word]}<div>{words}<p class="when">{made} UTC</p></div></header>'


def _badge(word: str) -> str:
    return f'<span class="badge {word}">{word}</span>'


def _overview(drills: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for at, drill in enumerate(drills):
        metrics = drill["metrics"]
        cells = [
            _number(metrics.get("worst_wait")),
            str(drill["requests"]["lost"]),
            _number(metrics.get("outage")),
            _number(metrics.get("recovery_from_ready")),
        ]
        ids = ", ".join(dict.fromkeys(one["id"] for one in drill["thresholds"]))
        name = f'<td><a href="#drill{at}">{_t(drill["title"])}</a><br><span class="soft">{_t(ids)}</span></td>'
        numbers = "".join(_cell(_t(cell), f"n{hide}") for cell, hide in zip(cells, ("", "", " hide", " hide"), strict=True))
        rows.append(f"<tr>{_cell(_badge(drill['verdict']), '')}{name}{numbers}</tr>")
    heads = ("", "drill", "slowest, s|n", "lost|n", "out, s|n hide", "recovery, s|n hide")
    return f'<section class="drill">{_table(heads, rows)}</section>'


def _checks(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in checks:
        details = "".join(f"<li>{_t(text)}</li>" for text in one["details"])
        what = f'{_t(one["sentence"])}<br><span class="soft">{_t(one["id"])}: {_t(one["by"])}</span>' + f"<ul>{details}</ul>" * bool(
            details
        )
        cells = (_badge(one["verdict"]), what, _t(one["measured"]), _t(one["limit"]))
        rows.append(f"<tr>{''.join(_cell(cell, name) for cell, name in zip(cells, ('', '', 'n', 'n'), strict=True))}</tr>")
    return f'<section class="drill">{_table(("", "measured without a drill", "measured|n", "limit|n"), rows)}</section>'


def _drill(drill: Mapping[str, Any], at: int, earlier: Mapping[str, Any] | None, *, short: bool) -> str:
    parts = [
        f'<div class="head"><h2>{_t(drill["title"])}</h2>{_badge(drill["verdict"])}</div><p>{_t(drill["headline"])}</p>',
        _reasons(drill),
        "".join(_tiles(drill)),
        _figure(drill, at),
        _thresholds(drill),
        f"<details{'' if short else ' open'}><summary>Percentiles, what was done, settings</summary>",
        _percentiles(drill),
        _broken(drill),
        _comparison(drill, earlier),
        "</details>",
    ]
    return f'<section class="drill" id="drill{at}">{"".join(parts)}</section>'


def _reasons(drill: Mapping[str, Any]) -> str:
    kinds = {"broken": "fail", "fail": "fail", "untrusted": "inconclusive", "doubt": "inconclusive"}
    items = [f'<li class="{kinds[one["severity"]]}"><code>{_t(one["code"])}</code> {_t(one["text"])}</li>' for one in drill["reasons"]]
    return f'<ul class="reasons">{"".join(items)}</ul>' if items else ""


def _tiles(drill: Mapping[str, Any]) -> Iterator[str]:
    metrics, requests, limit = drill["metrics"], drill["requests"], drill.get("limit_s")
    worst = metrics.get("worst_wait")
    bad = worst is not None and limit is not None and worst >= limit
    times = {name: _number(value, most=2) for name, value in metrics.items() if value is not None}
    none = "not measured"
    tiles: list[tuple[str, str, str, bool]] = [
        (str(requests["lost"]), f"of {requests['sent']}", "requests lost", requests["lost"] > 0),
        (times.get("worst_wait", none), f"of {limit:g} s" if limit is not None else "s", "slowest wait of the outage", bad),
        (times.get("first_answer", none), "s", "until the next tier answered", False),
        (times.get("later_wait", none), "s", "slowest wait after that", False),
        (times.get("recovery_from_ready", none), "s", "back, from the backend being ready", False),
        (times.get("outage", none), "s", "out: lost, or over the limit", bool(metrics.get("outage"))),
    ]
    if drill["fault"]["kind"] == "none":
        tiles = [
            *tiles[:1],
            (times.get("steady_wait_p50", none), "s", "median wait", False),
            (times.get("steady_wait_p95", none), "s", "95 % waited less", False),
        ]
    yield '<div class="tiles">'
    for value, unit, text, is_bad in tiles:
        if value != none:
            yield f'<div class="tile{" bad" if is_bad else ""}"><b>{_t(value)} <small>{_t(unit)}</small></b><span>{_t(text)}</span></div>'
    yield "</div>"


def _figure(drill: Mapping[str, Any], at: int) -> str:
    counts = Tally(mark[2] for mark in drill["marks"])
    keys = [
        (f"t{place % len(picture.SHAPES)}", picture.SHAPES[place % len(picture.SHAPES)], f"{tier['name']} {counts[place]}")
        for place, tier in enumerate(drill["tiers"])
        if counts[place]
    ]
    keys += [("nobody", picture.SHAPES[0], f"nobody known {counts[-2]}")] if counts[-2] else []
    keys += [("lost", picture.CROSS, f"lost {counts[-1]}")] if counts[-1] else []
    legend = "".join(
        f'<span><svg viewBox="-6 -6 12 12" aria-hidden="true"><path class="mark {name}" d="{shape}"/></svg>{_t(text)}</span>'
        for name, shape, text in keys
    )
    if any(mark[3] for mark in drill["marks"]):
        legend += '<span class="soft">filled: whole answer, hollow: stream</span>'
    left_out = len(drill["marks"]) - len(picture.shown(drill, picture.WIDE.most_marks))
    note = f'<p class="soft">{left_out} ordinary requests are left out of the picture; all are in the numbers.</p>' if left_out else ""
    wide, narrow = picture.draw(drill, picture.WIDE, f"w{at}m"), picture.draw(drill, picture.NARROW, f"n{at}m")
    return f'<figure><div class="legend">{legend}</div><div class="wide">{wide}</div><div class="narrow">{narrow}</div>{note}</figure>'


def _thresholds(drill: Mapping[str, Any]) -> str:
    rows = []
    for one in drill["thresholds"]:
        limit = f"{'≤' if one['inclusive'] else '<'} {one['limit']:g} {one['unit']}"
        off = f" ± {one['uncertainty']:.3f}" if one["uncertainty"] and one["measured"] is not None else ""
        aim = "" if one["aim"] is None else f"{one['aim']:g} {one['unit']}" + (" ✓" if one["aim_met"] else "")
        what = (
            f"{_t(one['sentence'] or one['meaning'])}<br><span class='soft'>{_t(one['meaning'])}</span>"
            if one["sentence"]
            else _t(one["meaning"])
        )
        measured = _t(_number(one["measured"], one["unit"]) + off)
        cells = [_cell(_t(one["id"]), ""), _cell(what, "hide"), _cell(_t(limit)), _cell(measured), _cell(_t(aim), "n hide")]
        rows.append(f"<tr>{''.join(cells)}{_cell(_badge(one['verdict']), '')}</tr>")
    heads = ("id", "requirement|hide", "limit|n", "measured|n", "aim|n hide", "")
    return f"<h3>Limits</h3>{_table(heads, rows)}" if rows else ""


def _percentiles(drill: Mapping[str, Any]) -> str:
    rows, limit = [], drill.get("limit_s")
    for row in drill["percentiles"]:
        cells = [_cell(_t(row["phase"]), ""), _cell(_t(row["kind"]), ""), _cell(str(row["count"]))]
        for name in ("p50", "p95", "p99", "max"):
            over = limit is not None and row["phase"] != "steady" and row[name] >= limit
            cells.append(_cell(f"{row[name]:.3f}", f"n{' hide' if name == 'p99' else ''}{' worse' if over else ''}"))
        rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = ("phase", "answer", "count|n", "p50|n", "p95|n", "p99|n hide", "max|n")
    return f"<h3>Waiting, in seconds</h3>{_table(heads, rows)}" if rows else ""


def _broken(drill: Mapping[str, Any]) -> str:
    fault, restore, clock = drill["fault"], drill["restore"], drill["clock"]
    happened = []
    if fault["kind"] != "none":
        effect = f"{-fault['commanded_s']:.2f} s after the command" if fault["effective_s"] is not None else "never seen"
        happened = [
            ("Fault", f"{fault['kind']} on {fault['target']}"),
            ("How", fault["how"]),
            ("Took effect", effect),
            ("Undone by", restore["how"]),
        ]
        happened.append(("Restore", restore["error"] or restore["state"]))
    happened.append(("Load", "; ".join(_load(load) for load in drill["loads"])))
    error = "unknown" if clock["error_s"] is None else f"± {clock['error_s'] * 1000:.1f} ms"
    happened.append(("Clocks", f"fault against requests {error}; probe at most {clock['worst_lag_s'] * 1000:.1f} ms late"))
    counted = ", ".join(f"{one['tier']} {one['requests']} ({one['phase']})" for one in drill["counters"])
    happened.append(("Upstreams counted", counted))
    columns = [
        _list("What was broken, and how it was restored", happened),
        _list("Versions and settings", list(drill["environment"].items())),
    ]
    return f'<div class="two">{"".join(columns)}</div>'


def _load(load: Mapping[str, Any]) -> str:
    how = {True: "streams", False: "whole answers", "both": "whole answers and streams by turns"}.get(load.get("stream", "both"), "")
    return f"{load.get('model')}: {float(load.get('rate', 0)):g}/s, about {load.get('prompt_tokens', 20)} tokens, {how}"


def _list(title: str, pairs: Sequence[tuple[str, Any]]) -> str:
    items = "".join(f"<dt>{_t(name)}</dt><dd>{_t(value)}</dd>" for name, value in pairs if value not in ("", None))
    return f"<div><h3>{_t(title)}</h3><dl>{items}</dl></div>" if items else ""


def _comparison(drill: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> str:
    rows = []
    for change in compare(drill, earlier):
        better, sign = {True: ("n better", " ▼"), False: ("n worse", " ▲"), None: ("n", "")}[change.better]
        then, now = _t(_number(change.before, change.unit)), _t(_number(change.now, change.unit) + sign)
        rows.append(f"<tr>{_cell(_t(change.meaning), '')}{_cell(then)}{_cell(now, better)}</tr>")
    if not rows:
        return ""
    when = _t((earlier or {}).get("made_at", "")[:16].replace("T", " "))
    return f"<h3>Compared with {when}</h3>{_table(('', 'then|n', 'now|n'), rows)}"
