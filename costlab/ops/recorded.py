"""Operations read from a saved report: their costs are as they were written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from costlab.graph.op import Keeps, Op, Shape
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount


@dataclass(frozen=True, slots=True)
class Recorded(Op):
    """What a report says of one operation or scope; ``count`` is None where it had no rule."""

    what: str
    window: str
    shape: Shape
    count: OpCount | None
    factors: Contraction | None
    elements: int
    kind: str = ""
    """The operation's name without its rank: ``conv``."""
    attributes: tuple[tuple[str, Any], ...] = ()
    """Its attributes by their names: kernel size, stride..."""
    backward: tuple[Gradient, ...] | None = None
    """The contractions of its backward pass, of a report that was saved with training cost."""
    kept: Keeps = "result"
    backward_scalars: tuple[GradientScalars, ...] | None = None
    """The scalar operations of its backward pass, of such a report."""
    part: bool = False
    joins: bool = False

    name: ClassVar[str] = "recorded"
    arity: ClassVar[int | None] = None

    def attribute(self, name: str) -> Any:
        return dict(self.attributes).get(name)

    def label(self, *inputs: Shape) -> str:
        return self.what

    @property
    def detail(self) -> str:
        return self.window

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def activations(self, written: int) -> int:
        return self.elements

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction | None:
        return self.factors

    @property
    def keeps(self) -> Keeps:
        return self.kept

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...] | None:
        return self.backward

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        return self.backward_scalars

    @property
    def takes_part(self) -> bool:
        return self.part

    @property
    def joins_results(self) -> bool:
        return self.joins

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount | None:
        return self.count
