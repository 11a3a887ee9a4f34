"""Functions of each element, of two tensors together, and softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.elementwise import Add, Multiply, ReLU, Scale, Softmax, Tanh
from costlab.ops.pointwise import EACH, PAIR, LogSoftmax, Pair, Pointwise, PReLU
from costlab.ops.zero_cost import Dropout
from costlab.trace.registry import rule
from costlab.trace.tape import META, Tape

_BOOLEAN = frozenset(
    [
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
        "isnan",
        "isinf",
        "isfinite",
    ]
)
_FLOATING = frozenset(("div", "reciprocal", "sigmoid", "sqrt", "rsqrt", "exp", "log", "sin", "cos"))


def _each(function: str) -> Any:
    op = Pointwise(function)

    def each(on: Tape, input: Tensor, *more: Any, inplace: bool = False, **named: Any) -> Any:
        if not isinstance(input, Tensor):
            return NotImplemented
        result = on.record(op, (input,), dtype=_dtype(function, input))
        if inplace or (more and more[-1] is True):
            return on.renewed(input, result)
        return result

    return each


for _function in EACH:
    rule(_function)(_each(_function))
rule("log_sigmoid")(_each("logsigmoid"))
rule("rrelu", "rrelu_with_noise")(_each("leaky_relu"))


@rule("relu")
def relu(on: Tape, input: Tensor, inplace: bool = False) -> Tensor:
    result = on.record(_RELU, (input,))
    return on.renewed(input, result) if inplace else result


@rule("tanh")
def tanh(on: Tape, input: Tensor) -> Tensor:
    return on.record(_TANH, (input,), dtype=_dtype("exp", input))


_RELU, _TANH = ReLU(), Tanh()


@rule("gelu")
def gelu(on: Tape, input: Tensor, approximate: str = "none") -> Tensor:
    return on.record(Pointwise("gelu_tanh" if approximate == "tanh" else "gelu"), (input,))


@rule("clamp")
def clamp(on: Tape, input: Tensor, min: Any = None, max: Any = None) -> Any:
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        if min is not None:
            input = on.record(Pair("maximum"), _tensors(input, min), dtype=_together(input, min))
        if max is not None:
            input = on.record(Pair("minimum"), _tensors(input, max), dtype=_together(input, max))
        return input
    kind = "clamp_max" if min is None else "clamp_min" if max is None else "clamp"
    return on.record(Pointwise(kind), (input,), dtype=_together(input, min, max))


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
)
def dropout(
    on: Tape, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    result = on.record(Dropout(p), (input,))
    return on.renewed(input, result) if inplace else result


@rule("softmax", "_softmax")
def softmax(
    on: Tape, input: Tensor, dim: Any = None, _stacklevel: Any = 3, dtype: Any = None
) -> Any:
    if dim is None:
        return NotImplemented
    return on.record(Softmax(dim), (input,), dtype=dtype)


@rule("log_softmax", "_log_softmax")
def log_softmax(
    on: Tape, input: Tensor, dim: Any = None, _stacklevel: Any = 3, dtype: Any = None
) -> Any:
    if dim is None:
        return NotImplemented
    return on.record(LogSoftmax(dim), (input,), dtype=dtype)


def _pair(function: str) -> Any:
    op = Pair(function)

    def pair(on: Tape, input: Any, other: Any, **named: Any) -> Any:
        both = _tensors(input, other)
        if not both or named.keys() - {"alpha", "rounding_mode"}:
            return NotImplemented
        if named.get("rounding_mode") is not None:
            return on.record(_FLOOR, both, dtype=_together(input, other))
        if (alpha := named.get("alpha", 1)) != 1:
            if len(both) == 1:
                return on.record(op, both, dtype=_together(input, other))
            both[1] = on.record(Scale(alpha), both[1:])
        dtype = torch.bool if function in _BOOLEAN else _together(input, other)
        if function == "div" and not dtype.is_floating_point and not dtype.is_complex:
            dtype = torch.get_default_dtype()
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
    rule(_function)(_pair(_function))


for _spelled, _function in {
    "radd": "add",
    "rsub": "sub",
    "rmul": "mul",
    "rdiv": "div",
    "rpow": "pow",
    "rfloordiv": "floor_divide",
    "rmod": "remainder",
}.items():
    rule(_spelled)(_pair(_function))


@rule("glu")
def glu(on: Tape, input: Tensor, dim: int = -1) -> Tensor:
    size = list(input.shape)
    size[dim] //= 2
    halves = [torch.empty(size, dtype=input.dtype, device=META) for _ in range(2)]
    first, gate = (on.moved("split", (input,), half) for half in halves)
    return on.record(_COMMUTATIVE["mul"], (first, on.record(Pointwise("sigmoid"), (gate,))))


@rule("where")
def where(on: Tape, condition: Tensor, input: Any = None, other: Any = None) -> Any:
    if input is None or other is None:
        return NotImplemented
    inputs = _tensors(condition, input, other)
    return on.record(Pair("where"), inputs, dtype=_together(input, other))


@rule("masked_fill")
def masked_fill(on: Tape, input: Tensor, mask: Tensor, value: Any) -> Any:
    return on.record(Pair("masked_fill"), (input, mask), dtype=input.dtype)


def _three(function: str) -> Any:
    op = Pair(function)

    def three(on: Tape, input: Tensor, first: Any, second: Any, **named: Any) -> Any:
        if named.get("value", 1) != 1:
            return NotImplemented
        return on.record(op, _tensors(input, first, second))

    return three


for _function in ("lerp", "addcmul", "addcdiv"):
    rule(_function)(_three(_function))


def _tensors(*each: Any) -> list[Tensor]:
    return [one for one in each if isinstance(one, Tensor)]


def _dtype(function: str, x: Tensor) -> torch.dtype:
    if function in _BOOLEAN:
        return torch.bool
    if not x.dtype.is_floating_point and not x.dtype.is_complex and EACH[function].special:
        return torch.get_default_dtype()
    return x.dtype


def _together(*values: Any) -> torch.dtype:
    """The type that torch promotes to."""
    types = {each.dtype for each in values if isinstance(each, Tensor)}
    if len(types) == 1 and not any(isinstance(each, (float, complex)) for each in values):
        return types.pop()
    result = None
    for each in values:
        if each is None:
            continue
        result = each if result is None else torch.result_type(result, each)
        if isinstance(result, torch.dtype):
            result = torch.empty((1,) if _ranked(values) else (), dtype=result, device="meta")
    assert isinstance(result, Tensor)
    return result.dtype


def _ranked(values: tuple[Any, ...]) -> bool:
    return any(isinstance(each, Tensor) and each.dim() for each in values)
