"""The bytes that a layer has to read and to write: at least, and each piece of memory once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

from costlab.costs.rows import Row
from costlab.graph.values import DType, Value, owner_of

Reads = dict[int, int]
"""Bytes that are read of each piece of memory, by the number of the value that owns it."""

_SAMPLES = {
    *("custom", "deform_conv2d", "fold", "grid_sample", "histogram", "interpolate", "nms"),
    *("antialiased_interpolate", "recorded", "roi_align", "roi_pool", "scatter", "sparse_matmul"),
    "uncounted",
}
"""Operations that may leave out some of what they take; that they read is not in a bound."""


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


def traffic(row: Row, values: Sequence[Value], size_of: Callable[[DType], int]) -> Traffic:
    """The bytes of a layer; ``size_of`` says how large an element of a type is.

    A view moves nothing; a layer that only moves elements reads no more than it writes; windows
    that are narrower than their stride leave out some of the input, and some taps are only on
    padding.
    """
    layer = row.layer
    computes = bool(row.flops or row.uncounted)
    written = sum(
        values[number].elements * size_of(values[number].dtype)
        for number in layer.results
        if values[number].shares is None or computes
    )
    if layer.op.passes or layer.op.kind == "leaf" or not written:
        return Traffic({}, 0)
    if layer.op.kind in _SAMPLES:
        return Traffic({}, written)
    windows = _windows(row)
    of_input = prod(Fraction(len({place for _, place in w.inside}), w.size) for w in windows)
    of_weights = prod(Fraction(len({tap for tap, _ in w.inside}), w.taps) for w in windows)
    reads: Reads = {}
    for number in dict.fromkeys(layer.all_operands):
        value, owner = values[number], owner_of(values, number)
        taken = value.elements * size_of(value.dtype)
        if number in layer.operands:
            taken = int(taken * of_input)
        elif len(value.shape) > 1:
            taken = int(taken * of_weights)
        own = values[owner].elements * size_of(values[owner].dtype)
        reads[owner] = min(reads.get(owner, 0) + taken, own)
    if not layer.op.activations(1):
        reads = _at_most(reads, written)
    return Traffic(reads, written)


def needed_macs(row: Row) -> Fraction:
    """The multiply-adds of a layer without those of taps on padding, which may be left out."""
    needed = Fraction(row.macs)
    if row.layer.op.kind == "conv":
        for axis in _windows(row):
            needed *= Fraction(len(axis.inside), axis.all)
    return needed


class _Windows(NamedTuple):
    """The windows of a layer along an axis: all of their taps, and those that are on the input.

    ``inside`` has the tap and its place in an input of that ``size``; there are ``all`` together.
    """

    size: int
    taps: int
    all: int
    inside: list[tuple[int, int]]


def _windows(row: Row) -> list[_Windows]:
    """The windows of a convolution or a pool along each axis."""
    op, sizes, outputs = row.layer.op, row.inputs[0][2:], row.output[2:]
    settings = [op.attribute(name) for name in ("kernel_size", "stride", "padding", "dilation")]
    if op.kind not in ("conv", "max_pool", "avg_pool") or None in settings[:2]:
        return []
    each = [_axes(setting, len(sizes)) for setting in (*settings[:2], settings[2] or 0)]
    found = []
    for size, windows, taps, step, added, apart in zip(
        sizes, outputs, *each, _axes(settings[3] or 1, len(sizes)), strict=False
    ):
        before = {"same": (taps - 1) * apart // 2, "valid": 0}.get(added, added)
        inside = [
            (tap, place)
            for first in range(-before, windows * step - before, step)
            for tap in range(taps)
            if 0 <= (place := first + tap * apart) < size
        ]
        found.append(_Windows(size, taps, windows * taps, inside))
    return found


def _axes(value: Any, rank: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * rank


def _at_most(reads: Reads, limit: int) -> Reads:
    """The same, but together no more than a limit."""
    kept: Reads = {}
    for owner, taken in reads.items():
        kept[owner] = min(taken, limit)
        limit -= kept[owner]
    return kept
