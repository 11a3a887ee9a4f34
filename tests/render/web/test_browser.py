"""Pages in a real browser: by mouse and keyboard, in both widths, light, dark and on paper."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from browsing import opened
from command_line import Run
from torch import nn

import costlab as library
from costlab.costs.table import costs
from costlab.devices.files import device_named
from costlab.devices.ledger import DeviceList
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.render.document import Document, Paragraph, Record
from costlab.render.plots import Axis, Scatter, Step, Waterfall
from costlab.render.result import Result
from costlab.timing.result import LayerTime, Timed, Timing
from costlab.timing.samples import Interval

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


ROOT = Path(library.__file__).parent.parent


def written(tmp_path: Path, result: Any) -> Path:
    file = tmp_path / "page.html"
    file.write_text(result.to_html(), encoding="utf-8")
    return file


@pytest.fixture
def googlenet(tmp_path: Path) -> Path:
    return written(tmp_path, library.analyze("googlenet"))


def names(page: Page) -> list[str]:
    """The first cells of the rows that are shown, without the signs for folding."""
    rows = page.locator("table[role=treegrid] tbody tr[data-id] th span:last-child")
    return list(rows.all_inner_texts())


def test_a_tree_folds_and_unfolds_by_mouse_and_keys(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        assert names(page)[:4] == ["conv1", "pool1", "norm1", "conv2"]
        row = page.locator("tr[data-id='0']")
        assert row.get_attribute("aria-expanded") == "false"
        row.locator(".fold").click()
        assert names(page)[:4] == ["conv1", "conv", "relu", "pool1"]
        assert row.get_attribute("aria-expanded") == "true"
        page.keyboard.press("ArrowLeft")
        assert names(page)[:2] == ["conv1", "pool1"]
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
        assert len(names(page)) == 190
        page.get_by_role("button", name="fold all", exact=True).click()
        assert len(names(page)) == 22


def test_a_tree_is_sorted_by_a_column(chromium: Browser, googlenet: Path) -> None:
    with opened(chromium, googlenet) as page:
        back = page.get_by_role("button", name="order of the network")
        assert back.is_hidden()
        page.get_by_role("button", name="MACs", exact=True).click()
        assert names(page)[:2] == ["conv2", "inception_3b"]
        head = page.get_by_role("columnheader", name="MACs", exact=True)
        assert head.get_attribute("aria-sort") == "descending"
        page.keyboard.press("Enter")
        assert names(page)[-1] == "conv2"
        back.click()
        assert names(page)[0] == "conv1"


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


def test_a_search_shows_what_it_finds_and_what_is_around(
    chromium: Browser, googlenet: Path
) -> None:
    with opened(chromium, googlenet) as page:
        page.get_by_role("searchbox").fill("inception_3a 5x5 reduce")
        assert names(page)[:3] == ["inception_3a", "branch5x5", "reduce"]
        assert "found" in page.locator(".tree output").inner_text()
        page.get_by_role("searchbox").fill("")
        assert len(names(page)) == 22


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
        assert "conv2d 3×3 + relu" in page.locator(".nest").text_content()
        page.locator(".nest [data-path='inception_3b.branch3x3.conv']").click()
        assert "(28·28·192)·(3·3·128)" in page.get_by_role("complementary").inner_text()
        page.keyboard.press("Escape")
        assert focused.get_attribute("data-path") == "inception_3b.branch3x3"
        assert "concat" in blocks(page)
        assert "conv2d 3×3 + relu" not in page.locator(".nest").text_content()
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


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '" onmouseover="alert(3)" x="',
    "{{ 7 * 7 }}${alert(4)}",
    "=HYPERLINK(1)\u202egnp\x1b[31m",
    "__proto__",
    "constructor",
)


def hostile_net() -> nn.Module:
    """A module with each of the names for a scope, and for a layer in it."""
    net = nn.Sequential()
    for name in HOSTILE:
        inner = nn.Sequential()
        inner.add_module(name, nn.Linear(3, 3))
        net.add_module(name, inner)
    return net


def test_hostile_names_run_nothing(chromium: Browser, tmp_path: Path) -> None:
    table = library.analyze(hostile_net(), (1, 3))
    with opened(chromium, written(tmp_path, table)) as page:
        page.get_by_role("button", name="unfold all").click()
        shown = names(page)
        assert len(shown) == 14
        assert shown[:2] == [HOSTILE[0]] * 2
        assert "{{ 7 * 7 }}${alert(4)}" in shown
        for row in page.locator("tr[data-id]").all():
            row.click()
        for cell in page.locator("svg.icicle g").all():
            cell.hover()
        page.get_by_role("button", name="MACs", exact=True).click()
        assert page.locator("script").count() == 2
        assert page.locator("img").count() == 0


def hostile_results() -> dict[str, Result]:
    """What has names in it of layers, models and devices, each in a page of another kind."""
    net, label = hostile_net(), HOSTILE[1]
    device = replace(device_named("h100-sxm"), id=label, name=HOSTILE[0], kind=HOSTILE[3])
    bound = library.bounds(net, (1, 3), device=device)
    part = bound.fused
    took = Interval(2.0, 1.0, 3.0)
    layers = (LayerTime(HOSTILE[0], took, part), LayerTime(label, took, part))
    timed = Timed(label, 9, took, took, 9, part, None, layers)
    linear: Any = type(label, (nn.Linear,), {})
    first, second = (library.formula(linear(3, n), input_size=("N", 3)) for n in (4, 5))
    return {
        "memory": library.memory(net, (1, 3), training=True),
        "bounds": bound,
        "time": Timing((timed,), HOSTILE[0], 1, label, label, {"torch": "2"}, (label,), 1),
        "devices": DeviceList((device, device)),
        "formula": first.compared(second),
        "crosscheck": library.crosscheck(net, (1, 3), counters="torch"),
        "reconcile": library.reconcile(net, (1, 3), counters="torch"),
    }


def test_hostile_names_run_nothing_in_other_pages(chromium: Browser, tmp_path: Path) -> None:
    for kind, result in hostile_results().items():
        with opened(chromium, written(tmp_path, result)) as page:
            text = page.locator("body").inner_text()
            assert "alert(" in text or kind == "reconcile"
            assert "\u202e" not in text
            page.locator("circle, tbody tr, rect, thead button").evaluate_all(
                "(all) => all.forEach((one) => one.dispatchEvent(new MouseEvent('click')))"
            )
            assert page.locator("script").count() == 2
            assert page.locator("img").count() == 0


def test_hostile_labels_and_titles_run_nothing(
    chromium: Browser, costlab: Run, tmp_path: Path
) -> None:
    """What pages say of labels, of sources of figures and of what was varied."""
    label = "<img src=x onerror=alert(5)></script><script>alert(6)</script>"
    both = library.compare("naive", "reduced", names=[label, HOSTILE[2]], trace=False)
    source = tmp_path / "source.toml"
    quoted = json.dumps(label)
    source.write_text(
        f"name = {quoted}\nurl = 'javascript:alert(7)'\n[[figure]]\nid = 'a'\nat = {quoted}\n"
        f"says = {quoted}\nprinted = '1'\nunit = {quoted}\nquantity = 'macs'\nmodel = 'naive'\n"
        "verdict = 'not reproduced'\n",
        encoding="utf-8",
    )
    page_of_figures = tmp_path / "figures.html"
    done = costlab("figures", str(source), "-o", str(page_of_figures))
    assert done.returncode == 0, done.stderr
    points = Scatter(
        label, (Axis(label, label, (1, 2)), Axis("b", label, (2, 1))), (label,) * 2, 0, 1
    )
    falls = Waterfall(label, (Step(label, 0, 1), Step(label, 1, 2), Step(label, 0, 2)))
    for file in (
        written(tmp_path, both),
        page_of_figures,
        written(tmp_path, Drawings(points, falls)),
    ):
        with opened(chromium, file) as page:
            assert label[:20] in page.locator("body").inner_text()
            for place in page.locator("circle, tbody tr, .block").all():
                place.dispatch_event("click")
            for choice in page.locator("select").all():
                choice.select_option(index=1)
            assert page.locator("script").count() == 2
            assert page.locator("img, a[href^=javascript]").count() == 0


class Drawings(Result):
    """A result that is points and steps."""

    def __init__(self, *blocks: Any) -> None:
        self.blocks = blocks

    def document(self) -> Document:
        return (Paragraph(self.blocks[0].title),)

    def page(self) -> Any:
        return (*self.document(), *self.blocks)

    def records(self) -> list[Record]:
        return []

    def data(self) -> dict[str, Any]:
        return {}


COMMANDS = [
    ("show", "googlenet"),
    ("compare", "naive", "reduced", "--no-trace"),
    ("crosscheck", "naive", "--counter", "module"),
    ("figures", "googlenet"),
    ("reconcile", "naive", "--against", "torch"),
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
        assert names(page) == ["branchpool", "branch1x1", "concat", "branch3x3", "branch5x5"]
        page.keyboard.press("Enter")
        assert names(page)[0] == "branch5x5"
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
