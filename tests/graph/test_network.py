"""Graphs, parts of them, and what cannot be built."""

from __future__ import annotations

import pytest

from costlab import analyze, compare, crosscheck
from costlab.costs.cost import Cost
from costlab.costs.quantities import QUANTITIES
from costlab.costs.table import costs
from costlab.errors import ChoiceError, CostlabError, ShapeError, UnknownNameError
from costlab.graph import Graph, Net
from costlab.ops.broadcast import Add
from costlab.ops.conv import Conv
from costlab.ops.dense import Linear, Matmul
from costlab.ops.elementwise import ReLU
from costlab.ops.pool import MaxPool
from costlab.ops.softmax import Softmax
from costlab.ops.uncounted import Uncounted
from costlab.ops.zero_cost import Concat

MODELS = ["pointwise", "naive", "reduced", "googlenet(aux=True)", "googlenet(bn=True)"]


def unknown() -> Graph:
    """A network with an operation that has no rule."""
    net = Net("mystery", (1, 3, 8, 8))
    x = net.add("conv", Conv(4, 3, padding=1), *net.inputs)
    with net.scope("odd"):
        x = net.add("warp", Uncounted("grid_sample", (1, 4, 8, 8)), x)
        x = net.add("relu", ReLU(), x)
    return net.graph(x)


def numbers(cost: Cost) -> list[int]:
    return [quantity.of(cost) for quantity in QUANTITIES.values()]


@pytest.mark.parametrize("model", MODELS)
def test_a_part_costs_what_its_rows_cost(model: str) -> None:
    table = analyze(model)
    for group in [part for part in table.groups() if part.layer is None]:
        part = table.at(group.path)
        assert numbers(part.total) == numbers(group)
        assert part.graph == analyze(f"{model}/{group.path}").graph
        assert [row.count for row in part.rows] == [row.count for row in group.rows]
    for row in table.rows:
        assert table.at(row.path).total.macs == row.macs


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("depth", [1, 2, 3, None])
def test_groups_at_any_depth_add_up(model: str, depth: int | None) -> None:
    table = analyze(model)
    last = [part for part in table.groups(depth) if part.layer or part.level + 1 == depth]
    rows = [row for part in last for row in part.rows]
    assert rows == list(table.rows)


def test_a_part_of_a_part_is_a_part_of_the_whole() -> None:
    table = analyze("googlenet")
    inner = table.at("inception_3a").at("branch5x5")
    assert inner.graph.layers == table.at("inception_3a/branch5x5").graph.layers
    assert inner.graph.inputs == ((1, 192, 28, 28),)
    assert inner.model == "googlenet/inception_3a/branch5x5"
    assert [row.path for row in inner.rows] == ["reduce", "reduce_relu", "conv", "relu"]


def test_a_part_with_several_inputs_and_outputs() -> None:
    net = Net("two", (1, 4, 8, 8), (1, 4, 8, 8))
    a, b = net.inputs
    with net.scope("middle"):
        both = net.add("add", Add(), a, b)
        left = net.add("left", Conv(2, 1), both)
        right = net.add("right", Conv(3, 1), both)
    out = net.add("concat", Concat(), left, right)
    part = net.graph(out).part("middle")
    assert part.inputs == ((1, 4, 8, 8), (1, 4, 8, 8))
    assert part.outputs == ((1, 2, 8, 8), (1, 3, 8, 8))


def test_unknown_part_names_what_is_near() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'branch5x5'"):
        analyze("naive/branch5")


def test_an_operation_without_a_rule_is_uncounted_never_zero() -> None:
    table = costs(unknown())
    assert not table.complete
    assert [row.path for row in table.uncounted] == ["odd.warp"]
    assert table.uncounted[0].uncounted == 1
    assert table.total.uncounted == 1
    text = table.to_text(width=200)
    assert "Lower bound: 1 operation without a rule" in text
    assert "Shares are of what is counted." in text
    assert "odd.warp (grid_sample, 1×4×8×8 → 1×4×8×8)" in text
    assert "≥6,912" in text  # 8·8·4·3·3·3
    (row,) = [line for line in text.splitlines() if line.lstrip().startswith("warp")]
    assert row.split().count("?") == 3
    (exported,) = [line for line in table.to_csv().splitlines() if ",grid_sample," in line]
    assert ",grid_sample,,1,1x4x8x8,,1x4x8x8,0,0,0,,,,,,,,,256," in exported


def test_the_whole_graph_must_be_buildable() -> None:
    from costlab.modules.build import build

    with pytest.raises(CostlabError, match="grid_sample"):
        build(unknown())


IMPOSSIBLE = [
    (Conv(0, 1), [(1, 4, 8, 8)], "output channels must be at least 1"),
    (Conv(4, 3, groups=2), [(4,)], "conv takes"),
    (MaxPool((2, 2), padding=(1, 1)), [(4,)], "max_pool takes"),
    (Conv(4, 9), [(1, 4, 8, 8)], "its output has a dimension smaller than 1"),
    (Conv(4, 3, groups=3), [(1, 4, 8, 8)], "groups must divide the input channels"),
    (Conv(3, 3, groups=2), [(1, 4, 8, 8)], "groups must divide the output channels"),
    (Conv(4, 3, groups=0), [(1, 4, 8, 8)], "groups must be at least 1"),
    (Conv(4, 3, stride=0), [(1, 4, 8, 8)], "stride must be at least 1"),
    (Conv(4, 3, stride=2, padding="same"), [(1, 4, 8, 8)], "needs stride 1"),
    (Conv(4, 3, padding="full"), [(1, 4, 8, 8)], "'same' or 'valid'"),
    (Conv(4, (3, 3)), [(1, 4, 8)], "2 numbers"),
    (Conv(4, 3), [(1, 4)], "spatial dimensions"),
    (MaxPool(3, padding=2), [(1, 4, 8, 8)], "half of the window"),
    (Linear(0), [(1, 4)], "at least 1 output feature"),
    (Linear(1), [(4,)], "batch"),
    (Matmul(), [(2, 3), (4, 5)], "columns"),
    (Matmul(), [(2, 3), (3,)], "matrices"),
    (Add(), [(2, 3), (2, 4)], "broadcast"),
    (Add(), [(2, 3)], "two or more"),
    (ReLU(), [(2, 3), (2, 3)], "1 input"),
    (Softmax(2), [(2, 3)], "axis 2"),
    (Concat(), [(1, 3, 8, 8), (1, 3, 7, 8)], "differ off the axis"),
    (Concat(), [(1, 3, 8, 8), (1, 3, 8)], "concat"),
]


@pytest.mark.parametrize(("op", "shapes", "problem"), IMPOSSIBLE)
def test_impossible_layers_are_named(op: object, shapes: list[object], problem: str) -> None:
    net = Net("net", *shapes)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=problem) as caught, net.scope("stem"):
        net.add("layer", op, *net.inputs)  # type: ignore[arg-type]
    assert str(caught.value).startswith("net cannot be built: stem.layer, ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "size", [224, "1,3", (1, 3, 224.0, 224), (1, 3, None, 224), (1, 3, True, 9)]
)
def test_an_input_size_is_a_shape_of_whole_numbers(size: object) -> None:
    with pytest.raises(ShapeError):
        analyze("googlenet", input_size=size)  # type: ignore[arg-type]


def test_a_finished_model_takes_no_further_choices() -> None:
    table = analyze("naive")
    for call in (
        lambda: analyze(table.graph, c5=8),
        lambda: compare(table, table, input_size=(1, 3, 8, 8), trace=False),
        lambda: crosscheck(table, input_size=(1, 3, 8, 8)),
    ):
        with pytest.raises(ChoiceError, match="finished graph"):
            call()
    with pytest.raises(ChoiceError, match="both give c5"):
        analyze("naive(c5=8)", c5=9)
    with pytest.raises(ChoiceError, match="not Conv"):
        analyze(Conv(1, 1))  # type: ignore[arg-type]


def test_a_layer_at_a_path_that_is_taken_is_refused() -> None:
    net = Net("net", (1, 4))
    x = net.add("relu", ReLU(), *net.inputs)
    with pytest.raises(ValueError, match="used once"):
        net.add("relu", ReLU(), x)
    with pytest.raises(ValueError, match="no dots"):
        net.add("a.b", ReLU(), x)


def test_whole_numbers_leave_no_condition_open() -> None:
    assert analyze("googlenet").graph.conditions == ()
