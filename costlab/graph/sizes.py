"""The sizes that are asked for: the shape of one input, or those of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from costlab.graph.op import Shape


@dataclass(frozen=True)
class Sizes:
    """The shapes of several inputs: those in order, and those by keywords.

    ``batch`` stands in place of the first dimension of each, or of the published input.
    """

    positional: tuple[Shape, ...] = ()
    named: Mapping[str, Shape] = field(default_factory=dict)
    batch: int | None = None

    def batched(self, shape: Shape) -> Shape:
        """A shape with the batch."""
        return shape if self.batch is None else (self.batch, *shape[1:])


InputSize: TypeAlias = (
    "Iterable[int] | Iterable[Iterable[int]] | Mapping[str, Iterable[int]] | Sizes"
)
"""The shape of an input, or those of several: in order, or by the names of keywords."""
