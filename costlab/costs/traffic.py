"""The bytes that a layer reads and writes, if nothing is kept between layers.

What a layer takes and gives is said here, once: ``costlab.roofline.traffic`` has what of it no way
of computing the layer can leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from costlab.graph.network import Layer
from costlab.graph.values import DType, Value

_MOVES = frozenset(("concat", "dropout", "flatten", "identity", "leaf", "movement", "select"))
"""Kinds of operations without arithmetic: what shares the memory of its operand is a view."""

_PICKS = frozenset(("gather", "index", "index_select", "masked_select", "take", "take_along_dim"))
"""Movements that read no more elements of their first operand than they give."""

_OVERWRITES = ("copy", "fill", "index_", "masked_", "put", "scatter", "zero")
"""How the names of movements begin that write to memory which is there."""

SizeOf = Callable[[DType], int]
"""The bytes of an element of a type."""


class Taken(NamedTuple):
    """What a layer reads: values of which it takes all, and whether some elements of another."""

    whole: tuple[int, ...]
    picks: bool = False


def read_bytes(layer: Layer, values: Sequence[Value]) -> int:
    """Those of all that a layer takes, each value once; of a table the rows that are looked up."""
    whole, picks = taken(layer, values)
    picked = values[layer.results[0]].bytes if picks else 0
    return picked + sum([values[number].bytes for number in whole])


def taken(layer: Layer, values: Sequence[Value]) -> Taken:
    """What a layer reads, each value once; nothing of what it overwrites."""
    if is_view(layer, values):
        return Taken(())
    label = layer.op.label(*layer.inputs)
    moves = layer.op.kind == "movement"
    whole = dict.fromkeys(layer.all_operands)
    if layer.op.kind == "embedding":
        return Taken(tuple(dict.fromkeys(layer.operands)), picks=True)
    picks = layer.op.kind == "select" or (moves and label in _PICKS)
    if picks or (moves and values[layer.results[0]].shares is not None):
        whole.pop(layer.operands[0], None)
    return Taken(tuple(whole), picks)


def written_bytes(layer: Layer, values: Sequence[Value], size_of: SizeOf = lambda t: t.size) -> int:
    """Those of what a layer gives, also in place; none of a view."""
    if is_view(layer, values):
        return 0
    first, *more = (values[number] for number in layer.results)
    # Another result in the same memory is the tensor that the first one is a part of.
    own = [first, *(value for value in more if value.shares is None)]
    return sum([value.elements * size_of(value.dtype) for value in own])


def is_view(layer: Layer, values: Sequence[Value]) -> bool:
    """Whether a layer moves nothing: all that it gives is memory that was there."""
    if layer.op.kind not in _MOVES:
        return False
    if layer.op.kind == "leaf":
        return True
    label = layer.op.label(*layer.inputs)
    shared = values[layer.results[0]].shares is not None
    return shared and not (layer.op.kind == "movement" and label.startswith(_OVERWRITES))
