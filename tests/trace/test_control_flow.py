"""Loops of torch that take their body as a function: each step is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from wrapped import Applied

import costlab

OPS: Any = torch.ops.higher_order
HIGHER: Any = torch._higher_order_ops
X = torch.rand(5, 7, 13)
LINEAR = 13 * 13


def _scanned(x: Tensor, layer: Any, dim: int, reverse: bool) -> Any:
    def step(carry: Any, now: Any) -> Any:
        after = torch.tanh(layer(carry["state"]) + now[0])
        return {"state": after}, (after.sum(-1), now[1].clone())

    state = {"state": torch.zeros_like(x.select(dim, 0))}
    return HIGHER.scan(step, state, (x, x * 2), dim=dim, reverse=reverse)


def _mapped(x: Tensor, layer: Any) -> Any:
    return HIGHER.map(lambda now, scale: [layer(now["x"]) * scale], {"x": x}, torch.tensor(3.0))


def _while(x: Tensor, layer: Any) -> Any:
    return HIGHER.while_loop(
        lambda step, _: step < 4, lambda step, x: (step + 1, layer(x)), (torch.tensor(1), x)
    )


LOOPS: dict[str, tuple[Callable[[Tensor, Any], Any], int]] = {
    "scan": (lambda x, layer: _scanned(x, layer, 0, False), 5 * 7 * LINEAR),
    "backwards": (lambda x, layer: _scanned(x, layer, 0, True), 5 * 7 * LINEAR),
    "along an axis": (lambda x, layer: _scanned(x, layer, 1, False), 7 * 5 * LINEAR),
    "both": (lambda x, layer: _scanned(x, layer, -2, True), 7 * 5 * LINEAR),
    "map": (_mapped, 5 * 7 * LINEAR),
    "while_loop": (_while, 3 * 35 * LINEAR),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LOOPS)
def test_each_step_of_a_loop_is_counted(name: str) -> None:
    """And a real run gives what torch gives."""
    loop, macs = LOOPS[name]
    layer = nn.Linear(13, 13)
    kept: list[Any] = []

    def forward(x: Tensor, layer: Any) -> Any:
        result = loop(x, layer)
        kept.append(result)
        return result

    model = Applied(forward, layer)
    with torch.no_grad():
        expected = model(X)
    for real in (False, True):
        table = costlab.analyze(model, inputs=X, real=real)
        assert table.complete
        assert (table.total.macs, table.total.params) == (macs, LINEAR + 13)
        assert table.graph.outputs == tuple(tuple(t.shape) for t in _tensors(expected))
        table.graph.check()
    own = kept[-1]
    assert type(own) is type(expected)
    for ours, torchs in zip(_tensors(own), _tensors(expected), strict=True):
        torch.testing.assert_close(ours, torchs)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [tensor for item in items for tensor in _tensors(item)]


OPERATORS: dict[str, Callable[[Tensor, Any], Any]] = {
    "map": lambda x, layer: OPS.map_impl(lambda now, by: (layer(now) * by,), [x], [x[0, 0]]),
    "scan": lambda x, layer: OPS.scan(
        lambda carry, now, by: (layer(carry) + now, carry * by), [x[0]], [x], (x[0, 0],)
    ),
    "while_loop": lambda x, layer: OPS.while_loop(
        lambda step, _, end: step < end,
        lambda step, x, end: (step + 1, layer(x[0])[None]),
        (torch.tensor(0), x[:1]),
        (torch.tensor(5),),
    ),
    "cond": lambda x, layer: OPS.cond(
        torch.tensor(True), lambda x: (layer(x),), lambda x: (x,), (x,)
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_operators_of_exported_modules_are_followed(name: str) -> None:
    table = costlab.analyze(Applied(OPERATORS[name], nn.Linear(13, 13)), inputs=X)
    assert table.complete
    assert table.total.macs == 35 * LINEAR


def test_a_condition_that_is_not_known_is_an_error_with_its_place() -> None:
    def forward(x: Tensor, layer: Any) -> Any:
        return HIGHER.while_loop(lambda x: x.sum() > 0, lambda x: (layer(x),), (x,))

    with pytest.raises(costlab.TraceError, match=r"test_control_flow\.py:\d+\) needs the values"):
        costlab.analyze(Applied(forward, nn.Linear(13, 13)), (5, 7, 13))


def test_steps_that_do_not_fit_are_refused() -> None:
    wrong = {
        "scan takes on 2 and gives on 4": lambda x: HIGHER.scan(
            lambda c, x: (torch.cat([c, c]), x.clone()), x[0, :2], x
        ),
        "while_loop takes on 5×4 and gives on 5×8": lambda x: HIGHER.while_loop(
            lambda x: x.shape[1] < 9, lambda x: (torch.cat([x, x], 1),), (x,)
        ),
        r"map over 5×4 \+ 4×5: expected the same number of steps": lambda x: HIGHER.map(
            lambda pair: pair[0] + 1, (x, x.mT)
        ),
    }
    for message, function in wrong.items():
        with pytest.raises(costlab.TraceError, match=message):
            costlab.analyze(Applied(function), (5, 4))
