"""Operations that a user has given a rule for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from costlab.op import Op, Shape
from costlab.opcount import OpCount


@dataclass(frozen=True, slots=True)
class Custom(Op):
    """What a rule of a user's own says (see ``costlab.counting``)."""

    what: str
    shape: Shape
    count: OpCount

    name: ClassVar[str] = "custom"
    arity: ClassVar[int | None] = None

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return self.count
