"""Transforms of ``torch.func``: their calls are counted on whole tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from agreeing import FLOATS, agrees
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from wrapped import Applied

from costlab.costs.table import costs
from costlab.trace import trace

CONV: Any = nn.Conv2d(1, 4, (3, 3), padding=1)


class Product(torch.autograd.Function):
    """One whose calls under ``vmap`` torch makes itself."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a @ b, a.sum()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


TRANSFORMS: dict[str, Callable[[Tensor], Any]] = {
    "products": lambda x: torch.vmap(lambda a: a @ x[0].T)(x),
    "elements": torch.vmap(lambda a: a.clone().add_(1).relu_()),
    "another axis": lambda x: torch.vmap(lambda a: a @ x[0].T, 1, 1)(x) @ x[0],
    "to a device": torch.vmap(lambda a: a.to("cpu").to(a.device, torch.float64).cpu() * 2),
    "nested": lambda x: torch.vmap(torch.vmap(lambda a: x[0] @ a))(x),
    "modules": lambda x: torch.vmap(CONV)(x[:, None, None]),
    "attention": torch.vmap(lambda a: a.softmax(-1) @ a.mT),
    "makes": torch.vmap(lambda a: a + a.new_ones(3) + torch.arange(3)),
    "weights": lambda x: torch.vmap(lambda w: x @ w)(CONV.weight[:, 0]),
    "functions of autograd": lambda x: torch.vmap(Product.apply, (0, None))(x, x[0].T)[0],
    "functions of autograd, nested": lambda x: torch.vmap(
        lambda a: torch.vmap(Product.apply, (0, None))(a, x[0].T)
    )(x)[0],
    "gradient": torch.func.grad(lambda a: (a @ a.mT).sum()),
    "jacobian": lambda x: torch.func.jacrev(lambda a: a @ x[0].T)(x[0, 0]),
}


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_is_counted_on_whole_tensors(name: str, real: bool) -> None:
    """Not on what its function sees, which is one of a batch."""
    assert real or agrees(TRANSFORMS[name], FLOATS)
    table = costs(trace(Applied(TRANSFORMS[name]), inputs=FLOATS, real=real))
    assert table.complete
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        TRANSFORMS[name](FLOATS.clone())
    assert table.total.macs * 2 == counter.get_total_flops()
    if name == "elements":
        assert table.total.flops == 60


def test_values_decide_beside_a_transform() -> None:
    """Each of the two can be followed, and so can both."""

    def forward(x: Tensor) -> Any:
        return torch.vmap(lambda a: a @ a.T)(x[: 1 + int(x.sum() > 0)])

    table = costs(trace(Applied(forward), inputs=torch.ones(3, 4, 5), real=True))
    assert (table.total.macs, table.complete) == (2 * 4 * 5 * 4, True)


def test_weights_are_differentiated_on_real_tensors() -> None:
    layer = nn.Linear(4, 3)

    def forward(x: Tensor, layer: nn.Module) -> Any:
        learns = dict(layer.named_parameters())
        loss = lambda own, row: torch.func.functional_call(layer, own, (row,)).sum()  # noqa: E731
        return torch.vmap(torch.func.grad(loss), (None, 0))(learns, x)

    table = costs(trace(Applied(forward, layer), inputs=torch.ones(5, 4), real=True))
    assert (table.total.macs, table.total.params) == (2 * 5 * 4 * 3, 15)


def test_what_a_function_of_autograd_has_from_elsewhere_is_uncounted_under_vmap() -> None:
    class Elsewhere(Product):
        generate_vmap_rule = False

        @staticmethod
        def forward(a: Tensor) -> Tensor:  # type: ignore[override]
            return torch.from_numpy(np.zeros(tuple(a.shape), np.float32))

        @staticmethod
        def vmap(info: Any, in_dims: Any, a: Tensor) -> Any:
            return Elsewhere.apply(a), 0  # type: ignore[no-untyped-call]

    table = costs(trace(Applied(torch.vmap(Elsewhere.apply)), inputs=FLOATS))
    assert [row.label for row in table.uncounted] == ["Elsewhere"]


def test_a_block_under_vmap_costs_what_it_costs_on_the_batch() -> None:
    """With its residual connection, its bias and its norm: all operations, not only products."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.relu(self.linear(self.norm(x)))

    block = Block()
    one = costs(trace(block, inputs=torch.ones(5, 3, 8))).total
    many = costs(trace(Applied(lambda x, f=block: torch.vmap(f)(x)), inputs=torch.ones(5, 3, 8)))
    assert (many.total.macs, many.total.flops) == (one.macs, one.flops)

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block

        def forward(self, x: Tensor) -> Tensor:
            return torch.vmap(self.block)(x)  # type: ignore[no-any-return]

    own = costs(trace(Around(), inputs=torch.ones(5, 3, 8))).total
    assert (own.macs, own.flops, own.params) == (one.macs, one.flops, one.params)


def test_a_transform_that_cannot_be_followed_is_an_error() -> None:
    from costlab import TraceError

    weight = nn.Parameter(torch.ones(3, 4))

    def learns(x: Tensor) -> Tensor:
        return torch.func.grad(lambda w: (x @ w).sum())(weight)  # type: ignore[no-any-return]

    with pytest.raises(TraceError, match="build the module on meta"):
        trace(Applied(learns), inputs=FLOATS)
