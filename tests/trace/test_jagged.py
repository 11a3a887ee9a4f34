"""Nested tensors: rows cost what they cost as one tensor, attention what each sequence does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from wrapped import Fn

import costlab as library

LENGTHS = (10, 20)
pytestmark = pytest.mark.filterwarnings("ignore")


def nested(width: int = 64) -> Any:
    rows = [torch.zeros(length, width) for length in LENGTHS]
    return torch.nested.nested_tensor(rows, layout=torch.jagged)


class Net(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(64, 32), nn.LayerNorm(64)
        self.q, self.k, self.v = (nn.Linear(64, 64, bias=False) for _ in range(3))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


ON_ROWS: dict[str, Callable[[Any, Any], Any]] = {
    "a linear layer": lambda m, x: m.linear(x),
    "a block": lambda m, x: x + F.linear(F.gelu(m.linear(m.norm(x))), m.linear.weight.t()),
    "in place": lambda m, x: F.relu(m.linear(x), inplace=True),
    "softmax of each row": lambda m, x: m.linear(x).softmax(-1),
    "with itself": lambda m, x: torch.cat((x * x, x / 2), -1),
    "a mean of each row": lambda m, x: x.mean(-1),
    "a sum of all": lambda m, x: x.sum(),
    "a product": lambda m, x: x @ m.q.weight,
}


@pytest.mark.parametrize("name", ON_ROWS)
def test_rows_cost_what_they_cost_as_one_tensor(name: str) -> None:
    module = Net(ON_ROWS[name])
    module(nested())
    ours = library.analyze(module, inputs=nested())
    rows = library.analyze(module, inputs=nested().values())
    assert [(r.path, r.label, r.count, r.output) for r in ours.rows] == [
        (r.path, r.label, r.count, r.output) for r in rows.rows
    ]
    assert ours.total.params == rows.total.params
    assert ours.graph.inputs == ((30, 64),)
    assert ours.graph.outputs == rows.graph.outputs
    ours.graph.check()


def _attended(m: Any, x: Tensor) -> Tensor:
    q, k, v = (own(x).unflatten(-1, [4, 16]).transpose(1, 2) for own in (m.q, m.k, m.v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)


def test_attention_is_of_each_sequence_within_itself() -> None:
    module = Net(_attended)
    assert module(nested()).shape[::2] == (2, 64)
    table = library.analyze(module, inputs=nested())
    assert table.complete
    assert table.total.macs == 3 * 30 * 64 * 64 + 2 * 4 * 16 * (10 * 10 + 20 * 20)
    assert table.graph.outputs == ((30, 64),)
    assert {decision.inputs for decision in table.graph.decisions} == {("input",)}
    table.graph.check()


def test_lengths_that_are_not_known_leave_attention_uncounted() -> None:
    x = torch.nested.nested_tensor_from_jagged(
        torch.empty(30, 64, device="meta"), torch.empty(3, dtype=torch.int64, device="meta")
    )
    table = library.analyze(Net(_attended), inputs=x)
    assert [row.label for row in table.uncounted] == ["attention"]
    assert table.total.macs == 3 * 30 * 64 * 64
    with pytest.raises(library.TraceError, match="needs the values"):
        library.analyze(Net(lambda m, x: x.unbind()), inputs=x)


APART: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "each": (lambda m, x: [m.linear(row) for row in x.unbind()], 30),
    "a loop": (lambda m, x: [m.linear(row) for row in x], 30),
    "one": (lambda m, x: m.linear(x[1]), 20),
    "padded": (lambda m, x: m.linear(x.to_padded_tensor(0.0)), 2 * 20),
    "its values": (lambda m, x: m.linear(x.values()), 30),
    "a part of them": (lambda m, x: m.linear(x.values()[: int(x.offsets()[1])]), 10),
    "sums": (lambda m, x: m.linear(x.sum(1)), 2),
    "means": (lambda m, x: m.linear(x.mean(dim=1, keepdim=True)), 2),
    "made of a list": (
        lambda m, x: m.linear(torch.nested.as_nested_tensor([x[0], x[1]], layout=torch.jagged)),
        30,
    ),
    "made of rows": (
        lambda m, x: m.linear(
            torch.nested.nested_tensor_from_jagged(x.values(), torch.tensor([0, 10, 30]))
        ),
        30,
    ),
    "dropout": (lambda m, x: m.linear(F.dropout(x, 0.5, True)), 30),
}


@pytest.mark.parametrize("name", APART)
def test_what_takes_nested_tensors_apart(name: str) -> None:
    function, rows = APART[name]
    Net(function)(nested())
    table = library.analyze(Net(function), inputs=nested())
    assert table.complete
    assert table.total.macs == rows * 64 * 32
    table.graph.check()


def test_a_sum_over_the_lengths_counts_no_padding() -> None:
    table = library.analyze(Fn(lambda m, x: x.sum(1)), inputs=nested())
    assert table.total.other == 30 * 64  # as sums of bags of an embedding
    with pytest.raises(library.TraceError, match=r"amax of a nested tensor at .* is not followed"):
        library.analyze(Fn(lambda m, x: x.amax(1)), inputs=nested())


def test_two_inputs_of_the_same_lengths_fit() -> None:
    x = nested()
    y = torch.nested.nested_tensor_from_jagged(torch.ones(30, 64), x.offsets())
    assert library.analyze(Fn(lambda m, x, y: x + y), inputs=(x, y)).total.other == 30 * 64
    assert x.values().sum() == 0


REFUSED: dict[str, tuple[Callable[[], Any], bool, str]] = {
    "real": (nested, True, "followed on shapes only"),
    "strided": (
        lambda: torch.nested.nested_tensor([torch.zeros(2, 4)]),
        *(False, "layout=torch.jagged"),
    ),
    "transposed": (lambda: nested().transpose(1, 2), False, "not followed"),
    "in an object": (lambda: SimpleNamespace(x=nested()), False, "holds a nested tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_nested_inputs_are_refused_in_one_line(name: str) -> None:
    x, real, words = REFUSED[name]
    with pytest.raises(library.ShapeError, match=words):
        library.analyze(Fn(lambda m, x: x), inputs=(x(),), real=real)
