"""Grids that are put together from windows, or made larger and smaller."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab.graph.op import Op, Shape
from costlab.graph.opcount import OpCount

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Fold(Op):
    """``[N, C, *size]`` from its windows ``[N, C·k, windows]``: elements that meet are added.

    An addition for each element of the windows, also for those that padding crops.
    """

    size: Shape
    window: int

    name: ClassVar[str] = "fold"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1] // self.window, *self.size)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(add=prod(inputs[0]))


@dataclass(frozen=True, slots=True)
class Interpolate(Op):
    """``[N, C, *size]`` from ``[N, C, *in]``: each output is a weighted sum of ``taps`` inputs.

    ``taps`` multiplications and one addition fewer for each output; 1 tap copies. Linear modes have
    2 taps for each spatial axis, cubic 4. The weights depend on the place only and are not counted.
    """

    mode: str
    size: Shape

    name: ClassVar[str] = "interpolate"

    @property
    def detail(self) -> str:
        return self.mode

    @property
    def taps(self) -> int:
        """Inputs in each weighted sum."""
        taps: int = _TAPS.get(self.mode, 1) ** len(self.size)
        return taps

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1], *self.size)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount() if self.taps == 1 else OpCount(mul=n * self.taps, add=n * (self.taps - 1))


_TAPS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}
