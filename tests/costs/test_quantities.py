"""A quantity is one entry of the registry, and every view, format and language has it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import costlab
from costlab.cli.commands import cli
from costlab.costs.cost import Cost
from costlab.costs.quantities import QUANTITIES, legend
from costlab.costs.quantity import Quantity
from costlab.costs.table import CostTable, costs
from costlab.figures.quantity import evaluate
from costlab.graph import Net
from costlab.ops.conv import Conv
from costlab.ops.uncounted import Uncounted
from costlab.sweeps.files import Store
from costlab.sweeps.request import Request
from costlab.sweeps.search import search
from costlab.sweeps.sweep import Sweep, run_sweep, write_file
from costlab.views.listing import listing
from costlab.views.report import Index, VariantTable

UNIT = "bytes of the layers' outputs in float32"
HEADING = "bytes written"
DEFINITION = "bytes written = 4 for each activation"
MODEL = "pointwise"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> int:
    """One more entry; its number for the model, by hand."""
    entry = Quantity(
        "written",
        HEADING,
        UNIT,
        lambda cost: 4 * cost.activations,
        DEFINITION,
        {"show": 6, "list": 0, "compare": 0, "formula": 0, "sweep": 0, "report": 0},
        needs_rule=False,
    )
    monkeypatch.setitem(QUANTITIES, "written", entry)
    search.cache_clear()
    return 4 * costlab.analyze(MODEL).total.activations


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_show_has_an_added_quantity(added: int) -> None:
    table = costlab.analyze(MODEL)
    text = table.to_text(300)
    assert HEADING in text
    assert f"{added:,}" in text
    assert sum(int(record["written"]) for record in read(table.to_csv())) == added
    data = json.loads(table.to_json())
    assert data["total"]["written"] == added
    assert DEFINITION in data["units"]


def test_an_added_quantity_gives_way_at_narrow_widths(added: int) -> None:
    text = " ".join(costlab.analyze(MODEL).to_text(80).split())
    assert re.search(rf"Left out at 80 columns: [^(]*{HEADING}, input", text)


def test_compare_has_an_added_quantity(added: int) -> None:
    comparison = costlab.compare(MODEL, MODEL, trace=False)
    text = comparison.to_text()
    assert f"other ops, {HEADING}." in " ".join(text.split())
    assert f"\n{HEADING}" in text
    assert f"  {HEADING}" in costlab.compare(MODEL, MODEL, trace=False, everything=True).to_text()
    assert {int(record["written"]) for record in read(comparison.to_csv())} >= {added}
    assert comparison.data()["branches"][0]["written"]


def test_formula_has_an_added_quantity(added: int) -> None:
    formula = costlab.formula(MODEL)
    assert int(formula.at(**formula.published)["written"]) == added
    assert formula.written == formula["written"]
    text = " ".join(formula.to_text().split())
    assert "written = " in text
    assert f"{added:,} {HEADING}" in text
    assert "written = " in formula.to_sympy()
    assert "written" in {record["quantity"] for record in read(formula.to_csv())}


def test_sweep_has_an_added_quantity(added: int, tmp_path: Path) -> None:
    vary = {"H=W": "7,14,28"}
    frame = costlab.sweep(MODEL, vary, where="written > 392", maximize="written")
    assert list(frame["written"]) == [16 * 392, 4 * 392]  # 4 bytes of 2 channels of 7×7 places
    the_plan = Request(MODEL, {"H=W": "6,7"}).plan()
    store = Store(the_plan)
    run_sweep(the_plan, store)
    text = Sweep(store).to_text()
    assert HEADING in text
    assert f"{added:,}" in text


def test_parquet_has_an_added_quantity_with_its_unit(added: int, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    the_plan = Request(MODEL, {"H": "7,28"}).plan()
    store = Store(the_plan, tmp_path / "out.parquet")
    run_sweep(the_plan, store)
    write_file(store, tmp_path / "out.parquet", "parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    units = {name: schema.field(name).metadata[b"unit"].decode() for name in schema.names}
    assert units["written"] == UNIT
    assert units["H"] == "dimension: height of the input"
    assert units["N"] == "dimension: batch of the input"
    choices = costlab.architectures()[MODEL].choices
    assert {name for name, unit in units.items() if unit == "choice"} == set(choices)


def test_figures_have_an_added_quantity(added: int) -> None:
    table = costlab.analyze(MODEL)
    assert evaluate("written", table) == added
    assert evaluate("written[conv]", table) <= added


def test_list_and_report_have_an_added_quantity(added: int) -> None:
    entries = listing([MODEL])
    assert HEADING in entries.to_text(200)
    assert [record["written"] for record in entries.records()] == [added]
    variants = VariantTable((costlab.analyze(MODEL),))
    assert f"{added:,}" in variants.to_markdown()
    assert HEADING in variants.to_markdown()
    assert [record["written"] for record in variants.records()] == [added]
    assert HEADING in Index((), ()).to_markdown()


def test_help_and_legend_have_an_added_quantity(added: int) -> None:
    text = CliRunner().invoke(cli, ["sweep", "--help"]).output
    assert ", written)" in " ".join(text.split())
    assert DEFINITION in legend()
    table = costlab.analyze(MODEL).laid_out(columns=("written",))
    assert DEFINITION in " ".join(table.to_text().split())
    assert DEFINITION in " ".join(CliRunner().invoke(cli, ["show", "--help"]).output.split())


def test_nothing_has_a_quantity_that_is_not_added() -> None:
    assert HEADING not in costlab.analyze(MODEL).to_text(300)
    assert "written)" not in CliRunner().invoke(cli, ["sweep", "--help"]).output


@pytest.fixture
def half_known() -> CostTable:
    net = Net("half", (1, 3, 8, 8))
    with net.scope("odd"):
        x = net.add("conv", Conv(4, 1), *net.inputs)
        x = net.add("warp", Uncounted("grid_sample", (1, 4, 8, 8)), x)
    return costs(net.graph(x))


def test_a_scope_and_a_layer_are_both_costs(half_known: CostTable) -> None:
    scope, conv, warp = half_known.groups()
    parts: list[Cost] = [scope, conv, warp, half_known.total]
    assert [part.path for part in parts] == ["odd", "odd.conv", "odd.warp", ""]
    assert [part.level for part in parts] == [0, 1, 1, 0]
    assert [part.layers for part in parts] == [2, 1, 1, 2]
    assert [part.uncounted for part in parts] == [1, 0, 1, 1]
    assert [part.bound for part in parts] == ["at least", "", "unknown", "at least"]
    assert [part.operation for part in parts] == [
        "2 operations",
        "conv2d 1×1",
        "grid_sample",
        "2 operations",
    ]
    assert [part.macs for part in parts] == [768, 768, 0, 768]  # 8·8·4·3
    assert [part.activations for part in parts] == [512, 256, 256, 512]


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [("macs", (768, 768, None), ("≥768", "768", "?")), ("params", (16, 16, 0), ("16", "16", "0"))],
)
def test_a_quantity_that_needs_no_rule_is_known_without_one(
    half_known: CostTable, name: str, known: tuple[int | None, ...], text: tuple[str, ...]
) -> None:
    quantity = QUANTITIES[name]
    told: Callable[[Cost], int | None] = quantity.known
    assert tuple(map(told, half_known.groups())) == known
    assert tuple(map(quantity.text, half_known.groups())) == text
