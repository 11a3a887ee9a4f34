"""Which taps of windows are on an input, and which of its places they touch: along an axis.

In plain arithmetic on sizes, so that it serves ints, symbols and arrays, as rules do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from costlab.costs.rows import Row
from costlab.graph.arithmetic import least, most

_WINDOWED = ("conv", "conv_transpose", "max_pool", "avg_pool")


class Windows(NamedTuple):
    """The windows of a layer along an axis.

    ``pairs`` are those of a window and a tap that is on the input, ``places`` the elements of the
    input that some tap touches, ``used`` the taps that touch one. ``overlap`` is whether each
    window is sure to have a tap there: none is as a whole on padding.
    """

    places: int
    used: int
    pairs: int
    overlap: bool


def windows_of(row: Row) -> list[Windows] | None:
    """The windows of a convolution or a pool along each axis; of any other layer there are none.

    None where they cannot be said: where their sizes are no plain numbers. Of a transposed
    convolution the output is what its windows, one for each element of the input, lie on.
    """
    op, sizes, outputs = row.layer.op, row.inputs[0][2:] if row.inputs else (), row.output[2:]
    if op.kind not in _WINDOWED:
        return []
    if op.kind == "conv_transpose":
        sizes, outputs = outputs, sizes
    rank = len(sizes)
    taps, steps, added, apart = (
        _axes(setting, rank)
        for setting in (
            op.attribute("kernel_size"),
            op.attribute("stride"),
            op.attribute("padding") or 0,
            op.attribute("dilation") or 1,
        )
    )
    windows = []
    for size, number, taps_, step, pad, gap in zip(
        sizes, outputs, taps, steps, added, apart, strict=True
    ):
        before = {"same": (taps_ - 1) * gap // 2, "valid": 0}[pad] if isinstance(pad, str) else pad
        if not all(type(setting) is int for setting in (taps_, step, before, gap)):
            return None
        windows.append(along(size, number, taps_, step, before, gap))
    return windows


def along(size: int, number: int, taps: int, step: int, before: int, apart: int) -> Windows:
    """So many windows along an axis of that size, the first of which begins ``before`` it.

    Tap t of window w is at place ``w·step - before + t·apart``. Taps whose places have the same
    remainder by the step go over the same places, each from another window on: those are runs of
    places, whose union is added up from left to right.
    """
    dense = apart == 1 and step <= taps and 0 <= before < taps  # from the first place, no gaps
    by_remainder: dict[int, list[int]] = {}
    for tap in range(taps):
        place = tap * apart - before
        by_remainder.setdefault(place % step, []).append(place // step)
    pairs = places = used = 0
    for remainder, firsts in by_remainder.items():
        end_of_all, end = (size - remainder + step - 1) // step, 0
        for first in firsts:
            begin, stop = max(first, 0), least(end_of_all, first + number)
            inside = most(stop - begin, 0)
            pairs += inside
            used += least(inside, 1)
            if not dense:
                places += most(stop - most(begin, end), 0)
                end = most(end, stop)
    if dense:
        places = least(size, (number - 1) * step + taps - before)
    return Windows(places, used, pairs, apart == 1 and before < taps)


def _axes(value: Any, rank: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * rank
