"""Gradients that a forward takes itself: what they cost, and that the user's are left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from wrapped import Applied

import costlab
from costlab.errors import TraceError

X = torch.rand(2, 4)


def grad(x: Tensor, layer: Any) -> Tensor:
    """Forces: the gradient of an energy."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(layer(x).sum(), x)[0]


def grad_of_weight(x: Tensor, layer: Any) -> Tensor:
    """A step of test-time training."""
    with torch.enable_grad():
        (changed,) = torch.autograd.grad(layer(x).sum(), layer.weight)
    return nn.functional.linear(x, layer.weight - changed)


def backward(x: Tensor, layer: Any) -> Any:
    with torch.enable_grad():
        layer(x).sum().backward()
    return layer(x) * layer.weight.grad.sum()


def backward_of_all(x: Tensor, layer: Any) -> Any:
    with torch.enable_grad():
        torch.autograd.backward([layer(x).sum()])
    return layer(x)


def jacobian(x: Tensor, layer: Any) -> Any:
    return torch.autograd.functional.jacobian(layer, x[0])  # type: ignore[no-untyped-call]


def vector_product(x: Tensor, layer: Any) -> Any:
    return torch.func.vjp(layer, x)[1](x)


ONCE = 2 * 4 * 4


@pytest.mark.parametrize(
    ("forward", "macs"),
    [
        (grad, 2 * ONCE),
        (grad_of_weight, 3 * ONCE),
        (backward, 3 * ONCE),
        (backward_of_all, 3 * ONCE),
        (jacobian, 4 * 4 + 4 * 4 * 4),  # a row forward, and back from each of what it gives
        (vector_product, 2 * ONCE),
    ],
)
def test_what_runs_backwards_is_counted_on_real_tensors(
    forward: Callable[..., Any], macs: int
) -> None:
    layer = nn.Linear(4, 4)
    own = layer.weight.grad = torch.ones(4, 4)
    table = costlab.analyze(Applied(forward, layer), inputs=X, real=True)
    assert (table.total.macs, table.uncounted) == (macs, ())
    assert layer.weight.grad is own
    assert bool((own == 1).all())
    assert layer.bias.grad is None


@pytest.mark.parametrize(("forward", "macs"), [(grad, 32), (grad_of_weight, 64)])
def test_gradients_have_the_shapes_of_what_they_are_of(
    forward: Callable[..., Any], macs: int
) -> None:
    table = costlab.analyze(Applied(forward, nn.Linear(4, 4)), inputs=X)
    assert (table.total.macs, [row.label for row in table.uncounted]) == (macs, ["grad"])
    assert table.rows[-1].output == (2, 4)


@pytest.mark.parametrize("forward", [backward, backward_of_all, jacobian])
def test_what_needs_the_graph_of_autograd_is_refused_on_shapes(forward: Any) -> None:
    with pytest.raises(TraceError, match=r"runs backwards, .* with real=True, or --real"):
        costlab.analyze(Applied(forward, nn.Linear(4, 4)), inputs=X)


def test_what_no_rule_knows_backwards_is_uncounted() -> None:
    module = Applied(grad, nn.Sequential(nn.Linear(4, 4), nn.SiLU()))
    table = costlab.analyze(module, inputs=X, real=True)
    assert [row.label for row in table.uncounted] == ["silu_backward"]


def test_disabled_gradients_are_said() -> None:
    def forward(x: Tensor, layer: Any) -> Any:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(layer(x).sum(), x)

    with pytest.raises(TraceError, match=r"have the code take them inside of `with torch.enable"):
        costlab.analyze(Applied(forward, nn.Linear(4, 4)), inputs=X, real=True)
