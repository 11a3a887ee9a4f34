"""What is in the file of a page, without a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import Run

import costlab as library
from costlab.costs.table import CostTable, costs
from costlab.costs.tree import tree_of
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.render.plots import Span, Spans
from costlab.render.tree import icicle
from costlab.render.web.data import tree_data
from costlab.render.web.plots import DrawnSpans
from costlab.render.web.static import MOST_LINES, StaticTree


class Read(HTMLParser):
    """Elements with their attributes, and the texts of those that are asked for."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.within: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.within:
            self.texts.setdefault(self.within[-1], []).append(data)


def hash_of(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def deep(stages: int) -> CostTable:
    """Stages of ten blocks of ten layers."""
    net = Net("deep", (1, 1, 1, 1))
    (x,) = net.inputs
    for stage in range(stages):
        with net.scope(f"stage{stage}"):
            for block in range(10):
                with net.scope(f"block{block}"):
                    for layer in range(10):
                        x = net.add(f"conv{layer}", Conv(1, 1), x)
    return costs(net.graph(x))


def test_a_page_allows_its_own_script_and_style_and_nothing_else() -> None:
    read = Read(library.analyze("googlenet").to_html())
    (policy,) = (
        str(attributes["content"])
        for tag, attributes in read.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    data, script = read.texts["script"]
    (style,) = read.texts["style"]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hash_of(script)}'; "
        f"style-src 'sha256-{hash_of(style)}'; base-uri 'none'; form-action 'none'"
    )
    assert json.loads(data)["trees"][0]["networks"] == ["googlenet"]
    for tag, attributes in read.elements:
        assert tag not in ("link", "img", "iframe", "base", "object", "embed", "form")
        assert not {"style", "src", "srcset"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert str(attributes.get("href", "https://")).startswith("https://")


def test_a_page_of_googlenet_is_small() -> None:
    assert len(library.analyze("googlenet").to_html().encode()) <= 300_000
    committed = Path(library.__file__).parent.parent / "reports/models/googlenet/index.html"
    assert committed.stat().st_size <= 300_000


def test_the_lines_of_a_page_are_those_of_the_table() -> None:
    table = library.analyze("googlenet")
    tree = tree_of(table)
    names = [measure.name for measure in tree.measures]
    for part, line in zip(table.groups(), tree.lines, strict=True):
        numbers = dict(zip(names, (cell.value for cell in line.numbers[0]), strict=True))
        assert line.paths == (part.path,)
        assert (numbers["macs"], numbers["params"]) == (part.macs, part.params)
        inside = [tree.lines[n] for n in tree.contents.get(tree.lines.index(line), [])]
        assert bool(inside) == (part.layer is None)
        if inside:
            assert sum(int(other.numbers[0][3].value or 0) for other in inside) == part.macs


def test_the_rectangles_of_a_scope_fill_it() -> None:
    tree = tree_of(library.analyze("reduced"))
    cells = icicle(tree, 0)
    assert sum(cell.width for cell in cells if cell.level == 0) == pytest.approx(1)
    for cell in cells:
        inside = [other for other in cells if tree.lines[other.line].parent == cell.line]
        if inside:
            assert sum(other.width for other in inside) == pytest.approx(cell.width)
            assert min(other.start for other in inside) == pytest.approx(cell.start)


def test_a_large_network_has_few_lines_without_the_script_and_all_with_it() -> None:
    table = deep(20)
    tree = tree_of(table)
    shown = StaticTree(tree)
    assert len(shown.lines) == 20 + 200
    assert shown.left == 2000
    assert len(tree_data(tree)["lines"]) == 2220
    assert "2,000 more lines" in table.to_html()
    flat = Net("flat", (1, 1, 1, 1))
    (x,) = flat.inputs
    for i in range(1000):
        x = flat.add(f"conv{i}", Conv(1, 1), x)
    assert len(StaticTree(tree_of(costs(flat.graph(x)))).lines) == MOST_LINES


def test_numbers_that_a_script_would_round_are_text() -> None:
    table = library.analyze("vgg16", (2**30, 3, 224, 224))
    total = tree_data(tree_of(table))["totals"][0]
    assert str(table.total.macs) in total
    assert table.total.params in total


def test_the_totals_of_a_comparison_stand_above_its_tree() -> None:
    text = library.compare("naive", "reduced", trace=False).to_html()
    assert text.index("difference</th>") < text.index('class="tree"') < text.index("what differs")


def test_an_interval_is_as_wide_as_its_share_of_the_scale() -> None:
    (row,) = DrawnSpans(Spans("", (Span("a", "2 s", 1.0, 2.0, 4.0, 0.5),))).rows
    assert row[1:] == (250, 500, 125, 750)


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m"


def test_names_cannot_leave_their_place_in_a_page(tmp_path: Path) -> None:
    from torch import nn

    net = nn.Sequential()
    net.add_module(HOSTILE.replace(".", ""), nn.Linear(3, 3))
    text = library.analyze(net, (1, 3)).to_html()
    assert text.count("<script") == 2
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert r"\u202e\x1b[31m" in text


@pytest.mark.parametrize(
    "command",
    [
        ("show", "torch.nn:Linear(in_features=2, out_features=3)"),
        ("show", "googlenet", "--by", "kind"),
        ("show", "googlenet", "--sort", "params", "--top", "5"),
        ("show", "reduced", "--training-cost", "--columns", "layer,share", "--units", "M"),
        ("compare", "naive", "reduced", "--no-trace"),
        ("crosscheck", "naive", "--counter", "module"),
        ("reconcile", "naive", "--counter", "torch"),
        ("figures", "googlenet"),
        ("formula", "naive"),
        ("list",),
        ("memory", "naive"),
    ],
    ids=" ".join,
)
def test_every_result_is_a_page(costlab: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = costlab(*command, "-o", "page.html", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    read = Read(text)
    assert read.texts["h1"]
    assert f"costlab {command[0]}" in re.sub(r"\s+", " ", text)
    assert any(tag == "table" for tag, _ in read.elements) or command[0] == "formula"


def test_a_page_is_the_same_each_time(costlab: Run) -> None:
    one, other = (costlab("show", "reduced", "--format", "html").stdout for _ in range(2))
    assert one == other != ""


def test_the_template_engine_is_loaded_for_pages_only() -> None:
    script = (
        "import sys\nfrom costlab.cli import main\n"
        "try: main(['show', 'naive', '--format', sys.argv[1]])\n"
        "finally: print('jinja2' in sys.modules, file=sys.stderr)"
    )
    loaded = [
        subprocess.run(
            [sys.executable, "-c", script, name], capture_output=True, text=True, check=True
        ).stderr.strip()
        for name in ("csv", "html")
    ]
    assert loaded == ["False", "True"]
