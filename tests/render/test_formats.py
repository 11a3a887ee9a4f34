"""Reports: their figures add up, and names cannot break their format."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from fractions import Fraction
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples

import costlab
from costlab.costs.table import CostTable, costs
from costlab.errors import OutputError, how_to_install
from costlab.graph import Graph, Net
from costlab.ops.conv import Conv
from costlab.render import latex_text
from costlab.render.cells import Cell, Difference, Number, Shapes, Share, Versus, text_of
from costlab.render.document import Column, Equation, Line, Table
from costlab.render.formats import formats, render, write
from costlab.render.formats.markdown import escape
from costlab.render.formats.table import _draw
from costlab.render.latex_equations import aligned

MODELS = ["pointwise", "naive", "reduced", "googlenet", "googlenet(aux=True)"]
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")


def integer(text: str) -> int:
    assert NUMBER.fullmatch(text), text
    return int(text.replace(",", ""))


def layers(table: CostTable) -> set[str]:
    return {row.path for row in table.rows}


@pytest.mark.parametrize("model", MODELS)
def test_markdown_columns_add_up_to_the_printed_total(model: str) -> None:
    table = costlab.analyze(model)
    lines = [
        [cell.strip().strip("*").replace("\\", "") for cell in line.strip("|").split(" |")]
        for line in table.to_markdown().splitlines()
        if line.startswith("|")
    ]
    head, _, *rows = [[cell.strip("| ") for cell in line] for line in lines]
    (total,) = [row for row in rows if row[0] == "total"]
    for column in ("params", "MACs"):
        at = head.index(column)
        printed = [integer(row[at]) for row in rows if row[0].partition("<br>")[0] in layers(table)]
        assert len(printed) == len(table.rows)
        assert sum(printed) == integer(total[at])


@pytest.mark.parametrize("depth", [1, None])
@pytest.mark.parametrize("model", MODELS)
def test_terminal_tables_fit_at_every_width(model: str, depth: int | None) -> None:
    table = costlab.analyze(model).to_depth(depth)
    for width in range(80, 190, 3 if depth else 10):
        assert max(map(len, table.to_text(width).splitlines())) <= width
    widest = table.to_text(400)
    assert "Left out" not in widest
    assert "derivation" in widest
    assert "Left out" in costlab.analyze("googlenet").to_text(80)


def test_a_result_at_the_prompt_is_one_line() -> None:
    table = costlab.analyze("naive")
    assert repr(table) == "<CostTable naive: 303 M MACs, 388 K params, 8 operations>"
    both = costlab.compare("naive", "reduced", trace=False)
    assert repr(both) == "<Comparison naive vs reduced: 303 M vs 128 M MACs>"
    assert [table.model for table in both] == ["naive", "reduced"]
    assert repr(costlab.memory("naive")).startswith("<Memory naive: peak ")
    assert repr(table.total) == "<Group of 8 layers: 303 M MACs, 388 K params>"


def named(path: str) -> Graph:
    net = Net("net", (1, 2, 4, 4))
    return net.graph(net.add(path, Conv(3, 1), *net.inputs))


NASTY = [
    "=1+1",
    "+cmd",
    "-2",
    "@x",
    "a|b",
    "<b>",
    "a*b*c",
    "_x_",
    "`x`",
    "a\x1b[31mb",
    "a\nb",
    "a,b",
]


@pytest.mark.parametrize("name", NASTY)
def test_names_cannot_break_a_format(name: str) -> None:
    table = costs(named(name))
    for line in table.to_text().splitlines():
        assert line.isprintable()
    (record,) = csv.DictReader(io.StringIO(table.to_csv()))
    assert not record["path"].startswith(("=", "+", "-", "@"))
    assert record["path"].isprintable()
    assert json.loads(table.to_json())["rows"][0]["path"] == name
    rows = [line for line in table.to_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


@given(st.text(max_size=20))
@settings(max_examples=examples(60), derandomize=True)
def test_markdown_escapes_what_it_would_interpret(text: str) -> None:
    escaped = re.sub("<span>([$@])</span>", "", escape(text))
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<>*`]", escaped)


def test_every_format_renders_every_result() -> None:
    formula = costlab.formula("naive")
    results = [
        formula,
        costlab.analyze("reduced"),
        costlab.compare("naive", "reduced", trace=False),
        costlab.crosscheck("pointwise"),
        costlab.check("naive", "macs <= 1 M"),
    ]
    assert {"csv", "html", "json", "latex", "markdown", "parquet", "sympy", "table"} <= set(
        formats()
    )
    there = [f for f in formats().values() if not f.package or find_spec(f.package)]
    for result in results:
        for chosen in there:
            if chosen.package == "matplotlib" and result not in results[1:4]:
                with pytest.raises(OutputError, match="has no picture"):
                    render(result, chosen.name)
            elif chosen.needs == "equations" and result is not formula:
                with pytest.raises(costlab.CostlabError, match="a format of formulas"):
                    render(result, chosen.name)
            elif not chosen.binary:
                assert render(result, chosen.name).endswith("\n")
    with pytest.raises(costlab.UnknownNameError, match="unknown format 'docx'"):
        render(results[0], "docx")


def test_latex_is_a_fragment_with_everything_literal() -> None:
    text = render(costlab.compare("naive", "reduced(c5r=24)", trace=False), "latex")
    assert text.startswith("% needs \\usepackage{amsmath, array, booktabs, longtable, hyperref}\n")
    assert "\\label{tab:naive-vs-reduced-c5r-24}" in text
    assert r"branch5x5 & A & 120,422,400 & 153,696 & 75,264" in text
    assert r"$\div$6.45" in text
    assert text.count("\\begin{") == text.count("\\end{")
    assert latex_text.escape("50%_{x}^2 \\ a&b $1 #2 ~ 7×7") == (
        r"50\%\_\{x\}\textasciicircum{}2 \textbackslash{} a\&b \$1 \#2 \textasciitilde{} 7$\times$7"
    )


def test_a_long_equation_is_broken_between_its_terms() -> None:
    grid = r"12345 \cdot \left\lfloor{\frac{H + 1}{2}}\right\rfloor \cdot C"
    equation = Equation("macs", "", f"{grid} + {grid} - {grid} + d", "", ())
    broken = aligned(equation)
    assert broken == f"\\mathrm{{macs}} &= {grid} + {grid} \\\\\n&\\quad - {grid} + d"
    assert "\n" not in aligned(Equation("macs", "", f"{grid} + d", "", ()))


def test_a_long_sum_in_brackets_is_broken_too() -> None:
    """TeX does not break a line between ``\\left`` and ``\\right``."""
    terms = [f"1234567 \\cdot \\mathit{{c{i}}}" for i in range(9)]
    broken = aligned(Equation("macs", "", f"H \\cdot \\left({' + '.join(terms)}\\right)", "", ()))
    assert broken.count(" \\\\\n&\\quad + ") >= 1
    assert "\\left" not in broken
    assert broken.count("\\bigl(") == broken.count("\\bigr)") == 1
    short = f"H \\cdot \\left({terms[0]} + 1\\right)"
    assert aligned(Equation("macs", "", short, "", ())) == f"\\mathrm{{macs}} &= {short}"


def test_parquet_is_a_format_of_every_result() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for result in (
        costlab.analyze("reduced"),
        costlab.formula("naive"),
        costlab.compare("naive", "reduced", trace=False),
        costlab.ledger(["googlenet"]),
    ):
        file = io.BytesIO()
        write(result, "parquet", file)
        table = pq.read_table(file)
        records = result.records()
        assert table.column_names == list(records[0])
        assert table.num_rows == len(records)
        for name in ("macs", "params"):
            if name in records[0]:
                assert table[name].to_pylist() == [record[name] for record in records]
                assert table.schema.field(name).metadata[b"unit"]


def test_a_format_that_needs_a_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r"parquet needs pyarrow: pip install .*parquet"):
        write(costlab.analyze("naive"), "parquet", io.BytesIO())


def test_a_hint_to_install_works_where_costlab_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        how_to_install("onnx") == "pip install -c constraints.txt -e '.[onnx]' in costlab's folder"
    )
    monkeypatch.setattr("costlab.errors.__file__", "/lib/site-packages/costlab/errors.py")
    assert how_to_install("onnx") == "pip install 'costlab[onnx]'"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("a word", "a word"),
        (Number(120_422_400, "MACs"), "120,422,400"),
        (Number(120_422_400, "MACs", at_least=True), "≥120,422,400"),
        (Number(None, "MACs", at_least=True), "?"),
        (Number(Fraction(26133, 3000)), "8.711"),
        (Number(Fraction(1, 8), "%"), "12.500%"),
        (Share(1, 3), "33.3%"),
        (Share(None, 3), "?"),
        (Versus(120_422_400, 12_443_648), "÷9.68"),
        (Versus(None, 12_443_648), "?"),
        (Difference(120_422_400, 12_443_648), "−107,978,752"),
        (Difference(5, None), "?"),
        (Shapes(((1, 2, 3), (4, 5))), "1×2×3 + 4×5"),
    ],
)
def test_cells_hold_values_and_formats_write_them(cell: Cell, text: str) -> None:
    assert text_of(cell) == text


def test_a_document_holds_numbers_not_text() -> None:
    table = costlab.analyze("googlenet")
    (shown,) = [block for block in table.document() if isinstance(block, Table)]
    macs = [column.head for column in shown.columns].index("MACs")
    total = shown.lines[-1].cells[macs]
    assert total == Number(1_582_671_872, "MACs")


def test_a_piece_of_a_table_has_its_own_rows_and_notes() -> None:
    columns = (Column("what", right=False), Column("a" * 30), Column("b" * 30))
    lines = (
        Line(("both", Number(1), Number(2)), details=("of a", "of b"), about=((1,), (2,))),
        Line(("late", "", Number(3)), details=("of the line",)),
    )
    drawn, _ = _draw(Table(columns, lines, "how"), 40, color=False, bars=False)
    first, second = "\n".join(drawn).split("\n\n")
    assert "of a" in first
    assert "of a" not in second
    for late in ("of b", "late", "of the line"):
        assert late not in first
        assert late in second
