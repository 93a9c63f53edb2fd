# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a picture of a report: `scripts/report-picture REPORT.html OUT.png`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from chromium import running_browser  # the path has to be set first

#: What most people have, in CSS pixels.
DESK, PHONE = (1280, 900), (390, 844)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/report-picture", description=__doc__)
    parser.add_argument("report", type=Path, metavar="REPORT.html")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--dark", action="store_true", help="as on a dark desktop")
    parser.add_argument("--phone", action="store_true", help="as wide as a phone")
    parser.add_argument("--first", action="store_true", help="only as far as the first timeline")
    parser.add_argument("--scale", type=float, default=1, help="pixels for each CSS pixel")
    given = parser.parse_args()
    if not given.report.is_file():
        parser.error(f"there is no file {given.report}")
    width, height = PHONE if given.phone else DESK
    with running_browser() as browser:
        page = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if given.dark else "light",
            device_scale_factor=given.scale,
        )
        page.goto(given.report.resolve().as_uri())
        if given.first:
            figure = page.locator("figure").first.bounding_box()
            if figure is None:
                parser.error(f"{given.report} has no timeline")
            height = int(figure["y"] + figure["height"]) + 20
            page.screenshot(path=given.out, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
        else:
            page.screenshot(path=given.out, full_page=True)


if __name__ == "__main__":
    main()
