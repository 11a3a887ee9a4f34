"""An operation that costlab has no rule for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from costlab.graph.op import Op, Shape


@dataclass(frozen=True, slots=True)
class Uncounted(Op):
    """A named operation whose output shape is known and whose cost is not.

    Tables list it as uncounted and mark their totals as lower bounds.
    """

    what: str
    shape: Shape

    name: ClassVar[str] = "uncounted"
    arity: ClassVar[int | None] = None

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def gradients(self, output: Shape, *inputs: Shape) -> None:
        return None

    def scalars(self, output: Shape, *inputs: Shape) -> None:
        return None
