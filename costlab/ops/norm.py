"""Normalisation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Op, Shape, Tensor
from costlab.graph.opcount import GradientScalars, OpCount, of_input, of_shift

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class BatchNorm(Op):
    """``x·scale + shift`` per channel of ``[N, C, ..]``, the statistics folded (evaluation mode).

    One multiplication and one addition per element; 2C params if ``affine``. Running mean and
    variance are buffers, not params.
    """

    eps: float = 1e-5
    affine: bool = True

    name: ClassVar[str] = "batch_norm"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not 2 <= len(x) <= 5:
            raise ShapeError(f"batch_norm takes [batch, channels, ..], not {formatting.shape(x)}")
        return x

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return scale_and_shift((inputs[0][1],), self.affine)

    def buffers(self, *inputs: Shape) -> Iterable[Tensor]:
        channels = (inputs[0][1],)
        return (("running_mean", channels), ("running_var", channels))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount(mul=n, add=n)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``dx = dy·scale``; of the weight ``Σ dy·(x - mean)`` for each channel, times 1/deviation.

        As in the forward pass the statistics are constants.
        """
        n, channels = prod(output), output[1]
        of_weight = OpCount(mul=n + channels, add=2 * n - channels)
        own = (GradientScalars(of_weight, weights=(0,)), *of_shift(output, channels, 1))
        return (*of_input(mul=n), *(own if self.affine else ()))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        norms = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
        return norms[len(inputs[0])](inputs[0][1], eps=self.eps, affine=self.affine)


@dataclass(frozen=True, slots=True)
class LocalResponseNorm(Op):
    """``x / (k + alpha/size · sum of x² over size channels)^beta`` (Krizhevsky et al. 2012, 3.3).

    Per element: two multiplications (the square, the factor alpha/size), ``size`` additions (the
    sum of ``size`` squares, and k), one power, one division. Windows that overhang the channels
    count in full.
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    name: ClassVar[str] = "lrn"

    @property
    def detail(self) -> str:
        return f"over {self.size}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) < 3:
            raise ShapeError(f"lrn takes [batch, channels, spatial..], not {formatting.shape(x)}")
        return x

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.size >= 1, "size must be at least 1"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount(mul=2 * n, add=n * self.size, div=n, special=n)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """With the divisor p = d^beta kept: ``dy/p - c·x·Σ dy·y/d`` over the same channels."""
        n = prod(output)
        return of_input(mul=3 * n, add=n * self.size, div=2 * n)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.LocalResponseNorm(self.size, self.alpha, self.beta, self.k)


def scale_and_shift(shape: Shape, affine: bool, shifted: bool = True) -> tuple[Tensor, ...]:
    """A weight and a bias of that shape, if it is affine; without the bias if not shifted."""
    if not affine:
        return ()
    return (("weight", shape), ("bias", shape)) if shifted else (("weight", shape),)
