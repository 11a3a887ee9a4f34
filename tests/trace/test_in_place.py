"""What an operation in place changes through a view: edges of the graph, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples
from torch import Tensor, nn
from wrapped import Applied, Fn

import costlab
from costlab.expressions.quantities import depth
from costlab.graph import Graph
from costlab.graph.values import owner_of
from costlab.models.saved_report.reading import load_report
from costlab.trace.writes import overlap

Function = Callable[[Any, Tensor], Any]


def graph_of(function: Function, real: bool) -> Graph:
    return costlab.analyze(Fn(function), (2, 4), real=real).graph


def behind(graph: Graph, value: int) -> set[str]:
    """What a value comes from: the paths of layers, and inputs as ``input 0``."""
    givers = {n: layer for layer in graph.layers for n in layer.results}
    paths, waiting = set[str](), [value]
    while waiting:
        number = waiting.pop()
        if number not in givers:
            paths.add(f"{graph.values[number].kind} {number}")
        elif givers[number].path not in paths:
            paths.add(givers[number].path)
            waiting += givers[number].all_operands
    return paths


def base_is_used(x: Tensor) -> Tensor:
    x[:, :2].relu_()
    return x


def another_view_is_used(x: Tensor) -> Tensor:
    flat = x.view(-1)
    x.relu_()
    return flat


def view_of_a_view(x: Tensor) -> Tensor:
    x.view(8)[2:].view(3, 2)[0].relu_()
    return x


def overlapping_view_is_used(x: Tensor) -> Tensor:
    left, most = x[:, :3], x[:, 1:]
    left.relu_()
    return most


def module_in_place(x: Tensor) -> Tensor:
    nn.ReLU(inplace=True)(x[0])
    return x


def composed_of_basics(x: Tensor) -> Tensor:
    x[0].arccos_()
    return x


def written_by_out(x: Tensor) -> Tensor:
    base = x.relu()
    torch.mul(x[1], x[1], out=base[0])
    return base


def augmented(x: Tensor) -> Tensor:
    row = x[0]
    row += 1
    return x


def set_of_data(x: Tensor) -> Tensor:
    x.data[0].relu_()
    return x


def data_of_another(x: Tensor) -> Tensor:
    other = x + 1
    other.data = x
    other.relu_()
    return x


def data_of_another_turned(x: Tensor) -> Tensor:
    other = x + 1
    other.data = x
    other.t_().relu_()
    assert (x.shape, other.shape) == ((2, 4), (4, 2))
    return x


def parameter_with_the_data(m: Any, x: Tensor) -> Tensor:
    x = x * 2
    m.weight.data = x
    m.weight[0].relu_()
    return x.sigmoid()


def both_halves(x: Tensor) -> Tensor:
    left, right = x.chunk(2, 1)
    left.relu_()
    right.tanh_()
    return x


def same_view_twice(x: Tensor) -> Tensor:
    row = x[0]
    row.relu_()
    row.tanh_()
    return x


def buffer_of_zeros(x: Tensor) -> Tensor:
    rows = torch.zeros(2, 4)
    rows[0].copy_(x[0].relu())
    rows[1].copy_(x[1].tanh())
    return rows


def one_row_of_zeros(x: Tensor) -> Tensor:
    rows = torch.zeros(2, 4)
    rows[0].copy_(x[0].relu())
    return rows


def basic_copy(x: Tensor) -> Tensor:
    rows = torch.zeros(2, 4)
    torch.ops.aten.copy_.default(rows[0], x[0].relu())
    return rows


def seen_by_branches(x: Tensor) -> Tensor:
    chosen = x.sum() > 0
    x[0].relu_()
    branches = (lambda x: x.tanh(), lambda x: x.tanh().tanh())
    result: Tensor = torch.cond(chosen, *branches, (x,))
    return result


def rows_made_before(x: Tensor) -> Tensor:
    rows = torch.zeros(2, 4)
    first, second = rows.unbind(0)
    first.copy_(x[0].relu())
    second.copy_(x[1].tanh())
    return rows


LEADS_TO: dict[str, tuple[Callable[[Tensor], Tensor], set[str]]] = {
    "the base": (base_is_used, {"relu"}),
    "another view": (another_view_is_used, {"relu"}),
    "a view of a view": (view_of_a_view, {"relu"}),
    "a view with common elements": (overlapping_view_is_used, {"relu"}),
    "a module": (module_in_place, {"relu"}),
    "basic operations": (composed_of_basics, {"acos"}),
    "out=": (written_by_out, {"relu", "mul"}),
    "an augmented assignment": (augmented, {"add"}),
    "data": (set_of_data, {"relu"}),
    "the data of another tensor": (data_of_another, {"relu"}),
    "both halves": (both_halves, {"relu", "tanh"}),
    "the same view twice": (same_view_twice, {"relu", "tanh"}),
    "a buffer of zeros": (buffer_of_zeros, {"relu", "tanh"}),
    "one row of zeros": (one_row_of_zeros, {"relu"}),
    "a basic operation": (basic_copy, {"relu"}),
    "branches": (seen_by_branches, {"relu", "tanh"}),
    "rows of zeros": (rows_made_before, {"relu", "tanh"}),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", LEADS_TO)
def test_what_is_computed_afterwards_follows_from_it(name: str, real: bool) -> None:
    function, expected = LEADS_TO[name]
    graph = graph_of(lambda m, x: function(x * 2).sigmoid(), real)
    leading = {path.partition("_")[0] for path in behind(graph, graph.returns[0])}
    assert leading >= expected | {"input 0", "scale", "sigmoid"}


def halves(x: Tensor) -> Tensor:
    left, right = x.chunk(2, 1)
    return left.relu_() * right.relu_()


def every_second(x: Tensor) -> Tensor:
    even, odd = x[:, ::2], x[:, 1::2]
    return even.relu_() * odd.relu_()


@pytest.mark.parametrize("real", [False, True])
def test_what_is_computed_follows_from_a_parameter_that_has_its_data(real: bool) -> None:
    weight = torch.ones(2, 4)
    module = Fn(parameter_with_the_data, weight=weight)
    graph = costlab.analyze(module, (2, 4), real=real).graph
    assert "relu" in behind(graph, graph.returns[0])
    assert torch.equal(weight, torch.ones(2, 4))
    assert next(module.parameters()).data_ptr() == weight.data_ptr()


def test_a_tensor_that_has_the_data_of_another_has_a_shape_of_its_own() -> None:
    graph = graph_of(lambda m, x: data_of_another_turned(x * 2), False)
    assert "relu" in behind(graph, graph.returns[0])


def old_data(x: Tensor) -> Tensor:
    old = x.view(-1)
    x.data = x.relu()
    x.relu_()
    return old


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("function", [halves, every_second])
def test_elements_that_it_does_not_change_do_not_follow_from_it(
    function: Callable[[Tensor], Tensor], real: bool
) -> None:
    graph = graph_of(lambda m, x: function(x * 2), real)
    relus = [n for n, layer in enumerate(graph.layers) if layer.path.startswith("relu")]
    assert len(relus) == 2
    assert depth(graph, relus) == 1
    assert all(len(layer.results) == 1 for layer in graph.layers)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("function", [base_is_used, one_row_of_zeros])
def test_all_that_it_changes_is_in_one_memory(
    function: Callable[[Tensor], Tensor], real: bool
) -> None:
    graph = graph_of(lambda m, x: function(x * 2), real)
    *_, last = graph.layers
    changed, base = (owner_of(graph.values, number) for number in last.results)
    assert graph.returns == last.results[1:]
    assert changed == base


@pytest.mark.parametrize("real", [False, True])
def test_elements_do_not_follow_from_a_change_of_shape(real: bool) -> None:
    def turned(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x * 2
        return x.view(2, 4)[1:].t_(), x

    graph = graph_of(turned, real)
    assert [behind(graph, number) for number in graph.returns] == [
        {"input 0", "scale", "view", "slice", "t"},
        {"input 0", "scale"},
    ]


@pytest.mark.parametrize("real", [False, True])
def test_a_view_of_data_that_was_set_anew_does_not_follow_from_it(real: bool) -> None:
    graph = graph_of(lambda m, x: old_data(x * 2), real)
    assert behind(graph, graph.returns[0]) == {"input 0", "scale", "view"}


class InPlace(nn.Module):
    """A module that changes the first columns of its input in place, and gives nothing."""

    def forward(self, x: Tensor) -> None:
        x[:, :2].relu_()


def test_a_part_gives_the_base_that_it_changed() -> None:
    def forward(x: Tensor, part: nn.Module, after: nn.Module) -> Any:
        x = x * 2
        part(x)
        return after(x)

    graph = costlab.analyze(Applied(forward, InPlace(), nn.Linear(4, 3)), (2, 4)).graph
    part = graph.part("parts.0")
    assert (part.inputs, part.outputs) == (((2, 4),), ((2, 4),))
    assert graph.part("parts.1").inputs == ((2, 4),)


def test_elements_that_are_changed_count_once_as_activations(tmp_path: Any) -> None:
    table = costlab.analyze(Fn(lambda m, x: (base_is_used(x * 2)).sigmoid()), (2, 4))
    assert [(row.path, row.activations) for row in table.rows] == [
        ("scale", 8),
        ("slice", 0),
        ("relu", 0),
        ("sigmoid", 8),
    ]
    file = tmp_path / "report.json"
    file.write_text(table.to_json())
    again = load_report(str(file))
    assert [layer.results for layer in again.layers] == [
        layer.results for layer in table.graph.layers
    ]
    assert again.values == table.graph.values
    assert costlab.analyze(str(file)).total.activations == table.total.activations == 16


def _taken(x: Tensor, step: tuple[int, int, int]) -> Tensor:
    """A view of a tensor, by three numbers."""
    kind, first, second = step
    if x.dim() == 0 or not x.numel():
        return x
    dim = first % x.dim()
    size = x.shape[dim]
    return (
        lambda: x.select(dim, second % size),
        lambda: x.narrow(dim, second % size, max(1, (size - second % size) // 2)),
        lambda: x.transpose(dim, -1),
        lambda: x.view(-1) if x.is_contiguous() else x,
        lambda: x[(slice(None),) * dim + (slice(second % 2, None, 2),)],
        lambda: x.diagonal() if x.dim() > 1 else x,
    )[kind % 6]()


STEP = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5))


@given(st.lists(STEP, max_size=3), st.lists(STEP, max_size=3))
@settings(max_examples=examples(120), derandomize=True)
def test_views_overlap_where_they_have_common_elements(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    base = torch.arange(4 * 6 * 4).reshape(4, 6, 4)
    views = [base, base]
    for step in one:
        views[0] = _taken(views[0], step)
    for step in other:
        views[1] = _taken(views[1], step)
    common = set(views[0].flatten().tolist()) & set(views[1].flatten().tolist())
    if common or all(step[0] < 3 for step in (*one, *other)):
        assert overlap(*views) is bool(common)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), STEP, st.integers(0, 2)),
        min_size=2,
        max_size=10,
    ),
    st.booleans(),
)
@settings(max_examples=examples(50), derandomize=True)
def test_what_depends_on_an_input_follows_from_it(
    steps: list[tuple[int, int, tuple[int, int, int], int]], real: bool
) -> None:
    """Random programs of views and changes in place, against the gradients that torch has."""

    def program(*inputs: Tensor) -> tuple[Tensor, ...]:
        known = [x * 1 for x in inputs]
        for kind, which, view, source in steps:
            target = known[which % len(known)]
            if kind == 0:
                known.append(_taken(target, view))
            elif kind == 1:
                target.add_(inputs[source].sum())
            elif kind == 2:
                target.mul_(known[source].sum())
            else:
                known.append(target * 2)
        return tuple(known)

    inputs = [(torch.rand(4, 6) + 1).requires_grad_() for _ in range(3)]
    graph = costlab.analyze(
        Fn(lambda m, *x: program(*x)), inputs=tuple(x.detach() for x in inputs), real=real
    ).graph
    results = program(*inputs)
    assert len(graph.returns) == len(results)
    for result, number in zip(results, graph.returns, strict=True):
        gradients = torch.autograd.grad(result.sum(), inputs, retain_graph=True, allow_unused=True)
        paths = behind(graph, number)
        for position, gradient in enumerate(gradients):
            if gradient is not None and gradient.any():
                assert f"input {position}" in paths


@pytest.mark.parametrize("real", [False, True])
def test_a_parameter_that_is_changed_through_a_view_is_one(real: bool) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        m.weight.data[0].mul_(2)
        product: Tensor = x @ m.weight
        return product

    table = costlab.analyze(Fn(forward, weight=torch.ones(4, 3)), (2, 4), real=real)
    assert [row.path for row in table.rows] == ["weight", "scale", "linear"]
    assert table.total.params == 12
    assert behind(table.graph, table.graph.returns[0]) >= {"weight", "scale", "linear"}


_RESHAPED: dict[str, tuple[Any, tuple[int, ...]]] = {
    "resize": (lambda own, x: own.resize_(5), (2,)),
    "unsqueeze": (lambda own, x: own.unsqueeze_(0), (2,)),
    "transpose": (lambda own, x: own.t_(), (2, 3)),
    "data": (lambda own, x: setattr(own, "data", torch.zeros(5)), (2,)),
    "set": (lambda own, x: own.set_(torch.zeros(5)), (2,)),
    "out": (lambda own, x: torch.add(torch.zeros(5), 1, out=own), (0,)),
    "out_of_an_operator": (lambda own, x: torch.ops.aten.neg.out(torch.zeros(3), out=own), (0,)),
    "out_of_a_product": (lambda own, x: torch.matmul(x, x.t(), out=own), (0,)),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("held", ["buffer", "attribute", "input"])
@pytest.mark.parametrize("how", _RESHAPED)
def test_a_tensor_that_was_given_another_shape_has_it(how: str, held: str, real: bool) -> None:
    change, shape = _RESHAPED[how]

    class Reshaping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()
            self.own = nn.Buffer(torch.zeros(shape)) if held == "buffer" else torch.zeros(shape)

        def forward(self, x: Tensor, given: Tensor) -> Tensor:
            own = given if held == "input" else self.own
            change(own, x)
            self.relu(own).abs()
            return x.expand(own.shape[0] + own.dim(), *x.shape) * own.relu().sum()

    given = torch.ones(4, 2), torch.zeros(shape)
    module = Reshaping()
    table = costlab.analyze(module, inputs=given, real=real)
    assert (given[1].shape, module.own.shape) == (shape, shape)
    assert table.rows[-1].output == tuple(module(*given).shape)
    own = given[1] if held == "input" else module.own
    outputs = [row.output for row in table.rows if row.layer.op.kind == "relu"]
    assert outputs == [tuple(own.shape)] * 2
