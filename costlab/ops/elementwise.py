"""Functions of each element, and of two elements together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Keeps, Op, Shape, Tensor
from costlab.graph.opcount import GradientScalars, OpCount, of_input, of_scale, of_shift

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class ReLU(Op):
    """``max(x, 0)``: a comparison per element."""

    name: ClassVar[str] = "relu"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(cmp=prod(output))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """The gradient where the result is above 0, else 0."""
        return of_input(cmp=prod(output))

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

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``dy·(1 - y·y)``."""
        return of_input(mul=2 * prod(output), add=prod(output))

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

    @property
    def keeps(self) -> Keeps:
        return "nothing"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(mul=prod(output))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        return of_input(mul=prod(output))

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

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        channels = output[1]
        own = (*of_scale(output, channels), *of_shift(output, channels, 1))
        return (*of_input(mul=prod(output)), *own)

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import PerChannel

        return PerChannel(inputs[0][1])


def _scaled(inputs: tuple[Any, ...], by: float) -> Any:
    return inputs[0] * by
