"""Functions of each element, of two tensors together, and softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.errors import ShapeError
from costlab.ops.broadcast import Add, Multiply
from costlab.ops.element_functions import BOOLEAN, EACH, FLOATING, PAIR
from costlab.ops.elementwise import ReLU, Scale, Tanh
from costlab.ops.pointwise import Pair, Pointwise, PReLU
from costlab.ops.softmax import LogSoftmax, Softmax
from costlab.ops.zero_cost import Dropout
from costlab.trace.arguments import whole
from costlab.trace.promotion import promoted
from costlab.trace.refusals import ODD, type_name
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


def _each(function: str) -> Any:
    op = Pointwise(function)

    def each(on: Tape, input: Tensor, *more: Any, inplace: bool = False, **named: Any) -> Any:
        if not isinstance(input, Tensor):
            return NotImplemented
        stays = inplace or (more and more[-1] is True)
        dtype = _dtype(function, input)
        return on.record(op, (input,), dtype=dtype, result=input if stays else None)

    return each


_NUMBERED = {"softshrink", "threshold", "celu", "hardtanh", "logit", "round", "nan_to_num", "elu"}
"""Functions that take numbers of which torch refuses some."""
for _function in EACH:
    rule(_function, checked=_function not in _NUMBERED)(_each(_function))
rule("log_sigmoid")(_each("logsigmoid"))
rule("log_sigmoid_forward")(_each("logsigmoid"))
rule("rrelu", "rrelu_with_noise")(_each("leaky_relu"))


@rule("sgn", checked=True)
def sgn(on: Tape, input: Tensor) -> Any:
    """Of real numbers it is their sign."""
    return _each("sgn" if input.is_complex() else "sign")(on, input)


@rule("relu", checked=True)
def relu(on: Tape, input: Tensor, inplace: bool = False) -> Tensor:
    result: Tensor = on.apply(ReLU, (), input, input.dim(), in_place=inplace)
    return result


@rule("tanh", checked=True)
def tanh(on: Tape, input: Tensor) -> Tensor:
    return on.record(_TANH, (input,), dtype=_dtype("exp", input))


_TANH = Tanh()


@rule("gelu", checked=True)
def gelu(on: Tape, input: Tensor, approximate: str = "none") -> Tensor:
    if approximate not in ("none", "tanh"):
        raise ShapeError(f"approximate is {approximate!r}, expected 'none' or 'tanh'")
    return on.record(Pointwise("gelu_tanh" if approximate == "tanh" else "gelu"), (input,))


@rule("clamp")
def clamp(on: Tape, input: Tensor, min: Any = None, max: Any = None) -> Any:
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        if min is not None:
            input = on.record(Pair("maximum"), _tensors(input, min), dtype=promoted(input, min))
        if max is not None:
            input = on.record(Pair("minimum"), _tensors(input, max), dtype=promoted(input, max))
        return input
    if min is None and max is None:
        raise ShapeError("it has neither a least nor a largest number")
    kind = "clamp_max" if min is None else "clamp_min" if max is None else "clamp"
    return on.record(Pointwise(kind), (input,), dtype=promoted(input, min, max))


@rule("clamp_min")
def clamp_min(on: Tape, input: Tensor, min: Any) -> Any:
    return clamp(on, input, min)


@rule("clamp_max")
def clamp_max(on: Tape, input: Tensor, max: Any) -> Any:
    return clamp(on, input, None, max)


@rule("prelu", "_prelu_kernel")
def prelu(on: Tape, input: Tensor, weight: Tensor) -> Tensor:
    return on.record(PReLU(weight.numel()), (input,), (weight,))


@rule(
    "dropout",
    "alpha_dropout",
    "feature_dropout",
    "feature_alpha_dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    checked=True,
)
def dropout(
    on: Tape, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if not 0 <= p <= 1:
        raise ShapeError(f"the probability is {p}, expected 0 to 1")
    return on.record(Dropout(p, bool(training)), (input,), result=input if inplace else None)


@rule("softmax", "_softmax", checked=True)
def softmax(
    on: Tape, input: Tensor, dim: Any = None, _stacklevel: Any = 3, dtype: Any = None
) -> Any:
    return NotImplemented if dim is None else _over(on, Softmax, whole(dim), input, dtype)


@rule("log_softmax", "_log_softmax", checked=True)
def log_softmax(
    on: Tape, input: Tensor, dim: Any = None, _stacklevel: Any = 3, dtype: Any = None
) -> Any:
    return NotImplemented if dim is None else _over(on, LogSoftmax, whole(dim), input, dtype)


def _over(on: Tape, kind: type[Softmax | LogSoftmax], dim: int, input: Tensor, dtype: Any) -> Any:
    """Of an axis; a single element has one of its own."""
    if input.dim():
        return on.record(kind(dim), (input,), dtype=dtype)
    result = torch.empty((), dtype=dtype or input.dtype, device=META)
    return on.record(kind(0), (input,), shapes=((1,),), result=result)


def _pair(function: str, swapped: bool = False) -> Any:
    """The rule of a function of two; ``swapped`` if it takes the second of them first."""
    usual, of_number = Pair(function), Pair(function, number_first=True)

    def pair(on: Tape, input: Any, other: Any, **named: Any) -> Any:
        both = _tensors(other, input) if swapped else _tensors(input, other)
        number_first = len(both) == 1 and (both[0] is not input) != swapped
        op = of_number if number_first else usual
        if not both or named.keys() - {"alpha", "rounding_mode"}:
            return NotImplemented
        if named.get("rounding_mode") is not None:
            if named["rounding_mode"] not in ("floor", "trunc"):
                return NotImplemented
            return on.record(_FLOOR, both, dtype=promoted(input, other))
        if (alpha := named.get("alpha", 1)) != 1:
            if len(both) == 1:
                return on.record(op, both, dtype=promoted(input, other))
            both[1] = on.record(Scale(alpha), both[1:])
        dtype = torch.bool if function in BOOLEAN else promoted(input, other)
        if function in FLOATING:
            dtype = _floating(dtype)
        if function in ODD and dtype.is_floating_point:
            raise ShapeError(f"{function} of {type_name(dtype)}: expected whole numbers")
        if function == "pow" and dtype == torch.bool:
            dtype = torch.int64
        if len(both) == 2 and function in _COMMUTATIVE:
            return on.record(_COMMUTATIVE[function], both, dtype=dtype)
        if function == "mul" and len(both) == 1:
            number = other if both[0] is input else input
            return on.record(Scale(number), both, dtype=dtype)
        return on.record(op, both, dtype=dtype)

    return pair


_FLOOR = Pair("floor_divide")
_COMMUTATIVE = {"add": Add(), "mul": Multiply()}
for _function in PAIR.keys() - {"where", "masked_fill", "lerp", "addcmul", "addcdiv"}:
    rule(_function, checked=True)(_pair(_function))


for _spelled, _function in {
    "rsub": "sub",
    "rdiv": "div",
    "rpow": "pow",
    "rfloordiv": "floor_divide",
    "rmod": "remainder",
}.items():
    rule(_spelled, checked=True)(_pair(_function, swapped=True))

for _spelled, _function in {
    "radd": "add",
    "rmul": "mul",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}.items():
    rule(_spelled, checked=True)(_pair(_function))


@rule("glu")
def glu(on: Tape, input: Tensor, dim: int = -1) -> Tensor:
    size = list(input.shape)
    size[dim] //= 2
    halves = [torch.empty(size, dtype=input.dtype, device=META) for _ in range(2)]
    first, gate = (on.moved("split", (input,), half) for half in halves)
    return on.record(_COMMUTATIVE["mul"], (first, on.record(Pointwise("sigmoid"), (gate,))))


@rule("polar")
def polar(on: Tape, abs: Tensor, angle: Tensor) -> Any:
    """The complex number abs·cos(angle) + i·abs·sin(angle)."""
    parts = [
        on.record(_COMMUTATIVE["mul"], (abs, on.record(Pointwise(part), (angle,))))
        for part in ("cos", "sin")
    ]
    return on.moved("complex", parts, torch.complex(*parts))


@rule("where")
def where(on: Tape, condition: Tensor, input: Any = None, other: Any = None) -> Any:
    if isinstance(input, Tensor) and input.dtype == torch.bool != condition.dtype:
        condition, input = input, condition  # x.where(condition, other)
    if input is None or other is None:
        return NotImplemented
    inputs = _tensors(condition, input, other)
    return on.record(Pair("where"), inputs, dtype=promoted(input, other))


@rule("masked_fill")
def masked_fill(on: Tape, input: Tensor, mask: Tensor, value: Any) -> Any:
    if mask.dtype is not torch.bool:
        raise ShapeError(f"its mask is {type_name(mask.dtype)}, expected bool")
    return on.record(Pair("masked_fill"), (input, mask), _tensors(value), dtype=input.dtype)


def _three(function: str) -> Any:
    op = Pair(function)

    def three(on: Tape, input: Tensor, first: Any, second: Any, *, value: Any = 1) -> Any:
        both = _tensors(first, second)
        if value != 1:
            both[0] = on.record(Scale(value), both[:1])
        return on.record(op, [input, *both], dtype=promoted(input, first, second))

    return three


for _function in ("lerp", "addcmul", "addcdiv"):
    rule(_function)(_three(_function))


def _tensors(*each: Any) -> list[Tensor]:
    return [one for one in each if isinstance(one, Tensor)]


def _dtype(function: str, x: Tensor) -> torch.dtype:
    if function in BOOLEAN:
        return torch.bool
    if function == "square" and x.dtype == torch.bool:
        return torch.int64
    if function == "abs" and x.dtype.is_complex:
        return x.dtype.to_real()
    return _floating(x.dtype) if function in FLOATING or EACH[function].special else x.dtype


def _floating(dtype: torch.dtype) -> torch.dtype:
    whole = not (dtype.is_floating_point or dtype.is_complex)
    return torch.get_default_dtype() if whole else dtype
