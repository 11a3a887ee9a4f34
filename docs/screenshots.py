"""Writes the screenshots of docs/pages.md anew, by the Chromium that is installed.

.venv/bin/pip install -c constraints.txt -e '.[browser,pages]'
.venv/bin/python docs/screenshots.py
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import costlab

HERE = Path(__file__).parent


def main() -> None:
    """Open a page of each kind, and take its picture."""
    results: dict[str, Any] = {
        "show": costlab.analyze("googlenet"),
        "compare": costlab.compare("naive", "reduced", trace=False),
    }
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, result in results.items():
            page = browser.new_page(viewport={"width": 1200, "height": 760}, color_scheme="light")
            page.set_content(result.to_html())
            page.locator("table[role=treegrid]").wait_for()
            page.screenshot(path=HERE / f"page-{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
