"""Which lines a table has, in which order, and which columns: nothing is lost or counted twice."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from typing import Any

import pytest
from command_line import Run

import costlab
from costlab.costs.cost import Cost
from costlab.costs.layout import Layout
from costlab.costs.quantities import QUANTITIES
from costlab.costs.table import CostTable, analyze
from costlab.errors import ChoiceError, UnknownNameError
from costlab.models.arguments import parse_share

MODELS = ["naive", "googlenet", "mobilenet-v1"]
WAYS: list[dict[str, Any]] = [
    {},
    {"depth": 1},
    {"flat": True},
    {"flat": True, "depth": 1},
    {"top": 3},
    {"sort": "params"},
    {"sort": "activations", "top": 2, "depth": 1},
    {"min_share": Fraction(1, 20)},
    {"min_share": Fraction(1, 20), "depth": 1},
    {"by": "op"},
    {"by": "kind", "top": 2},
    {"by": "kind", "sort": "other", "min_share": Fraction(1, 10)},
]


def lines(table: CostTable) -> list[Cost]:
    """The lines of a table that no other line repeats."""
    return table.layout.leaves(table.layout.chosen(table).parts)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("how", WAYS, ids=str)
def test_lines_and_what_they_leave_out_are_the_total(model: str, how: dict[str, Any]) -> None:
    table = costlab.analyze(model).laid_out(**how)
    left = table.layout.chosen(table).left
    for quantity in QUANTITIES.values():
        shown = sum(quantity.of(part) for part in lines(table))
        assert shown + sum(map(quantity.of, left)) == quantity.of(table.total)
    covered = [row.path for part in lines(table) for row in part.rows] + [r.path for r in left]
    assert sorted(covered) == sorted(row.path for row in table.rows)


@pytest.mark.parametrize("name", ["macs", "params", "activations", "other"])
def test_sorted_lines_fall_and_the_top_are_the_largest(name: str) -> None:
    table = costlab.analyze("googlenet")
    quantity = QUANTITIES[name]
    numbers = [quantity.of(part) for part in lines(table.laid_out(sort=name))]
    assert numbers == sorted(map(quantity.of, table.rows), reverse=True)
    assert [quantity.of(p) for p in lines(table.laid_out(sort=name, top=4))] == numbers[:4]


def test_a_least_share_leaves_out_what_has_less() -> None:
    table = costlab.analyze("googlenet")
    exact = Fraction(table.rows[0].macs, table.total.macs)  # the first layer has exactly that
    kept = [part.path for part in lines(table.laid_out(min_share=exact, flat=True))]
    assert kept == [row.path for row in table.rows if row.macs >= table.rows[0].macs]
    assert table.rows[0].path in kept


def test_by_kind_tells_kernels_and_depthwise_convolutions_apart() -> None:
    by = costlab.analyze("mobilenet-v1").laid_out(by="kind")
    kinds = {part.path: part for part in lines(by)}
    assert kinds["depthwise conv2d 3×3"].layers == 13
    assert kinds["conv2d 1×1"].layers == 13
    assert kinds["conv2d 3×3"].layers == 1
    # Table 2 of the MobileNet paper: 94.86% of the multiply-adds are in 1×1, 3.06% in depthwise.
    assert round(100 * float(by.share(kinds["conv2d 1×1"])), 1) == 94.9
    assert round(100 * float(by.share(kinds["depthwise conv2d 3×3"])), 1) == 3.1
    operations = {part.path for part in lines(by.laid_out(by="op"))}
    assert {"conv2d", "batch_norm", "relu", "linear"} <= operations


def test_kinds_of_grouped_and_one_dimensional_kernels() -> None:
    from torch import nn

    net = nn.Sequential(
        nn.Conv1d(8, 8, 3), nn.Conv1d(8, 8, 3, groups=2), nn.ConvTranspose1d(8, 8, 2, groups=8)
    )
    by = costlab.analyze(net, (1, 8, 20)).laid_out(by="kind")
    assert {part.path for part in lines(by)} == {
        "conv1d 3",
        "grouped conv1d 3",
        "depthwise conv_transpose1d 2",
    }


def test_flat_lines_have_full_paths_that_grep_finds() -> None:
    text = costlab.analyze("googlenet").laid_out(flat=True).to_text(120)
    for row in costlab.analyze("googlenet").rows:
        assert any(line.startswith(row.path) for line in text.splitlines())


def test_chosen_columns_stand_in_tables_and_csv_in_their_order() -> None:
    table = costlab.analyze("naive").laid_out(columns=("macs", "params_share", "operation"))
    head = table.to_text(80).split("\n\n")[1].splitlines()[0]
    assert head.split() == ["layer", "MACs", "of", "params", "operation"]
    read = csv.DictReader(io.StringIO(table.to_csv()))
    assert read.fieldnames == ["macs", "params_share", "op", "detail", "mac_unit"]
    shares = [float(record["params_share"]) for record in read]
    assert sum(shares) == pytest.approx(1, abs=1e-5)  # each is rounded to six digits
    by = costlab.analyze("naive").laid_out(by="op", columns=("layer", "macs"))
    assert by.to_csv().startswith("op,macs,mac_unit\nconv2d,303464448,")


def test_every_column_can_be_shown_and_exported() -> None:
    from costlab.costs.columns import columns

    table = costlab.analyze("naive", training_cost=True)
    table = table.laid_out(columns=tuple(columns()))
    (record, *_) = table.records()
    assert {"path", "op", "detail", "macs", "share", "params_share", "frozen"} <= record.keys()
    for column in columns().values():
        assert column.head in table.to_markdown()


def test_what_shows_a_training_step_counts_it(costlab: Run) -> None:
    for columns in ("macs,training_macs", "layer,macs,training_macs_share"):
        done = costlab("show", "naive", "--columns", columns)
        assert (done.returncode, "?" in done.stdout) == (0, False)
    done = costlab("show", "naive", "--sort", "input_gradient_macs", "--top", "1")
    assert "A training step takes " in done.stdout
    assert "A training step takes " not in costlab("show", "naive", "--columns", "macs").stdout
    with pytest.raises(ChoiceError, match="training_macs is not counted without training_cost"):
        analyze("naive").laid_out(columns=("training_macs",))


def test_default_columns_do_not_depend_on_the_widths_of_numbers() -> None:
    """A column is left out only if all that are worth less are."""
    order = ["output", "share", "operation", "other ops", "activations", "input"]
    for model in ["naive", "googlenet", "pointwise"]:
        table = costlab.analyze(model)
        for width in range(40, 200, 23):
            text = " ".join(table.to_text(width).split())
            left = text.partition("columns: ")[2].partition(" (")[0]
            names = left.split(", ") if left else []
            assert sorted(names, key=order.index) == order[len(order) - len(names) :]


@pytest.mark.parametrize(
    ("units", "cell"),
    [
        ("exact", "118,013,952"),
        ("auto", "118 M"),
        ("M", "118.014"),
        ("G", "0.118"),
        ("T", "<0.001"),
    ],
)
def test_units_change_tables_and_no_data(units: Any, cell: str) -> None:
    table = costlab.analyze("googlenet").laid_out(units=units, columns=("layer", "macs"))
    (line,) = [
        line
        for line in table.to_text(80).splitlines()
        if line.startswith("  conv ") and cell in line
    ][:1]
    assert line.split(maxsplit=1)[1] == cell
    assert ("MACs (M)" in table.to_text(80)) == (units == "M")
    assert table.to_csv() == table.laid_out(units="exact").to_csv()


def test_totals_by_operation_have_their_name_once() -> None:
    for columns in (("operation", "macs"), ("layer", "operation", "macs"), ("macs",)):
        table = costlab.analyze("naive").laid_out(by="op", columns=columns)
        assert [column.head for column in table.table().columns] == ["operation", "MACs"]
        named = {"op": "conv2d"} if len(columns) > 1 else {}
        assert table.records()[0] == {**named, "macs": 303464448}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"sort": "mcas"}, "unknown quantity 'mcas': did you mean 'macs'"),
        ({"columns": ("mac",)}, "unknown column 'mac': did you mean 'macs'"),
        ({"by": "layer"}, "by is one of path, op, kind, not 'layer'"),
        ({"units": "P"}, "units is one of exact, auto"),
        ({"top": 0}, "a whole number from 1"),
        ({"by": "op", "depth": 1}, "depth is of scopes"),
        ({"columns": ("foo",)}, "unknown column 'foo': known are layer, class, operation, layers,"),
        ({"sort": "foo"}, "unknown quantity 'foo': known are params, trainable, frozen, macs,"),
        ({"sort": "share"}, "share has the order of macs: take that"),
        ({"sort": "params_share"}, "params_share has the order of params: take that"),
        ({"by": "op", "columns": ("output",)}, "output is a column of layers: leave it out"),
    ],
)
def test_a_wrong_layout_says_what_to_write(how: dict[str, Any], said: str) -> None:
    with pytest.raises((ChoiceError, UnknownNameError), match=said):
        Layout(**how)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("200%", "200% is more than all of it"),
        ("1.5", "1.5 is more"),
        ("x", "cannot read the share"),
    ],
)
def test_a_share_is_of_a_whole(text: str, said: str) -> None:
    assert parse_share("100%") == 1
    with pytest.raises(ChoiceError, match=said):
        parse_share(text)


def test_what_has_no_rule_is_never_left_out_for_its_size() -> None:
    from costlab.costs.table import costs
    from costlab.graph import Net
    from costlab.ops.conv import Conv
    from costlab.ops.uncounted import Uncounted

    net = Net("half", (1, 3, 8, 8))
    x = net.add("conv", Conv(4, 1), *net.inputs)
    graph = net.graph(net.add("warp", Uncounted("warp", (1, 4, 8, 8)), x))
    table = costs(graph).laid_out(min_share=Fraction(1, 2))
    assert [part.path for part in lines(table)] == ["conv", "warp"]
    top = table.laid_out(top=1, min_share=0).to_text(80)
    assert "1 other" in top
    assert "≥768" in top


@pytest.mark.parametrize(
    "how", [{"top": 3, "depth": 1}, {"top": 3}, {"by": "op", "top": 2}, {"by": "kind", "top": 2}]
)
def test_lines_left_out_are_counted_as_those_shown(how: dict[str, Any]) -> None:
    table = costlab.analyze("googlenet")
    everything = lines(table.laid_out(**{**how, "top": None, "flat": True}))
    left = len(everything) - how["top"]
    assert f"\n{left} others " in table.laid_out(**how).to_text(80)
