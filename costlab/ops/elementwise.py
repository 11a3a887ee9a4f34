"""Functions of each element, and of two elements together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Op, Shape, Tensor
from costlab.graph.opcount import OpCount
from costlab.ops.broadcast import Together

if TYPE_CHECKING:
    from torch import nn

_SIGMOID = OpCount(mul=1, add=1, div=1, special=1)  # 1 / (1 + exp(-x))


_ROUND = OpCount(cmp=1)


_FUNCTION = OpCount(special=1)


EACH: dict[str, OpCount] = {
    "neg": OpCount(mul=1),
    "square": OpCount(mul=1),
    "reciprocal": OpCount(div=1),
    "abs": OpCount(cmp=1),
    "sign": OpCount(cmp=2),
    "sgn": OpCount(cmp=2),
    "deg2rad": OpCount(mul=1),
    "rad2deg": OpCount(mul=1),
    "clamp": OpCount(cmp=2),
    "clamp_min": OpCount(cmp=1),
    "clamp_max": OpCount(cmp=1),
    "threshold": OpCount(cmp=1),
    "hardtanh": OpCount(cmp=2),
    "relu6": OpCount(cmp=2),
    "leaky_relu": OpCount(cmp=1, mul=1),
    "hardshrink": OpCount(cmp=2),
    "softshrink": OpCount(cmp=2, add=1),
    "hardsigmoid": OpCount(add=1, cmp=2, div=1),  # relu6(x + 3) / 6
    "hardswish": OpCount(mul=1, add=1, cmp=2, div=1),
    "sigmoid": _SIGMOID,
    "logsigmoid": OpCount(mul=2, add=1, special=2),  # -log(1 + exp(-x))
    "silu": _SIGMOID + OpCount(mul=1),
    "softsign": OpCount(cmp=1, add=1, div=1),
    "softplus": OpCount(add=1, special=2),  # log(1 + exp(x))
    "mish": OpCount(mul=1, add=1, special=3),  # x·tanh(softplus(x))
    "elu": OpCount(cmp=1, add=1, mul=1, special=1),  # x, or alpha·(exp(x) - 1) below 0
    "selu": OpCount(cmp=1, add=1, mul=2, special=1),
    "celu": OpCount(cmp=1, add=1, mul=1, div=1, special=1),
    "gelu": OpCount(mul=3, add=1, special=1),  # 0.5·x·(1 + erf(x·0.7071))
    "gelu_tanh": OpCount(mul=6, add=2, special=1),  # 0.5·x·(1 + tanh(0.798·(x + 0.0447·x³)))
    "tanhshrink": OpCount(add=1, special=1),
    "floor": _ROUND,
    "ceil": _ROUND,
    "round": _ROUND,
    "trunc": _ROUND,
    "frac": OpCount(add=1, cmp=1),
    "logical_not": OpCount(cmp=1),
    "bitwise_not": OpCount(cmp=1),
    "isnan": OpCount(cmp=1),
    "isinf": OpCount(cmp=1),
    "isneginf": OpCount(cmp=1),
    "isposinf": OpCount(cmp=1),
    "isfinite": OpCount(cmp=1),
    "signbit": OpCount(cmp=1),
    "nan_to_num": OpCount(cmp=3),
    "logit": OpCount(add=1, div=1, special=1),  # log(x / (1 - x))
    "sinc": OpCount(mul=1, cmp=1, div=1, special=1),  # sin(πx) / πx, or 1 at 0
    **dict.fromkeys(
        [
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sqrt",
            "rsqrt",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "asinh",
            "acosh",
            "atanh",
            "erf",
            "erfc",
            "erfinv",
            "lgamma",
            "digamma",
            "erfcx",
            "i0",
        ],
        _FUNCTION,
    ),
}
"""What a function of one element costs, in its usual formula."""


PAIR: dict[str, OpCount] = {
    **dict.fromkeys(("add", "sub"), OpCount(add=1)),
    "mul": OpCount(mul=1),
    **dict.fromkeys(("div", "floor_divide", "remainder", "fmod"), OpCount(div=1)),
    **dict.fromkeys(
        [
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "copysign",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "where",
            "logical_and",
            "logical_or",
            "logical_xor",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
            "masked_fill",
        ],
        OpCount(cmp=1),
    ),
    **dict.fromkeys(("pow", "atan2"), OpCount(special=1)),
    "heaviside": OpCount(cmp=2),
    "bitwise_left_shift": OpCount(mul=1),
    "bitwise_right_shift": OpCount(div=1),
    "ldexp": OpCount(mul=1, special=1),  # a·2ᵇ
    "hypot": OpCount(mul=2, add=1, special=1),
    "xlogy": OpCount(mul=1, cmp=1, special=1),  # 0 where a is 0
    "logaddexp": OpCount(add=3, cmp=1, special=2),  # max + log(1 + exp(min - max))
    "logaddexp2": OpCount(add=3, cmp=1, special=2),
    "lerp": OpCount(mul=1, add=2),  # a + w·(b - a)
    "addcmul": OpCount(mul=1, add=1),
    "addcdiv": OpCount(div=1, add=1),
}
"""What combining two elements costs; with a number in place of a tensor too."""


BOOLEAN = frozenset(
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
        "isneginf",
        "isposinf",
        "isfinite",
        "signbit",
    ]
)
"""Functions whose results are true or false."""

FLOATING = frozenset(
    (
        "div",
        "reciprocal",
        "softsign",
        "deg2rad",
        "rad2deg",
        "atan2",
        "copysign",
        "xlogy",
        "ldexp",
    )
)
"""Functions that give floating-point numbers of whole ones, as those with ``special`` ones do."""


@dataclass(frozen=True, slots=True)
class Pointwise(Op):
    """A function of each element, one of ``EACH``."""

    function: str

    name: ClassVar[str] = "pointwise"

    def label(self, *inputs: Shape) -> str:
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.function in EACH, f"there is no rule for {self.function}"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return EACH[self.function] * prod(output)


@dataclass(frozen=True, slots=True)
class Pair(Together):
    """A function of two tensors, or of a tensor and a number, one of ``PAIR``, broadcast.

    Further tensors (what ``where`` chooses by, the weight of ``lerp``) take part in the shape only.
    """

    function: str

    name: ClassVar[str] = "pair"

    def label(self, *inputs: Shape) -> str:
        return self.function

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.function in PAIR, f"there is no rule for {self.function}"
        yield len(inputs) >= 1, "it takes an input"
        if len(inputs) > 1:
            yield from Together.conditions(self, *inputs)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return PAIR[self.function] * prod(output)


@dataclass(frozen=True, slots=True)
class PReLU(Op):
    """``x`` or, below 0, ``slope·x``: a comparison and a multiplication; the slopes are params."""

    slopes: int = 1

    name: ClassVar[str] = "prelu"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        x = inputs[0]
        if len(x) > 1:
            wrong = abs(self.slopes - 1) * abs(self.slopes - x[1])
            yield wrong <= 0, "it takes 1 slope, or one for each channel"

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return (("weight", (self.slopes,)),)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(mul=1, cmp=1) * prod(output)


@dataclass(frozen=True, slots=True)
class ReLU(Op):
    """``max(x, 0)``: a comparison per element."""

    name: ClassVar[str] = "relu"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(cmp=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.ReLU()


@dataclass(frozen=True, slots=True)
class Tanh(Op):
    """The hyperbolic tangent, one special operation per element."""

    name: ClassVar[str] = "tanh"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(special=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Tanh()


@dataclass(frozen=True, slots=True)
class Scale(Op):
    """``x · by``, a constant: a multiplication per element."""

    by: float

    name: ClassVar[str] = "scale"

    @property
    def detail(self) -> str:
        return f"by {self.by}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(mul=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(_scaled, by=self.by))


@dataclass(frozen=True, slots=True)
class Affine(Op):
    """``x·scale + shift`` per channel of ``[N, C, ..]``, both learnable: 2C params.

    A multiplication and an addition per element.
    """

    name: ClassVar[str] = "affine"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) < 2:
            raise ShapeError(f"affine takes [batch, channels, ..], not {formatting.shape(x)}")
        return x

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        channels = (inputs[0][1],)
        return (("weight", channels), ("bias", channels))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount(mul=n, add=n)

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import PerChannel

        return PerChannel(inputs[0][1])


def _scaled(inputs: tuple[Any, ...], by: float) -> Any:
    return inputs[0] * by
