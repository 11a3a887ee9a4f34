"""Definitions of the operations that networks of the catalog consist of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np

from oracle.tally import Array, Axes, Tally, grid, index


def at(x: Array, batch: int, channel: int, where: Iterable[int], outside: float = 0.0) -> float:
    """An element, or what stands outside of the input."""
    spot = tuple(where)
    inside = all(0 <= i < size for i, size in zip(spot, x.shape[2:], strict=True))
    return float(x[index(batch, channel, *spot)]) if inside else outside


def starts(size: int, before: int, after: int, reach: int, stride: int) -> list[int]:
    """Where windows start that lie within the padded input."""
    found = []
    start = -before
    while start + reach <= size + after:
        found.append(start)
        start += stride
    return found


def ceil_starts(size: int, padding: int, reach: int, stride: int) -> list[int]:
    """Also the one window more that ``ceil_mode`` adds, if it starts in the input or before it."""
    found = starts(size, padding, padding, reach, stride)
    following = found[-1] + stride if found else -padding
    uncovered = (found[-1] + reach if found else -padding) < size + padding
    if uncovered and following < size:
        found.append(following)
    return found


def conv(
    tally: Tally,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Axes,
    padding: Axes | str,
    dilation: Axes,
    groups: int,
) -> Array:
    out_channels, per_group = weight.shape[:2]
    kernel = weight.shape[2:]
    places = []
    for axis, size in enumerate(x.shape[2:]):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        if padding == "same":
            before, after = (reach - 1) // 2, reach - 1 - (reach - 1) // 2
        else:
            before = after = 0 if padding == "valid" else int(padding[axis])
        places.append(starts(size, before, after, reach, stride[axis]))
    out = np.zeros((x.shape[0], out_channels, *map(len, places)))
    for n, channel in grid([range(x.shape[0]), range(out_channels)]):
        first = channel // (out_channels // groups) * per_group
        for spot in grid(map(range, out.shape[2:])):
            total = 0.0
            for c, tap in product(range(per_group), grid(map(range, kernel))):
                where = [places[i][spot[i]] + tap[i] * dilation[i] for i in range(len(kernel))]
                value = at(x, n, first + c, where)
                total = tally.mac(total, value, float(weight[index(channel, c, *tap)]))
            if bias is not None:
                total = tally.plus(total, float(bias[channel]))
            out[index(n, channel, *spot)] = total
    return out


def conv_transpose(
    tally: Tally,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Axes,
    padding: Axes,
    output_padding: Axes,
    dilation: Axes,
    groups: int,
) -> Array:
    """Each input element spreads over a window; what falls on the padding is cropped."""
    in_channels, per_group = weight.shape[:2]
    kernel = weight.shape[2:]
    rank = range(len(kernel))
    whole = [
        max(
            i * stride[a] + k * dilation[a] for i in range(x.shape[a + 2]) for k in range(kernel[a])
        )
        + 1
        for a in rank
    ]
    size = [whole[a] - 2 * padding[a] + output_padding[a] for a in rank]
    out = np.zeros((x.shape[0], per_group * groups, *size))
    for n, c in grid([range(x.shape[0]), range(in_channels)]):
        first = c // (in_channels // groups) * per_group
        for spot in grid(map(range, x.shape[2:])):
            for o, tap in product(range(per_group), grid(map(range, kernel))):
                where = [spot[a] * stride[a] + tap[a] * dilation[a] - padding[a] for a in rank]
                kept = all(0 <= where[a] < size[a] for a in rank)
                here = (n, first + o, *where)
                total = tally.mac(
                    float(out[here]) if kept else 0.0,
                    float(x[index(n, c, *spot)]),
                    float(weight[index(c, o, *tap)]),
                )
                if kept:
                    out[here] = total
    if bias is not None:
        for here in grid(map(range, out.shape)):
            out[here] = tally.plus(float(out[here]), float(bias[here[1]]))
    return out


def linear(tally: Tally, x: Array, weight: Array, bias: Array | None) -> Array:
    out = np.zeros((*x.shape[:-1], weight.shape[0]))
    for here in grid(map(range, out.shape)):
        total = 0.0
        for i in range(x.shape[-1]):
            total = tally.mac(total, float(x[index(*here[:-1], i)]), float(weight[here[-1], i]))
        out[here] = total if bias is None else tally.plus(total, float(bias[here[-1]]))
    return out


def radial_basis(tally: Tally, x: Array, centres: Array) -> Array:
    out = np.zeros((*x.shape[:-1], len(centres)))
    for here in grid(map(range, out.shape)):
        *row, centre = here
        squares = []
        for i, value in enumerate(x[tuple(row)]):
            difference = tally.plus(float(value), -float(centres[centre, i]))
            squares.append(tally.times(difference, difference))
        total = squares[0]
        for square in squares[1:]:
            total = tally.plus(total, square)
        out[here] = total
    return out


def matmul(tally: Tally, a: Array, b: Array) -> Array:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    left = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    right = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    out = np.zeros((*batch, a.shape[-2], b.shape[-1]))
    for here in grid(map(range, out.shape)):
        *stack, row, column = here
        total = 0.0
        for i in range(a.shape[-1]):
            total = tally.mac(
                total, float(left[index(*stack, row, i)]), float(right[index(*stack, i, column)])
            )
        out[here] = total
    return out


def batch_norm(tally: Tally, x: Array, scale: Array, shift: Array) -> Array:
    """The statistics are folded into one scale and one shift per channel beforehand."""
    out = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        scaled = tally.times(float(x[here]), float(scale[here[1]]))
        out[here] = tally.plus(scaled, float(shift[here[1]]))
    return out


def lrn(tally: Tally, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Every element squares itself once; windows that overhang the channels add zeros."""
    squares = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        squares[here] = tally.times(float(x[here]), float(x[here]))
    out = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        n, channel, *place = here
        window = [
            at(squares, n, channel - size // 2 + i, place, 0.0)
            if 0 <= channel - size // 2 + i < x.shape[1]
            else 0.0
            for i in range(size)
        ]
        total = window[0]
        for square in window[1:]:
            total = tally.plus(total, square)
        base = tally.plus(k, tally.times(alpha / size, total))
        power = tally.function(lambda value: value**beta, base)
        out[here] = tally.over(float(x[here]), power)
    return out


def each(operation: Callable[[float], float], x: Array) -> Array:
    """A function of one number, on every element."""
    out = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        out[here] = operation(float(x[here]))
    return out


def relu(tally: Tally, x: Array) -> Array:
    out = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        out[here] = tally.larger(float(x[here]), 0.0)
    return out


def softmax(tally: Tally, x: Array, dim: int) -> Array:
    out = np.zeros(x.shape)
    rows = np.moveaxis(x, dim, -1)
    results = np.moveaxis(out, dim, -1)
    for here in grid(map(range, rows.shape[:-1])):
        row = [float(value) for value in rows[here]]
        largest = row[0]
        for value in row[1:]:
            largest = tally.larger(largest, value)
        exponentials = [tally.function(np.exp, tally.plus(value, -largest)) for value in row]
        total = exponentials[0]
        for value in exponentials[1:]:
            total = tally.plus(total, value)
        for i, value in enumerate(exponentials):
            results[index(*here, i)] = tally.over(value, total)
    return out


def pool(
    tally: Tally,
    x: Array,
    kernel: Axes,
    stride: Axes,
    padding: Axes,
    dilation: Axes,
    ceil_mode: bool,
    window: Callable[[list[float], int, int], float],
    outside: float,
) -> Array:
    """``window`` takes a window's values, and how many lie in the input and in the padded input."""
    rank = range(len(kernel))
    places = []
    for axis, size in enumerate(x.shape[2:]):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        if ceil_mode:
            places.append(ceil_starts(size, padding[axis], reach, stride[axis]))
        else:
            places.append(starts(size, padding[axis], padding[axis], reach, stride[axis]))
    out = np.zeros((*x.shape[:2], *map(len, places)))
    for n, channel in grid(map(range, x.shape[:2])):
        for spot in grid(map(range, out.shape[2:])):
            values, inside, padded = [], 0, 0
            for tap in grid(map(range, kernel)):
                where = [places[a][spot[a]] + tap[a] * dilation[a] for a in rank]
                values.append(at(x, n, channel, where, outside))
                inside += all(0 <= where[a] < x.shape[a + 2] for a in rank)
                padded += all(-padding[a] <= where[a] < x.shape[a + 2] + padding[a] for a in rank)
            out[index(n, channel, *spot)] = window(values, inside, padded)
    return out


def max_pool(
    tally: Tally, x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, ceil: bool
) -> Array:
    def largest(values: list[float], inside: int, padded: int) -> float:
        result = values[0]
        for value in values[1:]:
            result = tally.larger(result, value)
        return result

    return pool(tally, x, kernel, stride, padding, dilation, ceil, largest, -np.inf)


def avg_pool(
    tally: Tally,
    x: Array,
    kernel: Axes,
    stride: Axes,
    padding: Axes,
    ceil: bool,
    with_pad: bool,
    divisor: int | None,
) -> Array:
    """A sum that would be divided by 1 is not divided."""

    def mean(values: list[float], inside: int, padded: int) -> float:
        result = values[0]
        for value in values[1:]:
            result = tally.plus(result, value)
        if divisor == 1:
            return result
        return tally.over(result, divisor or (padded if with_pad else inside))

    return pool(tally, x, kernel, stride, padding, (1,) * len(kernel), ceil, mean, 0.0)


def adaptive(x: Array, output: Axes, window: Callable[[list[float]], float]) -> Array:
    out = np.zeros((*x.shape[:2], *output))
    for here in grid(map(range, out.shape)):
        windows = []
        for i, size, parts in zip(here[2:], x.shape[2:], output, strict=True):
            first = int(np.floor(i * size / parts))
            last = int(np.ceil((i + 1) * size / parts))
            windows.append(range(first, last))
        out[here] = window([at(x, here[0], here[1], place) for place in grid(windows)])
    return out


def adaptive_avg_pool(tally: Tally, x: Array, output: Axes) -> Array:
    def mean(values: list[float]) -> float:
        total = values[0]
        for value in values[1:]:
            total = tally.plus(total, value)
        return tally.over(total, len(values))

    return adaptive(x, output, mean)


def adaptive_max_pool(tally: Tally, x: Array, output: Axes) -> Array:
    def largest(values: list[float]) -> float:
        result = values[0]
        for value in values[1:]:
            result = tally.larger(result, value)
        return result

    return adaptive(x, output, largest)


def elementwise(operation: Callable[[float, float], float], inputs: list[Array]) -> Array:
    """One input after the other, broadcast, from the left."""
    result = inputs[0]
    for more in inputs[1:]:
        a, b = np.broadcast_arrays(result, more)
        result = np.zeros(a.shape)
        for here in grid(map(range, a.shape)):
            result[here] = operation(float(a[here]), float(b[here]))
    return result
