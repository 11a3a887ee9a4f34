"""What moves, joins, holds or passes on elements, without arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from costlab.graph.op import Keeps, Shape
from costlab.ops.zero_cost import ZeroCost

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Identity(ZeroCost):
    """Its input."""

    name: ClassVar[str] = "identity"

    @property
    def passes(self) -> bool:
        return True

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Identity()


_BY_INDEX = ("index", "gather", "take", "masked", "scatter", "where")
"""How the names begin of movements to or from places that a tensor says."""


@dataclass(frozen=True, slots=True)
class Movement(ZeroCost):
    """Elements in another order, shape or place: ``view``, ``permute``, ``pad``, ``index``..."""

    what: str
    shape: Shape

    name: ClassVar[str] = "movement"
    arity: ClassVar[int | None] = None

    @property
    def keeps(self) -> Keeps:
        """Where its elements are from, if other tensors say so."""
        return "result" if self.what.startswith(_BY_INDEX) else "nothing"

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True)
class Leaf(ZeroCost):
    """A parameter, buffer or constant that is used as a value: no operation made it."""

    what: str
    shape: Shape

    name: ClassVar[str] = "leaf"
    arity: ClassVar[int | None] = 0

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape
