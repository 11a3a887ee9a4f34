"""Products with what is stored of a sparse operand."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Op, Shape
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount


@dataclass(frozen=True, slots=True)
class SparseProduct(Op):
    """A matrix product with a sparse operand: each stored element is multiplied with each column.

    Of the other operand; with its rows, where that comes first. Of two sparse operands ``stored``
    are the pairs that meet, and ``times`` is 1; of a product of which some elements are wanted
    these are ``stored``, and ``times`` the elements that each of them sums.
    """

    stored: int
    times: int
    inner: int
    """The length of the axis that is summed over."""
    shape: Shape

    name: ClassVar[str] = "sparse_matmul"
    arity: ClassVar[int | None] = 2

    @property
    def dense(self) -> int:
        """What it would cost if all elements were stored."""
        return prod(self.shape) * self.inner

    @property
    def detail(self) -> str:
        return f"{self.stored:,} stored"

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        return Contraction((self.stored,), (self.times,), (("stored elements",), ("times",)))

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """Of either operand a product for each that is computed, at the stored elements alone.

        One of them, or both, may be a parameter.
        """
        forward = self.contraction(output, *inputs)
        of_operands = [Gradient(forward, operands=(n,)) for n in (0, 1)]
        return (*of_operands, *(Gradient(forward, weights=(n,)) for n in (0, 1)))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        return ()
