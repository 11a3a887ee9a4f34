"""The bytes that a layer reads and writes, if nothing is kept between layers."""

from __future__ import annotations

from collections.abc import Sequence

from costlab.graph.network import Layer
from costlab.graph.values import Value

_MOVES = frozenset(("concat", "dropout", "flatten", "identity", "leaf", "movement", "select"))
"""Kinds of operations without arithmetic: what shares the memory of its operand is a view."""

_PICKS = frozenset(("gather", "index", "index_select", "masked_select", "take", "take_along_dim"))
"""Movements that read no more elements of their first operand than they give."""

_OVERWRITES = ("copy", "fill", "index_", "masked_", "put", "scatter", "zero")
"""How the names of movements begin that write to memory which is there."""


def read_bytes(layer: Layer, values: Sequence[Value]) -> int:
    """Those of all that a layer takes, each value once; of a table the rows that are looked up."""
    if _is_view(layer, values):
        return 0
    taken = dict.fromkeys(layer.all_operands)
    picked = 0
    label = layer.op.label(*layer.inputs)
    moves = layer.op.kind == "movement"
    if layer.op.kind == "embedding":
        taken = dict.fromkeys(layer.operands)
        picked = values[layer.results[0]].bytes
    elif layer.op.kind == "select" or (moves and label in _PICKS):
        taken.pop(layer.operands[0], None)
        picked = values[layer.results[0]].bytes
    elif moves and values[layer.results[0]].shares is not None:  # what is overwritten is not read
        taken.pop(layer.operands[0], None)
    return picked + sum([values[number].bytes for number in taken])


def written_bytes(layer: Layer, values: Sequence[Value]) -> int:
    """Those of what a layer gives, also in place; none of a view."""
    if _is_view(layer, values):
        return 0
    first, *more = (values[number] for number in layer.results)
    # Another result in the same memory is the tensor that the first one is a part of.
    return first.bytes + sum([value.bytes for value in more if value.shares is None])


def _is_view(layer: Layer, values: Sequence[Value]) -> bool:
    """Whether a layer moves nothing: all that it gives is memory that was there."""
    if layer.op.kind not in _MOVES:
        return False
    if layer.op.kind == "leaf":
        return True
    label = layer.op.label(*layer.inputs)
    shared = values[layer.results[0]].shares is not None
    return shared and not (layer.op.kind == "movement" and label.startswith(_OVERWRITES))
