"""What is a view and what a copy in a network with symbols: as it is at the point of its numbers.

Symbols do not say how elements lie in memory, so the network with numbers says it. It is so
wherever nothing else lies in a row than there: questions that are asked here are kept as guards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costlab.graph import Graph
from costlab.graph.values import Value, owner_of

if TYPE_CHECKING:
    from costlab.symbols.assumptions import Assumptions

_EITHER = ("contiguous", "flatten", "ravel", "reshape", "reshape_as", "unflatten")
"""Movements that give a view where elements lie in a row, and else a copy."""


def laid_out(graph: Graph, numbers: Graph, of: Assumptions) -> Graph:
    """The graph with symbols, whose values share memory as they do in that with ``numbers``.

    ``of`` learns where that is so: which sizes are 1, since those lie in any row, and which views
    are of all that they are a view of.
    """
    for layer in numbers.layers:
        if layer.operands and layer.op.label(*layer.inputs) in _EITHER:
            _ask(graph.values, numbers.values, layer.operands[0], layer.results[0], of)
    pairs = zip(graph.values, numbers.values, strict=True)
    return replace(graph, values=tuple(own._replace(shares=at.shares) for own, at in pairs))


def _ask(
    values: tuple[Value, ...], numbers: tuple[Value, ...], taken: int, given: int, of: Assumptions
) -> None:
    """Whether a movement gives a view for another reason than its sizes at the point."""
    owner = owner_of(numbers, taken)
    if owner != taken:
        of.is_zero(of.size(values[taken].elements - values[owner].elements))
    copies = numbers[given].shares is None
    for size, number in zip(values[taken].shape, numbers[taken].shape, strict=True):
        if copies or number == 1:
            of.is_zero(of.size(size - 1))
