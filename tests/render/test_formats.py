"""Reports: their figures add up, and names cannot break their format."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import costlab
from costlab import formatting
from costlab.costs.table import CostTable, costs
from costlab.errors import OutputError
from costlab.graph import Graph, Net, opcount
from costlab.ops.conv import Conv
from costlab.ops.elementwise import ReLU
from costlab.render import latex_text
from costlab.render.cells import Cell, Number, Shapes, Share, Versus, text_of
from costlab.render.document import Equation, Table
from costlab.render.formats import formats, latex, render, write
from costlab.render.formats.markdown import escape

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


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("depth", [1, None])
def test_csv_columns_add_up_to_the_total(model: str, depth: int | None) -> None:
    table = costlab.analyze(model)
    records = list(csv.DictReader(io.StringIO(table.to_depth(depth).to_csv())))
    for name in ("macs", "mul", "add", "cmp", "div", "special", "other", "flops"):
        assert sum(int(record[name]) for record in records) == getattr(table.total.count, name)
    for name in ("params", "activations"):
        assert sum(int(record[name]) for record in records) == getattr(table.total, name)
    assert sum(int(record["layers"]) for record in records) == len(table.rows)
    assert {record["mac_unit"] for record in records} == {"1 multiplication + 1 addition"}


@pytest.mark.parametrize("depth", [1, None])
@pytest.mark.parametrize("model", MODELS)
def test_terminal_tables_fit_at_every_width(model: str, depth: int | None) -> None:
    table = costlab.analyze(model).to_depth(depth)
    for width in range(80, 190):
        assert max(map(len, table.to_text(width).splitlines())) <= width
    widest = table.to_text(400)
    assert "Left out" not in widest
    assert "derivation" in widest
    assert "Left out" in costlab.analyze("googlenet").to_text(80)


def test_a_narrow_terminal_gets_the_columns_in_turns() -> None:
    text = costlab.compare("naive", "reduced", "naive(c5=8)", trace=False).to_text(50)
    assert max(map(len, text.splitlines())) <= 50
    assert text.count("120,422,400") == 1
    assert [line.split() for line in text.splitlines() if line.startswith("branch5x5")][1] == [
        "branch5x5",
        "30,105,600",
        "4.00x",
        "fewer",
    ]


def test_comparison_columns_add_up_to_the_printed_total() -> None:
    text = costlab.compare("naive", "reduced", trace=False).to_text()
    for block in text.split("\n\n"):
        lines = [re.split(r" {2,}", line) for line in block.splitlines()]
        figures = [line[1:3] for line in lines if len(line) == 4 and line[0].startswith("branch")]
        if not figures:
            continue
        (total,) = [line[1:3] for line in lines if line[0] == "total"]
        (rest,) = [line[1:3] for line in lines if line[0] == "concat"]
        for model in range(2):
            printed = [integer(line[model]) for line in [*figures, rest]]
            assert len(printed) == 5
            assert sum(printed) == integer(total[model])


@pytest.mark.parametrize("model", MODELS)
def test_a_derivation_is_the_count(model: str) -> None:
    table = costlab.analyze(model)
    for row in table.rows:
        if row.contraction:
            factors = [int(factor) for factor in re.findall(r"\d+", row.derivation)]
            product = 1
            for factor in factors:
                product *= factor
            assert product == row.macs
            named = row.contraction.factors()
            assert [value for name, value in named if (name, value) != ("batch", 1)] == factors
        else:
            assert row.macs == 0
            assert row.derivation == ""


def test_shares_are_exact_and_sum_to_one() -> None:
    table = costlab.analyze("googlenet")
    assert sum(table.share(row) for row in table.rows) == 1
    row = table.at("inception_3a").total
    assert table.share(row) == Fraction(128_049_152, 1_582_671_872)


def test_batches_show_in_shapes_and_derivations() -> None:
    table = costlab.analyze("naive/branch5x5", input_size=(8, 192, 28, 28))
    assert table.total.macs == 8 * 120_422_400
    assert "(8·28·28·32)·(5·5·192)" in table.to_text()
    assert "8×192×28×28" in table.to_text()


def test_only_a_batch_of_one_is_left_out_of_a_derivation() -> None:
    net = Net("net", (1, 3, 1, 1))
    (row,) = costs(net.graph(net.add("conv", Conv(1, 1), *net.inputs))).rows
    assert row.derivation == "(1·1·1)·(1·1·3)"


def test_json_is_the_record() -> None:
    table = costlab.analyze("reduced")
    data = json.loads(table.to_json())
    assert data["schema"] == 2
    assert data["costlab"] == costlab.__version__
    assert data["model"] == "reduced"
    assert data["input"] == [[1, 192, 28, 28]]
    assert data["complete"] is True
    assert data["uncounted"] == []
    assert data["total"]["macs"] == 128_049_152 == sum(row["macs"] for row in data["rows"])
    assert data["total"]["flops"] == table.total.flops
    (conv,) = [row for row in data["rows"] if row["path"] == "branch5x5.conv"]
    assert conv["factors"] == [
        ["batch", 1],
        ["output height", 28],
        ["output width", 28],
        ["output channels", 32],
        ["kernel height", 5],
        ["kernel width", 5],
        ["input channels per group", 16],
    ]
    assert conv["derivation"] == "(28·28·32)·(5·5·16)"
    assert conv["output"] == [[1, 32, 28, 28]]
    assert table.to_json() == costlab.analyze("reduced").to_json()
    assert list(data) == sorted(data)


def test_json_of_a_comparison() -> None:
    data = json.loads(costlab.compare("naive", "reduced", trace=False).to_json())
    assert [model["model"] for model in data["models"]] == ["naive", "reduced"]
    at = {branch["path"]: branch["macs"] for branch in data["branches"]}
    assert at["branch5x5"] == [120_422_400, 12_443_648]
    assert data["same_interface"] is False


def test_absent_branches_are_absent_not_zero() -> None:
    comparison = costlab.compare("googlenet", "googlenet(bn=True)", trace=False)
    at = {branch["path"]: branch["other"] for branch in comparison.data()["branches"]}
    assert at["norm1"][1] is None
    (line,) = [line for line in comparison.to_text().splitlines() if line.startswith("norm1")][:1]
    assert line.split() == ["norm1", "0", "-"]


def test_one_model_on_two_inputs_is_told_apart() -> None:
    one, two = (costlab.analyze("naive", input_size=(n, 192, 28, 28)) for n in (1, 2))
    text = costlab.compare(one, two, trace=False).to_text()
    assert "naive on 2×192×28×28 against naive on 1×192×28×28: 2.00x more MACs" in text
    assert "Different inputs: " in text
    assert "Different interface: " in text


def test_the_same_model_twice_is_numbered() -> None:
    assert costlab.compare("naive", "naive", trace=False).names == (
        "naive on 1×192×28×28 (1)",
        "naive on 1×192×28×28 (2)",
    )


def test_a_comparison_goes_as_deep_as_told() -> None:
    models = ("googlenet/inception_3a", "googlenet/inception_3b")
    deep = costlab.compare(*models, depth=2, trace=False)
    assert {"branch5x5.reduce", "branch5x5.conv", "concat"} <= {b.path for b in deep.branches}
    frame = deep.to_frame()
    for model, table in zip(models, deep.tables, strict=True):
        rows = frame[frame["model"] == model]
        assert rows[rows["row"] == "branch"]["macs"].sum() == table.total.macs
        assert rows[rows["row"] == "total"]["macs"].sum() == table.total.macs


def test_equal_next_layers_are_said_once_or_not_at_all() -> None:
    text = costlab.compare("naive", "reduced", "reduced(c5r=8)", trace=False).to_text(300)
    assert "after reduced or reduced(c5r=8) it takes 256/416 of" in text
    same = costlab.compare("googlenet", "googlenet(bn=True)", "googlenet(aux=True)", trace=False)
    assert "1000/1000" not in same.to_text()
    assert "googlenet(aux=True) 1×1000 + 1×1000 + 1×1000" in same.to_text(200)


def test_a_result_at_the_prompt_is_one_line() -> None:
    table = costlab.analyze("naive")
    assert repr(table) == "<CostTable naive: 303 M MACs, 388 K params, 8 operations>"
    both = costlab.compare("naive", "reduced", trace=False)
    assert repr(both) == "<Comparison naive vs reduced>"


def test_what_different_channels_mean_for_the_next_layer() -> None:
    text = " ".join(costlab.compare("naive", "reduced", trace=False).to_text().split())
    assert "after reduced it takes 256/416 of the MACs and weights" in text
    same = costlab.compare("reduced", "reduced(c5r=24)", trace=False).to_text()
    assert "Same interface: each gives 1×256×28×28." in same
    assert "follows costs in proportion" not in same
    other = costlab.compare("googlenet/inception_3a", "googlenet/inception_4a", trace=False)
    assert "Different interface" in other.to_text()
    assert "follows costs in proportion" not in other.to_text()


def test_frames_hold_integers() -> None:
    frame = costlab.analyze("googlenet").to_frame()
    assert int(frame["macs"].sum()) == 1_582_671_872
    assert str(frame["macs"].dtype) == "Int64"
    compared = costlab.compare("googlenet", "googlenet(bn=True)", trace=False).to_frame()
    assert str(compared["macs"].dtype) == "Int64"
    assert compared["macs"].isna().any()


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
@settings(max_examples=200, derandomize=True)
def test_markdown_escapes_what_it_would_interpret(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<>*`]", escaped)


def test_every_format_renders_every_result() -> None:
    formula = costlab.formula("naive")
    results = [
        formula,
        costlab.analyze("reduced"),
        costlab.compare("naive", "reduced", trace=False),
        costlab.crosscheck("pointwise"),
    ]
    assert list(formats()) == ["csv", "json", "latex", "markdown", "parquet", "sympy", "table"]
    for result in results:
        for chosen in formats().values():
            if chosen.needs == "equations" and result is not formula:
                with pytest.raises(costlab.CostlabError, match="a format of formulas"):
                    render(result, chosen.name)
            elif not chosen.binary:
                assert render(result, chosen.name).endswith("\n")
    with pytest.raises(costlab.UnknownNameError, match="unknown format 'html'"):
        render(results[0], "html")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.00 K"),
        (1_234, "1.23 K"),
        (9_995, "10.0 K"),
        (12_443_648, "12.4 M"),
        (120_422_400, "120 M"),
        (999_499, "999 K"),
        (999_500, "1.00 M"),
        (999_999, "1.00 M"),
        (1_582_671_872, "1.58 G"),
        (10**15, "1,000 T"),
    ],
)
def test_scaled_numbers_round_and_carry(number: int, text: str) -> None:
    assert formatting.scaled(number) == text


@pytest.mark.parametrize(
    ("first", "other", "text"),
    [
        (120_422_400, 12_443_648, "9.68x fewer"),
        (100, 125, "1.25x more"),
        (1_000, 1_001, "0.1% more"),
        (1_000_000, 1_000_001, "<0.1% more"),
        (1_000, 995, "0.5% fewer"),
        (2_304, 303_464_448, "131,712x more"),
        (5, 5, "same"),
        (0, 5, "from 0"),
        (5, 0, "to 0"),
        (0, 0, "same"),
    ],
)
def test_a_ratio_is_a_factor_in_words(first: int, other: int, text: str) -> None:
    assert formatting.ratio(first, other) == text


def test_shares_never_show_something_as_nothing() -> None:
    assert formatting.percent(1, 10_000_000) == "<0.1%"
    assert formatting.percent(0, 10) == "0%"
    assert formatting.percent(0, 0) == "-"
    assert formatting.percent(1, 3) == "33.3%"


def test_counts_add_and_scale() -> None:
    one = opcount.OpCount(1, 2, 3, 4, 5, 6)
    assert np.int64(3) * one == one * 3 == 3 * one
    assert one.flops == 2 + 20
    assert one + one == 2 * one == one * 2 == opcount.total([one, one])


def test_a_table_of_nothing_to_multiply() -> None:
    net = Net("net", (1, 2))
    table = costs(net.graph(net.add("relu", ReLU(), *net.inputs)))
    assert table.total.macs == 0
    assert "-" in table.to_text()


def test_latex_is_a_fragment_with_everything_literal() -> None:
    text = render(costlab.compare("naive", "reduced(c5r=24)", trace=False), "latex")
    assert text.startswith("% needs \\usepackage{amsmath, array, booktabs, longtable, hyperref}\n")
    assert "\\begin{longtable}{lrrr}\n\\caption{" in text
    assert "\\label{tab:naive-vs-reduced-c5r-24}" in text
    assert r"branch5x5 & 120,422,400 & 18,665,472 & 6.45x fewer \\*" in text
    assert text.count("\\begin{") == text.count("\\end{")
    assert latex_text.escape("50%_{x}^2 \\ a&b $1 #2 ~ 7×7") == (
        r"50\%\_\{x\}\textasciicircum{}2 \textbackslash{} a\&b \$1 \#2 \textasciitilde{} 7$\times$7"
    )


def test_a_long_equation_is_broken_between_its_terms() -> None:
    grid = r"\left\lfloor{\frac{H + 1}{2}}\right\rfloor"
    equation = Equation("macs", "", f"a + {grid} - c + d", "", ())
    broken = latex.aligned(equation, terms=2)
    assert broken == f"\\mathrm{{macs}} &= a + {grid} \\\\\n&\\quad - c + d"


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
    with pytest.raises(OutputError, match=r"parquet needs pyarrow: pip install 'costlab"):
        write(costlab.analyze("naive"), "parquet", io.BytesIO())


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
        (Versus(120_422_400, 12_443_648), "9.68x fewer"),
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
