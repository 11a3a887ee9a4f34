"""Every kind of page in a real browser: what fits, what axe finds, what can be chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from browsing import opened, row_names, written
from command_line import Run

import costlab as library

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(library.__file__).parent.parent

COMMANDS = [
    ("show", "googlenet"),
    ("compare", "naive", "reduced", "--no-trace"),
    ("crosscheck", "naive", "--counter", "module"),
    ("figures", "googlenet"),
    ("reconcile", "naive", "--counter", "torch"),
    ("formula", "naive"),
    ("formula", "naive", "reduced"),
    ("sweep", "reduced", "--vary", "c5r=8,16,24"),
    ("memory", "naive", "--training"),
    ("bounds", "naive", "--device", "h100-sxm"),
    ("time", "pointwise", "--layers", "--limit", "0.1"),
    ("devices",),
    ("list",),
    ("report", "DIR", "naive", "reduced"),
]


def page_of(costlab: Run, folder: Path, command: tuple[str, ...]) -> Path:
    """The page that a command writes."""
    file = folder / ("index.html" if command[0] == "report" else "page.html")
    if command[0] == "report":
        done = costlab("report", str(folder), *command[2:])
    else:
        done = costlab(*command, "-o", str(file))
    assert done.returncode == 0, done.stderr
    return file


@pytest.mark.parametrize("command", [*COMMANDS, ("reports/index.html",)], ids=" ".join)
def test_every_kind_of_page_fits_its_window_and_axe_finds_nothing(
    chromium: Browser, costlab: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    )
    committed = command[0].endswith(".html")
    file = ROOT / command[0] if committed else page_of(costlab, tmp_path, command)
    # The checker's own script is what the page's policy would not let in.
    with opened(chromium, file, bypass_csp=True) as page:
        if page.locator("tr[data-id]").count():
            page.locator(".nest [aria-expanded]").first.click()
            page.locator("tr[data-id='0'] .fold").click()
            page.locator("tr[data-id='1']").click()
        looks: tuple[tuple[int, Literal["light", "dark"]], ...] = (
            (400, "light"),
            (1400, "light"),
            (400, "dark"),
        )
        for width, scheme in looks:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if (width, scheme) != (400, "light"):  # one of each is enough
                found = axe.Axe().run(page)
                assert found.violations_count == 0, found.generate_report()


def test_compared_models_stand_side_by_side(chromium: Browser, tmp_path: Path) -> None:
    file = written(tmp_path, library.compare("naive", "reduced", trace=False))
    with opened(chromium, file) as page:
        page.get_by_role("button", name="change of MACs").click()
        assert page.locator("[role=treegrid] th button").all_inner_texts()[-5:-2] == [
            "MACs, naive",
            "MACs, reduced",
            "change of MACs ▼",
        ]
        assert row_names(page) == ["branchpool", "branch1x1", "concat", "branch3x3", "branch5x5"]
        page.keyboard.press("Enter")
        assert row_names(page)[0] == "branch5x5"
        first, second = page.locator("svg.icicle").all()
        page.locator("tr[data-id]").first.click()
        widths = [
            float(str(picture.locator("g.marked rect").get_attribute("width")))
            for picture in (first, second)
        ]
        assert widths[0] / widths[1] == pytest.approx(120_422_400 / 12_443_648, rel=0.001)
        assert "(28·28·32)·(5·5·192)" in page.get_by_role("complementary").inner_text()


def test_points_have_axes_to_choose(chromium: Browser, costlab: Run, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    vary = ("--vary", "c5r=8:32:8", "--vary", "c3r=32:64:16")
    assert costlab("sweep", "reduced", *vary, "-o", str(file)).returncode == 0
    with opened(chromium, file) as page:
        section = page.locator(".scatter")
        assert section.locator("circle").count() == 12
        assert section.locator("circle.best").count() == 1
        section.locator("select").first.select_option("c5r")
        assert "c5r and params of each variant" in section.locator("figcaption").inner_text()
        section.locator("circle.best").click()
        assert section.locator("output").inner_text().startswith("c5r=8, c3r=32: 8 c5r, ")
        section.get_by_label("more is better").first.check()
        assert section.locator("circle.best").count() == 4
        assert "by more c5r and less params" in section.locator("figcaption").inner_text()


def test_a_long_table_is_filtered(chromium: Browser, costlab: Run, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    assert costlab("figures", "googlenet", "-o", str(file)).returncode == 0
    with opened(chromium, file) as page:
        rows = page.locator("table.plain tbody tr:visible")
        everything = rows.count()
        page.get_by_label("filter by verdict").first.select_option("truncated")
        few = rows.count()
        assert 0 < few < everything
        assert set(page.locator("table.plain tr:visible td:nth-child(4)").all_inner_texts()) == {
            "truncated"
        }
        page.get_by_label("filter by verdict").first.select_option("")
        page.get_by_label("filter rows").first.fill("table1 ops")
        assert 0 < rows.count() < everything
        page.get_by_label("filter rows").first.fill("")
        page.get_by_role("button", name="verdict").first.click()
        assert page.get_by_role("status").last.inner_text() == "sorted by verdict, ascending"
        first = page.locator("table.plain tbody tr").first
        assert first.locator("td").last.inner_text() == "another network"


def test_the_tables_of_a_ledger_are_filtered_as_one(chromium: Browser, tmp_path: Path) -> None:
    ledger = library.ledger(["googlenet", "vgg"])
    with opened(chromium, written(tmp_path, ledger)) as page:
        headings = page.locator("h2:visible")
        assert headings.count() == len(ledger.sources) > 1
        page.get_by_role("searchbox", name="filter rows").fill("table1-conv1-params")
        assert headings.count() == 1
        assert page.locator(".tools output").inner_text() == f"1 of {len(ledger.rows)}"
