# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Writes the reports of one or several drills into a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.homelab.llm.plugins.module_utils._probe import report_html, report_junit, report_markdown
from ansible_collections.homelab.llm.plugins.module_utils._probe.result import SCHEMA


def write(
    folder: Path, name: str, report: Mapping[str, Any], lines: Iterable[str], earlier: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Write all of them, named after the drill, and return their paths by format. Raises OSError. `lines`: the worker's own, if any."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "html": report_html.render(report, earlier),
        "md": report_markdown.render(report, earlier),
        "xml": report_junit.render(report),
        # What the others are made of: to join several drills later, and to compare with.
        "json": json.dumps(report) + "\n",
        "jsonl": "".join(f"{line}\n" for line in lines),
    }
    if not texts["jsonl"]:
        del texts["jsonl"]
    names = {"html": "html", "md": "markdown", "xml": "junit", "json": "json", "jsonl": "jsonl"}
    paths = {}
    for suffix, text in texts.items():
        path = folder / f"{name}.{suffix}"
        path.write_text(text, encoding="utf-8")
        paths[names[suffix]] = str(path)
    return paths


def read(path: Path) -> dict[str, Any]:
    """Return a report that was written as JSON. Raises OSError, and ValueError for what is none."""
    report = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(report, dict) or report.get("schema") != SCHEMA or not isinstance(report.get("drills"), list):
        raise ValueError(f"{path} is no report of this version")
    return report
