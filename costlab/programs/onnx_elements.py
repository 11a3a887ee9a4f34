"""Operators of ONNX on elements, and their types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import add, eq, ge, gt, le, lt, mul, sub
from typing import Any

import torch
from torch.nn import functional

from costlab.programs.onnx_operators import (
    OPERATORS,
    Attributes,
    Operator,
    operator,
)
from costlab.programs.onnx_values import Known, number, plain, tensor, type_of
from costlab.programs.program import NotFollowedError


def _elements(function: Callable[..., Any]) -> Operator:
    """An operator on elements without attributes."""
    return lambda attributes, *inputs: function(*map(tensor, inputs))


def _pairs(function: Callable[..., Any]) -> Operator:
    """An operator on the elements of any number of inputs; numbers are taken as such."""

    def compute(attributes: Attributes, *inputs: Any) -> Any:
        values = list(map(plain, inputs))
        if not any(isinstance(value, torch.Tensor) for value in values):
            values[0] = tensor(inputs[0])
        return reduce(function, values)

    return compute


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or (
        isinstance(value, torch.Tensor) and not value.is_floating_point()
    )


def _divided(one: Any, other: Any) -> Any:
    rounding = "trunc" if _is_whole(one) and _is_whole(other) else None
    return torch.div(one, other, rounding_mode=rounding) if rounding else one / other


def _of_both(function: Callable[..., Any], one: Any, other: Any) -> Any:
    """A function of torch that takes tensors alone, or a tensor and a limit."""
    if isinstance(one, (int, float)):
        one, other = other, one
    if isinstance(other, (int, float)):
        smallest = function is torch.maximum
        return torch.clamp(one, other, None) if smallest else torch.clamp(one, None, other)
    return function(one, other)


_SAME = """
    Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor Log Neg Reciprocal Round
    Sigmoid Sign Sin Sinh Sqrt Tan Tanh
    """
"""Operators that torch has by the same name."""

OPERATORS |= {name: _elements(getattr(torch, name.lower())) for name in _SAME.split()}
OPERATORS |= {
    "Relu": _elements(functional.relu),
    "Softplus": _elements(functional.softplus),
    "Softsign": _elements(functional.softsign),
    "Mish": _elements(functional.mish),
    "HardSwish": _elements(functional.hardswish),
    "IsNaN": _elements(torch.isnan),
    "Not": _elements(torch.logical_not),
    "And": _elements(torch.logical_and),
    "Or": _elements(torch.logical_or),
    "Xor": _elements(torch.logical_xor),
    "Add": _pairs(add),
    "Sub": _pairs(sub),
    "Mul": _pairs(mul),
    "Div": _pairs(_divided),
    "Sum": _pairs(add),
    "Max": _pairs(partial(_of_both, torch.maximum)),
    "Min": _pairs(partial(_of_both, torch.minimum)),
    "Equal": _pairs(eq),
    "Greater": _pairs(gt),
    "GreaterOrEqual": _pairs(ge),
    "Less": _pairs(lt),
    "LessOrEqual": _pairs(le),
    "MatMul": _elements(torch.matmul),
    "Identity": lambda attributes, value: value,
    "Mean": lambda attributes, *inputs: reduce(add, map(tensor, inputs)) / len(inputs),
}


@operator("Pow")
def _pow(attributes: Attributes, one: Any, other: Any) -> Any:
    result = tensor(one) ** plain(other)
    return result if result.dtype == tensor(one).dtype else result.to(tensor(one).dtype)


@operator("Dropout")
def _dropout(attributes: Attributes, x: Any, ratio: Any = None, trains: Any = None) -> Any:
    if trains is not None and not (isinstance(trains, Known) and not number(trains)):
        raise NotFollowedError("in training")
    return (x, torch.ones_like(tensor(x), dtype=torch.bool)) if attributes["results"] > 1 else x


@operator("Mod")
def _mod(attributes: Attributes, one: Any, other: Any) -> Any:
    function = torch.fmod if attributes.get("fmod") else torch.remainder
    return function(tensor(one), plain(other))


@operator("Where")
def _where(attributes: Attributes, condition: Any, one: Any, other: Any) -> Any:
    return torch.where(tensor(condition), plain(one), plain(other))


@operator("LeakyRelu")
def _leaky(attributes: Attributes, x: Any) -> Any:
    return functional.leaky_relu(x, attributes.get("alpha", 0.01))


@operator("PRelu")
def _prelu(attributes: Attributes, x: Any, slope: Any) -> Any:
    slope = tensor(slope)
    of_channels = tuple(slope.shape)[-x.dim() + 1 :] == (x.shape[1], *[1] * (x.dim() - 2))
    if slope.numel() > 1 and not (of_channels and slope.numel() == x.shape[1]):
        raise NotFollowedError("slopes that are not those of channels")
    return functional.prelu(x, slope.reshape(-1))


@operator("Elu")
def _elu(attributes: Attributes, x: Any) -> Any:
    return functional.elu(x, attributes.get("alpha", 1.0))


@operator("Selu")
def _selu(attributes: Attributes, x: Any) -> Any:
    return functional.selu(x)


@operator("Celu")
def _celu(attributes: Attributes, x: Any) -> Any:
    return functional.celu(x, attributes.get("alpha", 1.0))


@operator("ThresholdedRelu")
def _thresholded(attributes: Attributes, x: Any) -> Any:
    return functional.threshold(x, attributes.get("alpha", 1.0), 0.0)


@operator("HardSigmoid")
def _hard_sigmoid(attributes: Attributes, x: Any) -> Any:
    slope, shift = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    if abs(slope - 1 / 6) < 1e-6 and shift == 0.5:
        return functional.hardsigmoid(x)
    return torch.clamp(x * slope + shift, 0, 1)


@operator("Gelu")
def _gelu(attributes: Attributes, x: Any) -> Any:
    return functional.gelu(x, approximate=attributes.get("approximate", "none"))


@operator("Swish")
def _swish(attributes: Attributes, x: Any) -> Any:
    factor = attributes.get("alpha", 1.0)
    return functional.silu(x) if factor == 1.0 else x * torch.sigmoid(x * factor)


@operator("Clip")
def _clip(attributes: Attributes, x: Any, least: Any = None, most: Any = None) -> Any:
    if least is None and most is None:
        return x
    return torch.clamp(tensor(x), plain(least), plain(most))


@operator("Cast")
def _cast(attributes: Attributes, x: Any) -> Any:
    return tensor(x).to(type_of(attributes["to"]))


@operator("CastLike")
def _cast_like(attributes: Attributes, x: Any, like: Any) -> Any:
    return tensor(x).to(tensor(like).dtype)
