"""A real browser for tests of pages: Chromium that is installed, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed() -> str | None:
    """The path of a browser on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window; a test that asks for one is skipped where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pip install -c constraints.txt -e '.[browser]'"
    )
    path = installed()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def written(folder: Path, result: Any) -> Path:
    """The page of a result as a file."""
    file = folder / "page.html"
    file.write_text(result.to_html(), encoding="utf-8")
    return file


def row_names(page: Page) -> list[str]:
    """The first cells of the rows that are shown, without the signs for folding."""
    rows = page.locator("table[role=treegrid] tbody tr[data-id] th span:last-child")
    return list(rows.all_inner_texts())


@contextmanager
def opened(started: Browser, file: Path, width: int = 1400, **how: Any) -> Iterator[Page]:
    """A page of a file; afterwards nothing was asked for, and nothing was complained of."""
    context = started.new_context(viewport={"width": width, "height": 900}, **how)
    page = context.new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
    page.set_default_timeout(20_000)
    page.goto(file.as_uri())
    yield page
    context.close()
    assert wrong == []
    assert asked == [file.as_uri()]
