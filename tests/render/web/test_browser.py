"""The tree of a page in a real browser: by mouse and keyboard, in both widths, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import opened, row_names, written

import costlab as library
from costlab.costs.table import costs
from costlab.graph import Net
from costlab.ops.conv import Conv

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def googlenet(tmp_path: Path) -> Path:
    return written(tmp_path, library.analyze("googlenet"))


def test_a_tree_folds_and_unfolds_by_mouse_and_keys(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        assert row_names(page)[:4] == ["conv1", "pool1", "norm1", "conv2"]
        row = page.locator("tr[data-id='0']")
        assert row.get_attribute("aria-expanded") == "false"
        row.locator(".fold").click()
        assert row_names(page)[:4] == ["conv1", "conv", "relu", "pool1"]
        assert row.get_attribute("aria-expanded") == "true"
        page.keyboard.press("ArrowLeft")
        assert row_names(page)[:2] == ["conv1", "pool1"]
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        focused = page.locator("tr:focus")
        assert focused.locator("th").inner_text() == "conv"
        assert focused.get_attribute("aria-level") == "2"
        page.keyboard.press("ArrowLeft")
        assert page.locator("tr:focus th span:last-child").inner_text() == "conv1"
        page.keyboard.press("End")
        assert page.locator("tr:focus th span:last-child").inner_text() == "softmax"
        page.get_by_role("button", name="unfold all").click()
        assert len(row_names(page)) == 190
        page.get_by_role("button", name="fold all", exact=True).click()
        assert len(row_names(page)) == 22


def test_a_tree_is_sorted_by_a_column(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        back = page.get_by_role("button", name="order of the network")
        assert back.is_hidden()
        page.get_by_role("button", name="MACs", exact=True).click()
        assert row_names(page)[:2] == ["conv2", "inception_3b"]
        head = page.get_by_role("columnheader", name="MACs", exact=True)
        assert head.get_attribute("aria-sort") == "descending"
        page.keyboard.press("Enter")
        assert row_names(page)[-1] == "conv2"
        back.click()
        assert row_names(page)[0] == "conv1"


def test_a_search_shows_what_it_finds_and_what_is_around(
    chromium: Browser, googlenet: Path
) -> None:
    with opened(chromium, googlenet) as page:
        page.get_by_role("searchbox").fill("inception_3a 5x5 reduce")
        assert row_names(page)[:3] == ["inception_3a", "branch5x5", "reduce"]
        assert "found" in page.locator(".tree output").inner_text()
        page.get_by_role("searchbox").fill("")
        assert len(row_names(page)) == 22


def test_columns_and_units_are_chosen(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        page.get_by_label("units").select_option("M")
        assert page.locator("tr[data-id='0']").inner_text().split("\t")[-2:][0] == "118.014"
        page.locator("summary", has_text="columns").click()
        page.get_by_role("checkbox", name="FLOPs").check()
        assert page.get_by_role("columnheader", name="FLOPs").count() == 1
        page.get_by_label("draw").select_option("activations")
        assert page.get_by_role("columnheader", name="share of activations").count() == 1
        assert "activations of googlenet" in page.locator(".tree figcaption").inner_text()


def test_a_derivation_and_a_citation_are_a_click_away(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.get_by_role("button", name="unfold all").click()
        page.locator("tr[data-id='1']").click()
        details = page.get_by_role("complementary")
        assert "(112·112·64)·(7·7·3)" in details.inner_text()
        citation = "googlenet conv1.conv: 118,013,952 MACs, 9,472 params"
        assert citation in details.inner_text()
        page.keyboard.press("c")
        page.locator("output", has_text="copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == citation


def test_an_icicle_zooms_and_the_table_follows(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        cell = page.get_by_role("button", name="inception_3a:")
        assert "128,049,152 MACs, 8.1%" in str(cell.get_attribute("aria-label"))
        narrow = cell.bounding_box()
        cell.click()
        wide = cell.bounding_box()
        assert narrow is not None
        assert wide is not None
        assert wide["width"] > 5 * narrow["width"]
        assert page.get_by_role("navigation", name="zoom").inner_text() == "all › inception_3a"
        assert page.locator("tr.marked th").inner_text().endswith("inception_3a")
        page.keyboard.press("ArrowDown")
        assert page.locator("g:focus").get_attribute("data-id") == str(names_id(page, "branch1x1"))
        page.keyboard.press("Escape")
        assert page.get_by_role("navigation", name="zoom").inner_text() == ""
        several = page.get_by_role("button", name="2 more, from inception_4a.branch5x5 on:")
        several.click()
        assert page.get_by_role("navigation", name="zoom").inner_text() == "all › inception_4a"
        assert several.count() == 0
        page.keyboard.press("Escape")
        page.locator("tr[data-id='0']").hover()
        assert page.locator(".icicle g.marked").get_attribute("data-id") == "0"
        assert page.locator(".graph g.marked").get_attribute("data-path") == "conv1"
        page.locator(".block[data-path=inception_3a]").click()
        assert page.locator("tr.marked th").inner_text().endswith("inception_3a")


def names_id(page: Page, name: str) -> int:
    """The number of the first line of that name that is shown."""
    row = page.locator("tr[data-id]").filter(has_text=name).first
    return int(str(row.get_attribute("data-id")))


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_its_window(
    chromium: Browser, googlenet: Path, width: int, scheme: Any
) -> None:
    with opened(chromium, googlenet, width, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        dark = (
            page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        )
        assert dark == (scheme == "dark")
        page.emulate_media(media="print")
        assert page.locator(".tools:visible").count() == 0
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        )


def test_a_page_works_without_its_script(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet, java_script_enabled=False) as page:
        assert page.locator("table.static tbody tr").count() == 190
        assert page.locator("svg.icicle g").count() > 50
        assert page.locator(".graphs svg").first.is_visible()
        assert page.locator(".graphs summary").all_inner_texts() == [
            "Graph of googlenet, 1 level deep",
            "Graph of googlenet, 2 levels deep",
        ]
        assert page.get_by_text("(112·112·64)·(7·7·3)").is_visible()


def test_a_page_of_many_layers_holds_few_rows_at_a_time(chromium: Browser, tmp_path: Path) -> None:
    net = Net("long", (1, 1, 1, 1))
    (x,) = net.inputs
    for i in range(10_000):
        x = net.add(f"conv{i}", Conv(1, 1), x)
    with opened(chromium, written(tmp_path, costs(net.graph(x)))) as page:
        rows = page.locator("tr[data-id]")
        assert rows.count() < 300
        assert page.get_by_role("treegrid").get_attribute("aria-rowcount") == "10002"
        rows.first.click()
        page.keyboard.press("End")
        assert page.locator("tr:focus th").inner_text() == "conv9999"
        assert rows.count() < 300
        page.keyboard.press("ArrowUp")
        assert page.locator("tr:focus th").inner_text() == "conv9998"
        page.locator(".beside .scroll").evaluate(
            "(all) => { all.scrollTop = all.scrollHeight / 2; }"
        )
        page.locator("tr[data-id]", has_text="conv5000").wait_for()
        page.keyboard.press("ArrowUp")  # goes on from the row that is out of sight
        assert page.locator("tr:focus th").inner_text() == "conv9997"
        assert page.get_by_role("button", name="10000 more, from conv0 on").count() == 1
