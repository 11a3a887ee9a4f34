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
from costlab.ops.element_functions import EACH, PAIR

if TYPE_CHECKING:
    from torch import nn


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
