"""What no way of computing a layer can leave out: bytes, each piece of memory once, and MACs.

Both are at most what ``costlab.costs`` counts by its conventions (``read_bytes``,
``written_bytes``, ``macs``). They are less where a convention counts what may be left out: elements
of an input that no window touches, taps on padding, what a lookup or a mask does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from costlab.costs.rows import Row
from costlab.costs.traffic import SizeOf, is_view, taken, written_bytes
from costlab.graph.arithmetic import least, most
from costlab.graph.network import Layer
from costlab.graph.values import Value, owner_of
from costlab.roofline.windows import Windows, windows_of

Reads = dict[int, int]
"""Bytes that are read of each piece of memory, by the number of the value that owns it."""

_SAMPLES = {
    *("custom", "deform_conv2d", "embedding", "fold", "fractional_max_pool", "grid_sample"),
    *("antialiased_interpolate", "histogram", "interpolate", "nms", "recorded", "roi_align"),
    *("roi_pool", "scatter", "select", "sparse_matmul", "uncounted"),
}
"""Operations that may leave out some of what they take; that they read is not in a bound."""

_COPIES = {"cat", "clone", "contiguous", "copy", "flip", "permute", "reshape", "roll", "stack"}
_COPIES |= {"split", "to", "transpose"}
"""Movements that read all that they take, as far as they write as much."""

_PART = ("index_", "masked_", "put", "scatter")
"""How the names of movements begin that may write only a part of what they give in place."""


class Traffic(NamedTuple):
    """What a layer reads, of which memory, and how many bytes it writes."""

    reads: Reads
    written: int

    @property
    def read(self) -> int:
        """All that it reads."""
        return sum(self.reads.values())

    @property
    def bytes(self) -> int:
        """What it reads and writes."""
        return self.read + self.written


def traffic(row: Row, values: Sequence[Value], size_of: SizeOf) -> Traffic:
    """The least bytes of a layer; ``size_of`` says how large an element of a type is.

    Of several views of the same memory the largest is in it: they may overlap.
    """
    layer, kind = row.layer, row.layer.op.kind
    label, in_place = row.label, values[layer.results[0]].shares is not None
    if moves_nothing(layer, values):
        return Traffic({}, 0)
    written = written_bytes(layer, values, size_of)
    if in_place and (kind in _SAMPLES or (kind == "movement" and label.startswith(_PART))):
        return Traffic({}, 0)
    windows = windows_of(row)
    if kind in _SAMPLES or (kind == "movement" and label not in _COPIES) or windows is None:
        return Traffic({}, written)
    reads: Reads = {}
    for number in taken(layer, values).whole:
        value, owner = values[number], owner_of(values, number)
        elements = value.elements
        if windows and number == layer.operands[0]:
            elements = _touched(row, windows)
        elif windows and len(value.shape) > 1:
            elements = prod(value.shape[:2]) * prod(axis.used for axis in windows)
        size = elements * size_of(value.dtype)
        if number != owner:  # an expanded view has more elements than there are
            size = least(size, values[owner].elements * size_of(values[owner].dtype))
        reads[owner] = most(reads[owner], size) if owner in reads else size
    if kind in ("concat", "movement"):
        reads = _at_most(reads, written)
    return Traffic(reads, written)


def moves_nothing(layer: Layer, values: Sequence[Value]) -> bool:
    """Whether a layer gives memory that was there, or what it takes as it is."""
    return is_view(layer, values) or layer.op.passes


def _touched(row: Row, windows: Sequence[Windows]) -> int:
    """How many elements of an input are read, in windows."""
    if row.layer.op.kind == "conv_transpose":  # a window for each element of its input
        return prod(row.inputs[0]) if all(axis.overlap for axis in windows) else 0
    return prod(row.inputs[0][:2]) * prod(axis.places for axis in windows)


def needed_macs(row: Row) -> int:
    """The multiply-adds of a layer that no way of computing it by its definition leaves out.

    Without those of taps on padding or of products that are cropped, those that a mask may hide,
    and those of samples that may be outside of an image.
    """
    op = row.layer.op
    if op.kind == "deform_conv2d" or (op.kind == "attention" and op.attribute("masked")):
        return 0
    windows = windows_of(row)
    if windows is None:
        return 0
    if not windows or not row.contraction:
        return row.macs
    batch, channels = row.inputs[0][:2]
    groups = op.attribute("groups") or 1
    return batch * (channels * row.output[1] // groups) * prod(axis.pairs for axis in windows)


def _at_most(reads: Reads, limit: int) -> Reads:
    """The same, but together no more than a limit."""
    kept: Reads = {}
    for owner, size in reads.items():
        kept[owner] = least(size, limit)
        limit = limit - kept[owner]
    return kept
