"""What results say of themselves: in a session, in a notebook, and row by row."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

import costlab
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.ops.uncounted import Uncounted
from costlab.render.result import Result
from costlab.views.listing import listing

RESULTS: dict[str, tuple[Result, str]] = {
    "table": (
        costlab.analyze("googlenet"),
        "<CostTable googlenet: 1.58 G MACs, 7.00 M params, 143 operations>",
    ),
    "crosscheck": (
        costlab.crosscheck("naive", counters=["module"]),
        "<CrossCheck naive: module agrees on 14 of 14>",
    ),
    "ledger": (costlab.ledger(["introduction"]), "<Ledger 6 figures from 1 source: "),
    "formula": (
        costlab.formula("naive/branch5x5"),
        "<Formula naive/branch5x5: macs = 800·C·H·W>",
    ),
    "comparison": (
        costlab.compare("naive", "reduced", trace=False),
        "<Comparison ",
    ),
    "listing": (listing(["naive", "reduced"]), "<Listing 2 models: naive, reduced>"),
}


class Tags(HTMLParser):
    """Whether all tags are closed, and the texts of cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.used: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.used.add(tag)
        if tag == "br":
            return
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & {*self.open}:
            self.cells[-1] += data


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_says_in_a_line_what_it_is(name: str) -> None:
    result, said = RESULTS[name]
    assert said in repr(result)
    assert "\n" not in repr(result)


def test_a_lower_bound_says_so() -> None:
    from costlab.costs.table import costs

    net = Net("half", (1, 3, 8, 8))
    x = net.add("conv", Conv(4, 1), *net.inputs)
    table = costs(net.graph(net.add("warp", Uncounted("warp", (1, 4, 8, 8)), x)))
    assert repr(table) == "<CostTable half: at least 768 MACs, 16 params, 2 operations>"


@pytest.mark.parametrize("name", RESULTS)
def test_a_notebook_shows_a_result(name: str) -> None:
    result, _ = RESULTS[name]
    tags = Tags(result._repr_html_())
    if name != "formula":
        assert {"table", "td"} <= tags.used
    assert result._repr_markdown_() == result.to_markdown()


def test_a_notebook_shows_every_number_of_a_table() -> None:
    table = costlab.analyze("naive")
    cells = [cell.strip() for cell in Tags(table._repr_html_()).cells]
    for row in table.rows:
        assert f"{row.macs:,}" in cells
        assert row.derivation in cells
        assert row.path.rpartition(".")[2] in cells
    assert f"{table.total.macs:,}" in cells


def test_names_are_no_markup_in_a_notebook() -> None:
    name = "<script>alert(1)</script>&\x1b[2J"
    net = Net(name, (1, 3, 8, 8))
    from costlab.costs.table import costs

    table = costs(net.graph(net.add("<b>", Conv(4, 1), *net.inputs)))
    tags = Tags(table._repr_html_())
    assert not {"script", "b"} & tags.used
    assert "<b>" in [cell.strip() for cell in tags.cells]
    assert "\x1b" not in table._repr_html_() + repr(table)


def test_formulas_are_equations_in_a_notebook() -> None:
    formula = costlab.formula("naive/branch5x5")
    text = formula._repr_latex_()
    assert text.startswith(
        "$$\\begin{aligned}\n\\mathrm{macs} &= 800 \\cdot C \\cdot H \\cdot W \\\\\n"
    )
    assert text.endswith("\\end{aligned}$$")
    assert "\\mathrm{macs} &amp;= 800 \\cdot C \\cdot H" in formula._repr_html_()


def test_results_are_gone_through_row_by_row() -> None:
    table = costlab.analyze("naive")
    assert [row.path for row in table] == [row.path for row in table.rows]
    assert len(table) == len(table.rows)
    assert table["branch5x5"].total.macs == table.at("branch5x5").total.macs
    check = costlab.crosscheck("naive", counters=["module"])
    assert list(check) == list(check.rows)
    assert len(costlab.ledger(["introduction"])) == len(costlab.ledger(["introduction"]).rows)


def test_a_table_without_rows_is_still_a_table() -> None:
    from torch import nn

    table = costlab.analyze(nn.Sequential(), (1, 3))
    assert len(table) == 0
    assert table
