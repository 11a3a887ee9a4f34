"""Pages for those who hear them, those who print them, and those who unfold their graphs."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import opened, written

import costlab as library

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def googlenet(tmp_path: Path) -> Path:
    return written(tmp_path, library.analyze("googlenet"))


def accessible(page: Page) -> list[tuple[str, str, dict[str, Any]]]:
    """What Chromium gives to a screen reader: roles, names and states, in the order of reading."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}
    read, waiting = [], [nodes[0]["nodeId"]]
    while waiting:
        node = by_id[waiting.pop()]
        waiting += reversed(node.get("childIds", []))
        if not node["ignored"]:
            states = {known["name"]: known["value"].get("value") for known in node["properties"]}
            read.append((node["role"]["value"], node.get("name", {}).get("value", ""), states))
    return read


def test_a_screen_reader_is_told_what_a_tree_shows(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        page.locator("tr[data-id='0'] .fold").click()
        read = accessible(page)
        (grid,) = (node for node in read if node[0] == "treegrid")
        assert grid[1] == "Layers of googlenet"
        rows = {name: states for role, name, states in read if role == "row"}
        conv1, conv = (rows[f"{name} 9,472 118,013,952 7.5%"] for name in ROWS)
        assert (conv1["level"], conv1["expanded"], conv1["selected"]) == (1, True, True)
        assert (conv["level"], conv["selected"], "expanded" in conv) == (2, False, False)
        assert rows["conv2 4 operations 114,944 359,661,568 22.7%"]["expanded"] is False
        places = page.locator("tr[data-id]").evaluate_all(
            "(rows) => rows.map((row) => [row.ariaPosInSet, row.ariaSetSize, row.ariaLevel])"
        )
        assert places[:4] == [["1", "22", "1"], ["1", "2", "2"], ["2", "2", "2"], ["2", "22", "1"]]
        buttons = {name: states for role, name, states in read if role == "button"}
        assert buttons["inception_3b, 14 operations, 304,267,264 MACs"]["expanded"] is False
        assert not any(sign in name for name in buttons for sign in "▸▾▼▲")
        for change, told in (
            (page.get_by_role("button", name="MACs", exact=True), "sorted by MACs, descending"),
            (
                page.get_by_role("button", name="order of the network"),
                "in the order of the network",
            ),
            (page.get_by_role("button", name="unfold all"), "190 rows"),
        ):
            change.click()
            states = [states for role, _, states in accessible(page) if role == "status"]
            assert all((known["live"], known["atomic"]) == ("polite", True) for known in states)
            assert page.get_by_role("status").last.inner_text() == told


ROWS = ("conv1 2 operations", "conv conv2d 7×7/2 1×64×112×112")


def blocks(page: Page) -> list[str]:
    """The names in the blocks of the graph, and of its scopes that are open."""
    return list(page.locator(".nest text.name, .nest text.scope").all_text_contents())


def test_scopes_of_the_graph_unfold_one_by_one(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        folded = blocks(page)
        assert folded[-2:] == ["dropout", "linear"]
        block = page.get_by_role("button", name="inception_3b, 14 operations, 304,267,264 MACs")
        assert block.get_attribute("aria-expanded") == "false"
        block.click()
        assert block.get_attribute("aria-expanded") == "true"
        branches = ["branch1x1", "branch3x3", "branch5x5", "branchpool"]
        assert set(blocks(page)) - set(folded) == {
            *("concat", "▾ inception_3b"),
            *(f"▸ {branch}" for branch in branches),
        }
        assert page.locator("tr.marked th").inner_text().endswith("inception_3b")
        page.keyboard.press("ArrowDown")
        focused = page.locator(".nest [data-path]:focus")
        assert focused.get_attribute("data-path") == "inception_3b.branch1x1"
        page.keyboard.press("ArrowRight")
        assert focused.get_attribute("data-path") == "inception_3b.branch3x3"
        page.keyboard.press("Enter")
        assert "conv2d 3×3 + relu" in (page.locator(".nest").text_content() or "")
        page.locator(".nest [data-path='inception_3b.branch3x3.conv']").click()
        assert "(28·28·192)·(3·3·128)" in page.get_by_role("complementary").inner_text()
        page.keyboard.press("Escape")
        assert focused.get_attribute("data-path") == "inception_3b.branch3x3"
        assert "concat" in blocks(page)
        assert "conv2d 3×3 + relu" not in (page.locator(".nest").text_content() or "")
        page.keyboard.press("Escape")
        assert blocks(page) == folded
        assert focused.get_attribute("data-path") == "inception_3b"
        page.get_by_role("button", name="unfold the whole graph").click()
        assert len(blocks(page)) == 132
        assert page.locator("output.announced", has_text="131 blocks").count() == 1
        page.locator(".block[data-path='inception_4a.concat']").hover()
        assert page.locator(".nest g.marked").count() == 1
        page.get_by_role("button", name="fold the whole graph", exact=True).click()
        assert blocks(page) == folded


def pages_of(pdf: bytes) -> list[bytes]:
    """What is drawn on each page of a file that Chromium printed."""
    streams = dict(
        re.findall(rb"\n(\d+) 0 obj\n<<[^>]*>>\s*stream\r?\n(.*?)\nendstream", pdf, re.S)
    )
    return [
        zlib.decompress(streams[number])
        for number in re.findall(rb"/Type /Page\n.*?/Contents (\d+) 0 R", pdf, re.S)
    ]


@pytest.mark.parametrize("script", [True, False])
def test_no_page_on_paper_is_empty(chromium: Browser, googlenet: Path, script: bool) -> None:
    with opened(chromium, googlenet, java_script_enabled=script) as page:
        printed = pages_of(page.pdf(format="A4"))
    assert len(printed) >= (3 if script else 8)
    assert all(b" Tf\n" in content for content in printed)
