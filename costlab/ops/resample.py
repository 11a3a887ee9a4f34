"""Grids that are put together from windows, or made larger and smaller."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount, of_input, total
from costlab.ops.spatial import at_least


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

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each element of the windows gets that of its place."""
        return ()


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

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield from at_least(("size", self.size, 1), ("each side of its input", inputs[0][2:], 1))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount() if self.taps == 1 else OpCount(mul=n * self.taps, add=n * (self.taps - 1))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each gradient, weighted, is added to those of its inputs; 1 tap has no weight."""
        taps = prod(output) * self.taps
        return of_input(add=taps) if self.taps == 1 else of_input(mul=taps, add=taps)


_TAPS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}


@dataclass(frozen=True, slots=True)
class Antialiased(Op):
    """`Interpolate` of images that are made smaller: each output is a sum over all that it covers.

    One axis after the other, the last one first. With a scale s (1 if made larger) an output at c
    is made of the inputs from ⌊c - r·s + ½⌋ to ⌊c + r·s + ½⌋, not including that, where r is 1, or
    2 with cubic weights. The weights depend on the place only and are not counted.
    """

    mode: str
    size: Shape

    name: ClassVar[str] = "antialiased_interpolate"

    @property
    def detail(self) -> str:
        return self.mode

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1], *self.size)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield from at_least(("size", self.size, 1), ("each side of its input", inputs[0][2:], 1))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        passes = self._passes(output, *inputs)
        return total(OpCount(mul=taps, add=taps - results) for taps, results in passes)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each gradient, weighted, is added to those of its inputs, one axis after another."""
        passes = self._passes(output, *inputs)
        back = total(OpCount(mul=taps, add=taps) for taps, _ in passes)
        return (GradientScalars(back, operands=(0,)),)

    def _passes(self, output: Shape, *inputs: Shape) -> Iterable[tuple[int, int]]:
        """The inputs of all outputs along an axis, and these, for one axis after the other."""
        shape = list(inputs[0])
        for axis in reversed(range(2, len(shape))):
            taps = self._taps(shape[axis], output[axis])
            shape[axis] = output[axis]
            yield prod(shape) // output[axis] * taps, prod(shape)

    def _taps(self, size: int, out: int) -> int:
        """The inputs of all outputs along an axis."""
        size, out = (getattr(side, "hint", side) for side in (size, out))  # which are fixed
        scale = size / out
        reach = max(scale, 1.0) * (2 if self.mode == "bicubic" else 1)
        centres = [scale * (place + 0.5) for place in range(out)]
        return sum(min(int(c + reach + 0.5), size) - max(int(c - reach + 0.5), 0) for c in centres)
