"""Fast Fourier transforms."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount


@dataclass(frozen=True, slots=True)
class Fourier(Op):
    """A discrete Fourier transform along axes, by halves (Cooley and Tukey 1965).

    Along an axis of n, which is taken as if log2 n were rounded up, a row takes n/2·log2 n
    multiplications and n·log2 n additions. They are of complex numbers, which count as one element
    each; a transform of real numbers costs as much as one of complex ones. ``shape`` is that of the
    output, ``sizes`` are what is transformed: the elements of all rows, and those of one.
    A transform that is ``scaled`` has one multiplication more for each element of the output.
    """

    function: str
    shape: Shape
    sizes: tuple[tuple[int, int], ...]
    scaled: bool = False

    name: ClassVar[str] = "fft"

    def label(self, *inputs: Shape) -> str:
        return self.function

    @property
    def detail(self) -> str:
        return "×".join(str(size) for _, size in self.sizes)

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return self._halvings() + OpCount(mul=prod(output) * int(self.scaled))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """The transform of the gradient the other way, with the same scale.

        Of real results from half of a spectrum, what stands in it for both halves counts twice.
        """
        (x,) = inputs
        scaled, twice = prod(x) * int(self.scaled), 0
        if self.function == "irfft":
            elements, size = self.sizes[-1]  # along the last axis: all but 0, and the middle if any
            twice = elements // size * ((size - 1) // 2)
        back = self._halvings() + OpCount(mul=scaled + twice)
        return (GradientScalars(back, operands=(0,)),)

    def _halvings(self) -> OpCount:
        halvings = [elements * (size - 1).bit_length() for elements, size in self.sizes]
        return OpCount(mul=sum(number // 2 for number in halvings), add=sum(halvings))
