"""Values between the elements of a grid, and what is made of such."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from oracle.functions import total
from oracle.tally import Array, Tally, grid, index

Weights = list[tuple[tuple[int, ...], float]]


def along(t: Tally, place: float, mode: str) -> list[tuple[int, float]]:
    """The elements along an axis that a place is made of, and their weights."""
    if mode == "nearest":
        return [(round(place), 1.0)]
    low = math.floor(place)
    w = t.plus(place, -low)
    if mode == "bilinear":
        return [(low, t.plus(1.0, -w)), (low + 1, w)]
    rest = t.plus(1.0, -w)
    weights = [_far(t, t.plus(w, 1)), _near(t, w), _near(t, rest), _far(t, t.plus(rest, 1))]
    return [(low + step, weight) for step, weight in zip((-1, 0, 1, 2), weights, strict=True)]


def _near(t: Tally, x: float, a: float = -0.75) -> float:
    inner = t.plus(t.times(a + 2, x), -(a + 3))
    return t.plus(t.times(t.times(inner, x), x), 1)


def _far(t: Tally, x: float, a: float = -0.75) -> float:
    inner = t.plus(t.times(a, x), -5 * a)
    inner = t.plus(t.times(inner, x), 8 * a)
    return t.plus(t.times(inner, x), -4 * a)


def around(t: Tally, places: list[float], mode: str) -> Weights:
    """The elements around a place, each with the product of its weights along the axes."""
    return multiplied(t, [along(t, place, mode) for place in places])


def multiplied(t: Tally, axes: list[list[tuple[int, float]]]) -> Weights:
    """The elements of all axes together, each with the product of its weights.

    Of the nearest element there is none.
    """
    result: Weights = []
    for taps in product(*axes):
        weight = taps[0][1]
        for _, other in taps[1:]:
            weight = t.times(weight, other) if len(axes[0]) > 1 else weight
        result.append((tuple(spot for spot, _ in taps), weight))
    return result


def sampled(t: Tally, x: Array, weights: Weights) -> float:
    """Their weighted sum; elements outside are 0. A single one is copied."""
    values = [element(x, spot) for spot, _ in weights]
    if len(values) == 1:
        return values[0]
    products = [t.times(w, v) for (_, w), v in zip(weights, values, strict=True)]
    return total(t, products)


def element(x: Array, spot: tuple[int, ...]) -> float:
    return float(x[spot]) if all(0 <= s < n for s, n in zip(spot, x.shape, strict=True)) else 0.0


def pixels(t: Tally, where: Array, sizes: tuple[int, ...]) -> list[float]:
    """A place that is from -1 to 1; its first number is of the last axis."""
    return [
        t.plus(t.times(float(p), size / 2), (size - 1) / 2)
        for p, size in zip(where[::-1], sizes, strict=True)
    ]


def grid_sampled(t: Tally, x: Array, places: Array, mode: str) -> Array:
    result = np.zeros((*x.shape[:2], *places.shape[1:-1]))
    for n, *spot in grid(map(range, places.shape[:-1])):
        weights = around(t, pixels(t, places[index(n, *spot)], x.shape[2:]), mode)
        for channel in range(x.shape[1]):
            result[index(n, channel, *spot)] = sampled(t, x[n, channel], weights)
    return result


def roi_aligned(
    t: Tally,
    x: Array,
    regions: Array,
    size: tuple[int, int],
    grids: list[tuple[int, int]],
    positional: bool,
) -> Array:
    """Regions are the image's number and two corners, in pixels; each has a grid of samples."""
    channels = x.shape[1] // (size[0] * size[1]) if positional else x.shape[1]
    result = np.zeros((len(regions), channels, *size))
    for r, i, j in product(range(len(regions)), range(size[0]), range(size[1])):
        image = int(regions[r, 0])
        left, top, right, bottom = (float(c) for c in regions[r, 1:])
        around_samples = []
        down, across = grids[r]
        for a, b in product(range(down), range(across)):
            y = t.plus(t.times(i + (a + 0.5) / down, (bottom - top) / size[0]), top)
            z = t.plus(t.times(j + (b + 0.5) / across, (right - left) / size[1]), left)
            around_samples.append(around(t, [y, z], "bilinear"))
        for c in range(channels):
            chosen = (c * size[0] + i) * size[1] + j if positional else c
            values = [sampled(t, x[image, chosen], weights) for weights in around_samples]
            result[index(r, c, i, j)] = t.over(total(t, values), len(values))
    return result


def roi_pooled(
    t: Tally, x: Array, regions: Array, size: tuple[int, int], positional: bool
) -> Array:
    """Regions are the image's number, a corner, a height and a width, of whole elements."""
    channels = x.shape[1] // (size[0] * size[1]) if positional else x.shape[1]
    result = np.zeros((len(regions), channels, *size))
    for r, c, i, j in grid(map(range, result.shape)):
        image, top, left, height, width = map(int, regions[r])
        rows = range(math.floor(i * height / size[0]), math.ceil((i + 1) * height / size[0]))
        columns = range(math.floor(j * width / size[1]), math.ceil((j + 1) * width / size[1]))
        chosen = (c * size[0] + i) * size[1] + j if positional else c
        values = [float(x[image, chosen, top + a, left + b]) for a, b in product(rows, columns)]
        if positional:
            result[r, c, i, j] = t.over(total(t, values), len(values))
            continue
        result[r, c, i, j] = values[0]
        for value in values[1:]:
            result[r, c, i, j] = t.larger(result[r, c, i, j], value)
    return result


def deformed(
    t: Tally,
    x: Array,
    weight: Array,
    bias: Array | None,
    offset: Array,
    mask: Array | None,
    groups: int,
    offset_groups: int,
) -> Array:
    """Stride 1, no padding."""
    (out, inner, kh, kw), (batch, channels) = weight.shape, x.shape[:2]
    moved = np.zeros((batch, channels, kh, kw, *offset.shape[2:]))
    for n, g, a, b, i, j in product(*map(range, (batch, offset_groups, kh, kw, *offset.shape[2:]))):
        tap = (g * kh + a) * kw + b
        y = t.plus(i + a, float(offset[n, 2 * tap, i, j]))
        z = t.plus(j + b, float(offset[n, 2 * tap + 1, i, j]))
        weights = around(t, [y, z], "bilinear")
        for c in range(g * channels // offset_groups, (g + 1) * channels // offset_groups):
            value = sampled(t, x[n, c], weights)
            if mask is not None:
                value = t.times(value, float(mask[n, tap, i, j]))
            moved[index(n, c, a, b, i, j)] = value
    result = np.zeros((batch, out, *offset.shape[2:]))
    for n, o, i, j in grid(map(range, result.shape)):
        value = 0.0
        first = o // (out // groups) * inner
        for c, a, b in product(range(inner), range(kh), range(kw)):
            tap_value = float(moved[index(n, first + c, a, b, i, j)])
            value = t.mac(value, tap_value, float(weight[index(o, c, a, b)]))
        result[index(n, o, i, j)] = value if bias is None else t.plus(value, float(bias[o]))
    return result


def antialiased(t: Tally, x: Array, size: tuple[int, int], mode: str) -> Array:
    """One axis after the other: a weighted sum of what is near enough to an output."""
    for axis in (3, 2):
        rows = np.moveaxis(x, axis, -1)
        result = np.zeros((*rows.shape[:-1], size[axis - 2]))
        weights = near_enough(x.shape[axis], size[axis - 2], mode)
        for *here, i in grid(map(range, result.shape)):
            values = [t.times(w, float(rows[index(*here, j)])) for j, w in weights[i]]
            result[index(*here, i)] = total(t, values)
        x = np.moveaxis(result, -1, axis)
    return x


def near_enough(size: int, out: int, mode: str) -> list[list[tuple[int, float]]]:
    scale = size / out
    wide = max(scale, 1.0)
    reach = 2 * wide if mode == "bicubic" else wide
    found = []
    for i in range(out):
        centre = (i + 0.5) * scale
        spots = range(math.floor(centre - reach + 0.5), math.floor(centre + reach + 0.5))
        spots_inside = [j for j in spots if 0 <= j < size]
        shares = [_share(abs((j + 0.5 - centre) / wide), mode) for j in spots_inside]
        found.append([(j, s / sum(shares)) for j, s in zip(spots_inside, shares, strict=True)])
    return found


def _share(d: float, mode: str) -> float:
    if mode == "bilinear":
        return max(1 - d, 0.0)
    a = -0.5
    if d < 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0
