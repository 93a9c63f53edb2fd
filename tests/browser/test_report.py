# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML report in a real, headless Chromium: what it looks like is measured by a page around it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from synthetic_drill import failure, good, in_fault

from ansible_collections.homelab.llm.plugins.module_utils._probe import report_html
from ansible_collections.homelab.llm.plugins.module_utils._probe.result import About, report_of, result_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; on Debian: apt install chromium")

#: Quiet, alone and without a network of its own.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--allow-file-access-from-files"),
)
FRAME = """<!DOCTYPE html><body style="margin:0">
<iframe src="report.html" style="width:WIDTHpx;height:900px;border:0"></iframe><pre></pre><script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument, style = element => getComputedStyle(element);
  const box = element => element.getBoundingClientRect(), all = name => [...page.querySelectorAll(name)];
  document.querySelector("pre").textContent = JSON.stringify({
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    pictures: all("figure svg[role=img]").filter(picture => box(picture).width > 0).length,
    marks: all("use.mark").filter(mark => box(mark).width > 0).length,
    verdict_at: box(page.querySelector(".verdict")).top,
    verdict: page.querySelector(".verdict .word").textContent,
    background: style(page.body).backgroundColor,
    colours: [...new Set(all("use.mark").map(mark => style(mark).stroke))],
    loaded: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.endsWith("report.html")),
    smallest_text: Math.min(...all("td, dd, p, .tile span").filter(cell => box(cell).width).map(cell => parseFloat(style(cell).fontSize))),
  });
};
</script></body>"""


def page() -> str:
    drill = good()
    drill.change(in_fault, lambda request: failure(request, "no_answer", error="refused " * 60), most=3)
    about = About(
        "refuse",
        "vLLM refuses connections",
        "refuse",
        "ml/vllm-server",
        environment={"LiteLLM": "1.106.2"},
        loads=[{"model": "vllm-qwen", "rate": 10}],
    )
    result = result_of(about, drill.judged(), drill.recording, drill.phases, drill.expectation, drill.counters, drill.clock_error)
    report = report_of([result, {**result, "name": "two"}], "Failover, homelab", datetime(2026, 11, 21, tzinfo=UTC))
    return report_html.render(report, report)


def seen(folder: Path, width: int, dark: bool) -> dict[str, Any]:
    (folder / "report.html").write_text(page())
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [
        str(CHROMIUM),
        *FLAGS,
        scheme,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
        "--virtual-time-budget=3000",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", f"file://{folder / 'frame.html'}"], capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found
    return json.loads(html.unescape(found.group(1)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_fits_shows_its_picture_and_loads_nothing(tmp_path: Path, width: int, dark: bool):
    found = seen(tmp_path, width, dark)
    assert found["overflow"] <= 0
    assert (found["pictures"], found["marks"]) == (2, 2 * 599)
    assert found["verdict"] == "Fail"
    assert found["verdict_at"] < 150
    assert len(found["colours"]) == 3
    assert found["loaded"] == []
    assert found["smallest_text"] >= 12.5
    shade = sum(int(part) for part in re.findall(r"\d+", found["background"])[:3])
    assert shade < 150 if dark else shade > 600
