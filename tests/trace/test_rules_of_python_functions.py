"""Python functions that a user's rule counts are followed, and are one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention
from wrapped import Fn, own_rules

import costlab

SEVEN = costlab.OpCount(macs=7)


@pytest.fixture(autouse=True)
def _no_rules_are_left() -> Iterator[None]:
    with own_rules():
        yield


class Block(nn.Module):
    """Methods that take what is no argument of theirs, and that change what they are given."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.after = nn.Linear(4, 12), nn.Linear(4, 4)
        self.register_buffer("seen", torch.zeros(2, 4))

    def attended(self, x: Tensor) -> Tensor:
        q, k, v = self.inside(x).chunk(3, -1)
        return nn.functional.scaled_dot_product_attention(q, k, v)

    def noted(self, x: Tensor) -> Tensor:
        self.seen.copy_(x)
        y: Tensor = self.inside(x)
        return y[..., :4]

    def cropped(self, x: Tensor, length: Tensor) -> Tensor:
        return x[:, : int(length)]

    def forward(self, x: Tensor, method: str, *more: Tensor) -> Tensor:
        y = getattr(self, method)(x, *more)
        result: Tensor = self.after(y + self.seen if method == "noted" else y)
        return result


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(
    ("method", "x", "more", "macs", "params", "output"),
    [
        ("attended", torch.ones(2, 3, 4), (), 6 * 16, 80, (2, 3, 4)),
        ("noted", torch.ones(2, 4), (), 2 * 16, 80, (2, 4)),
        ("cropped", torch.ones(2, 3, 4), (torch.tensor(2),), 4 * 16, 20, (2, 2, 4)),
    ],
)
def test_a_method_with_a_rule_takes_what_it_takes(
    method: str, x: Tensor, more: Any, macs: int, params: int, output: tuple[int, ...], real: bool
) -> None:
    costlab.counting(getattr(Block, method))(lambda *_: SEVEN)
    block = Block()
    table = costlab.analyze(block, inputs=(x, method, *more), real=real)
    assert (table.total.macs, table.total.params) == (7 + macs, params)
    assert table.complete
    assert table.graph.outputs == (output,)
    assert [row.path for row in table.rows if row.macs] == [method, "after"]
    assert len([name for name, _ in table.graph.unused if name.startswith("inside")]) == (
        2 if method == "cropped" else 0
    )
    table.graph.check()
    assert torch.equal(block.seen, torch.zeros(2, 4))
    if method == "noted":
        (add,) = [layer for layer in table.graph.layers if layer.path == "add"]
        first = table.graph.layers[0]
        assert set(add.operands) <= set(first.results)  # what it wrote is what it gave
        assert len(add.operands) == 2
    if method == "cropped" and not real:
        assert [decision.inputs for decision in table.graph.decisions] == [("input 3",)]


@pytest.mark.parametrize("real", [False, True])
def test_the_device_that_a_function_with_a_rule_asks_for_is_that_of_its_tensors(
    real: bool,
) -> None:
    def product(x: Tensor) -> Tensor:
        return x @ x.mT if x.device.type == "cpu" else x

    costlab.counting(product)(lambda *_: SEVEN)
    table = costlab.analyze(Fn(lambda m, x: product(x)), (2, 4), real=real)
    assert (table.total.macs, table.graph.outputs) == (7, ((2, 2),))


@pytest.mark.parametrize("real", [False, True])
def test_the_outermost_rule_counts(real: bool) -> None:
    class Inner(nn.Linear):
        pass

    def inner(x: Tensor) -> Tensor:
        return x.sin()

    def outer(layer: Inner, x: Tensor) -> Tensor:
        return inner(layer(x)) + 1

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Inner(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return outer(self.layer, x)

    for target in (inner, Inner, outer):
        costlab.counting(target)(lambda *_: SEVEN)
    table = costlab.analyze(nn.Sequential(Whole(), nn.ReLU()), (2, 4), real=real)
    assert [(row.path, row.macs, row.params) for row in table.rows] == [
        ("0.outer", 7, 20),
        ("1", 0, 0),
    ]
    costlab.counting(Whole)(lambda *_: costlab.OpCount(macs=9))
    table = costlab.analyze(nn.Sequential(Whole(), nn.ReLU()), (2, 4), real=real)
    assert [(row.path, row.macs, row.params) for row in table.rows] == [("0", 9, 20), ("1", 0, 0)]


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(
    ("target", "call", "size"),
    [
        (flex_attention, lambda x: flex_attention(x, x, x), (2, 8, 16, 32)),
        (
            torch.cond,
            lambda x: torch.cond(x.sum() > 0, torch.sin, lambda y: y @ y, (x,)),
            (4, 4),
        ),
    ],
    ids=["flex_attention", "cond"],
)
def test_a_rule_for_what_torch_follows_itself(
    target: Callable[..., Any], call: Callable[[Tensor], Tensor], size: tuple[int, ...], real: bool
) -> None:
    costlab.counting(target)(lambda *_, **__: SEVEN)
    table = costlab.analyze(Fn(lambda m, x: call(x)), size, real=real)
    assert (table.total.macs, table.complete) == (7, True)
    assert table.graph.outputs == (size,)


@pytest.mark.parametrize("real", [False, True])
def test_a_function_that_calls_nothing_of_torch_is_a_row_too(real: bool) -> None:
    def kept(x: Tensor) -> Tensor:
        return x

    costlab.counting(kept)(lambda *_: SEVEN)
    table = costlab.analyze(Fn(lambda m, x: kept(x) + 1), (2, 4), real=real)
    assert [(row.path, row.macs) for row in table.rows] == [("kept", 7), ("add", 0)]


def test_the_function_is_called_again_with_other_results() -> None:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        values, indices = (x * 2).sort()
        return values, indices

    costlab.counting(both)(lambda output, x: costlab.OpCount(cmp=output[0].numel()))
    table = costlab.analyze(Fn(lambda m, x: both(both(x)[0])), (2, 4))
    assert [(row.path, row.count.cmp, row.activations) for row in table.rows] == [
        ("both", 8, 16),
        ("both_2", 8, 16),
    ]
    assert [layer.operands for layer in table.graph.layers][1] == table.graph.layers[0].results[:1]
