"""Cases for functions of elements; torch's functions give the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from oracle import Array, Tally, elements, grid
from torch import Tensor, nn
from torch.nn import functional

from cases.base import Draw, Drawn, Inputs, small, stacks
from costlab.graph.op import Shape
from costlab.ops.derivatives import OF_THREE
from costlab.ops.element_functions import PAIR
from costlab.ops.pointwise import Pair, Pointwise, PReLU


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        result: Tensor = self.function(*inputs)
        return result.double()


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "clamp": {"min": -0.5, "max": 0.5},
    "clamp_min": {"min": 0.0},
    "clamp_max": {"max": 0.0},
    "threshold": {"threshold": 0.1, "value": 0.0},
    "gelu_tanh": {"approximate": "tanh"},
}
_POSITIVE = {"log", "log2", "log10", "sqrt", "rsqrt", "lgamma", "digamma", "pow"}


_OF_8_BITS: dict[str, Callable[[Tensor], Tensor]] = {
    "quantize": lambda x: ((x / elements.SCALE).round() + elements.ZERO_POINT).clamp(0, 255),
    "dequantize": lambda x: (x - elements.ZERO_POINT) * elements.SCALE,
    "fake_quantize": lambda x: torch.fake_quantize_per_tensor_affine(
        x, elements.SCALE, elements.ZERO_POINT, 0, 255
    ),
}


ROOMS: tuple[Any, ...] = (functional, torch, torch.special)


def pointwise(op: Pointwise, _: tuple[Shape, ...]) -> nn.Module:
    if op.function in _OF_8_BITS:
        return Call(_OF_8_BITS[op.function])
    name = {"gelu_tanh": "gelu"}.get(op.function, op.function)
    function = next(getattr(room, name) for room in ROOMS if hasattr(room, name))
    more = _ARGUMENTS.get(op.function, {})
    if name == "bitwise_not":
        return Call(lambda x: torch.bitwise_not(x != 0))
    if name == "acosh":
        return Call(lambda x: torch.acosh(x.abs() + 1.1))
    if op.function in _POSITIVE:
        return Call(lambda x: function(x.abs() + 0.1, **more))
    if name == "logit":
        return Call(lambda x: function(x.abs() / 2 + 0.1))
    return Call(lambda x: function(x, **more))


def run_pointwise(tally: Tally, op: Pointwise, _: nn.Module, inputs: Inputs) -> Array:
    (x,) = inputs
    x = np.abs(x) + 0.1 if op.function in _POSITIVE else x
    x = np.abs(x) / 2 + 0.1 if op.function == "logit" else x
    x = np.abs(x) + 1.1 if op.function == "acosh" else x
    out = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        out[here] = elements.FUNCTIONS[op.function](tally, float(x[here]))
    return out


def pair(op: Pair, shapes: tuple[Shape, ...]) -> nn.Module:
    name = op.function
    broadcast: Any = torch.broadcast_tensors

    def call(a: Tensor, b: Tensor | None = None, *more: Tensor) -> Any:
        b = torch.tensor(0.5, dtype=a.dtype) if b is None else b
        a, b = (b, a) if op.number_first else (a, b)
        if name == "floor_divide":  # torch knows no gradient of the function of that name
            return torch.div(a, b, rounding_mode="floor")
        if name == "where":
            return torch.where(a > 0, a, b)
        if name == "masked_fill":
            return broadcast(a, b)[0].masked_fill(b > 0, 0.0)
        if name in OF_THREE:
            return getattr(torch, name)(*broadcast(a, b, *more), *([] if more else [0.25]))
        if name.endswith("shift"):
            a, b = (16 * a).int(), (b > 0).int() + 1
        elif name.startswith("bitwise"):
            a, b = a > 0, b > 0
        a = a.abs() + 0.1 if name == "pow" else a
        b = b.abs() + 0.1 if name == "xlogy" else b
        return getattr(torch, name)(a, b)

    return Call(call)


def run_pair(tally: Tally, op: Pair, _: nn.Module, inputs: Inputs) -> Array:
    if op.function in OF_THREE:
        return elements.pair(tally, elements.PAIRS[op.function], list(inputs))
    a, b = inputs if len(inputs) == 2 else (inputs[0], np.array(0.5))
    inputs = [a, b] = [b, a] if op.number_first else [a, b]
    if op.function == "pow":
        inputs = [np.abs(a) + 0.1, b]
    elif op.function == "xlogy":
        inputs = [a, np.abs(b) + 0.1]
    elif op.function.endswith("shift"):
        inputs = [np.trunc(16 * a), (b > 0) + 1.0]
    return elements.pair(tally, elements.PAIRS[op.function], inputs)


@st.composite
def pairs(draw: Draw) -> Drawn:
    function = draw(st.sampled_from(sorted(PAIR)))
    least = {"lerp": 2}.get(function, 3) if function in OF_THREE else 1
    most = 3 if function in OF_THREE else 2
    shapes = tuple((*shape, 2) for shape in stacks(draw, draw(st.integers(least, most))))
    return Pair(function, len(shapes) == 1 and draw(st.booleans())), shapes


@st.composite
def prelus(draw: Draw) -> Drawn:
    shape = tuple(draw(st.lists(small, min_size=2, max_size=4)))
    return PReLU(draw(st.sampled_from([1, shape[1]]))), (shape,)
