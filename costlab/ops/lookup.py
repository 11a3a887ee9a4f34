"""Tables that are looked up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Op, Shape, Tensor
from costlab.graph.opcount import GradientScalars, OpCount


@dataclass(frozen=True, slots=True)
class Embedding(Op):
    """``[.., width]`` rows of a table ``[size, width]`` by index: looked up, not computed."""

    size: int
    width: int

    name: ClassVar[str] = "embedding"

    @property
    def detail(self) -> str:
        return f"of {self.size}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (*x, self.width)

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return (("weight", (self.size, self.width)),)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each row's gradient is added to that of the row of the table."""
        return (GradientScalars(OpCount(add=prod(output)), weights=(0,)),)

    def activations(self, written: int) -> int:
        return 0
