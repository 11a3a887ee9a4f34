"""The backward passes of what samples images, as definitions that are executed."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from cases.sampling import grids_of, made_regions, whole_regions
from oracle import Array, Tally, grid, index, sampling
from oracle.backwards import Elements
from oracle.functions import total

from costlab.graph.op import Op
from costlab.ops.resample import Antialiased
from costlab.ops.sample import DeformConv, GridSample, RoiAlign, RoiPool

X, Y, MASK, BIAS = ("operand", 0), ("operand", 1), ("operand", 2), ("weight", 1)
Axes = list[list[tuple[int, float]]]


def given_back(t: Tally, dx: Array, weights: sampling.Weights, dy: float) -> None:
    """A gradient to the elements around a place; those outside have no place."""
    for spot, weight in weights:
        part = t.times(weight, dy) if len(weights) > 1 else dy
        t.plus(0.0, part)
        if all(0 <= s < n for s, n in zip(spot, dx.shape, strict=True)):
            dx[spot] += part


def put(taps: tuple[int, ...], axis: int, here: int) -> tuple[int, ...]:
    """A place among the others' axes, and here along that one."""
    return (*taps[:axis], here, *taps[axis:])


def linear_slope(t: Tally, x: Array, axis: int, low: int, others: sampling.Weights) -> float:
    """How a sample changes along an axis: differences of neighbours, weighted by the others."""
    parts = []
    for taps, weight in others:
        low_value, high = (sampling.element(x, put(taps, axis, here)) for here in (low, low + 1))
        parts.append(t.times(weight, t.plus(high, -low_value)))
    return total(t, parts)


def cubic_slopes(t: Tally, place: float, a: float = -0.75) -> list[float]:
    """Of the four weights along an axis: those of 1 - w have the other sign."""
    w = place - np.floor(place)
    near = [t.times(t.plus(t.times(3 * (a + 2), x), -2 * (a + 3)), x) for x in (w, 1 - w)]
    far = [t.plus(t.times(t.plus(t.times(3 * a, x), -10 * a), x), 8 * a) for x in (w + 1, 2 - w)]
    return [far[0], near[0], t.times(-1.0, near[1]), t.times(-1.0, far[1])]


def grid_sampled(
    t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any
) -> Any:
    x, places = inputs
    dx, moved = np.zeros(x.shape), np.zeros(places.shape)
    given = {name: own for name, own in ((X, dx), (Y, moved)) if name in wanted}
    if not given or (op.mode == "nearest" and X not in wanted):
        return given
    sizes = x.shape[2:]
    for n, *spot in grid(map(range, places.shape[:-1])):
        pixels = sampling.pixels(t, places[index(n, *spot)], sizes)
        axes = [sampling.along(t, place, op.mode) for place in pixels]
        own = [float(dy[index(n, c, *spot)]) for c in range(x.shape[1])]
        if X in wanted:
            weights = sampling.multiplied(t, axes)
            for c, gradient in enumerate(own):
                given_back(t, dx[n, c], weights, gradient)
        if Y not in wanted or op.mode == "nearest":
            continue
        for axis, size in enumerate(sizes):
            if op.mode == "bilinear":
                others = sampling.multiplied(t, axes[:axis] + axes[axis + 1 :])
                slopes = [linear_slope(t, own_x, axis, axes[axis][0][0], others) for own_x in x[n]]
            else:
                along = [
                    (tap, slope)
                    for (tap, _), slope in zip(
                        axes[axis], cubic_slopes(t, pixels[axis]), strict=True
                    )
                ]
                weights = sampling.multiplied(t, [*axes[:axis], along, *axes[axis + 1 :]])
                slopes = [sampling.sampled(t, own_x, weights) for own_x in x[n]]
            parts = [t.times(slope, gradient) for slope, gradient in zip(slopes, own, strict=True)]
            moved[index(n, *spot, len(sizes) - 1 - axis)] = t.times(total(t, parts), size / 2)
    return given


def antialiased(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    """The axis that was last forwards is first."""
    if X not in wanted:
        return {}
    for axis in (2, 3):
        weights = sampling.near_enough(inputs[0].shape[axis], op.size[axis - 2], op.mode)
        rows = np.moveaxis(dy, axis, -1)
        dx = np.zeros((*rows.shape[:-1], inputs[0].shape[axis]))
        for *here, i in grid(map(range, rows.shape)):
            for j, weight in weights[i]:
                share = t.times(weight, float(rows[index(*here, i)]))
                dx[index(*here, j)] = t.plus(float(dx[index(*here, j)]), share)
        dy = np.moveaxis(dx, -1, axis)
    return {X: dy}


def roi_aligned(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    if X not in wanted:
        return {}
    x, number = inputs[0], len(inputs[1])
    regions, grids, dx = made_regions(number), grids_of(op, number), np.zeros(inputs[0].shape)
    height, width = op.size
    for r, i, j in product(range(number), range(height), range(width)):
        image, (down, across) = int(regions[r, 0]), grids[r]
        left, top, right, bottom = (float(corner) for corner in regions[r, 1:])
        around = []
        for a, b in product(range(down), range(across)):
            p = t.plus(t.times(i + (a + 0.5) / down, (bottom - top) / height), top)
            q = t.plus(t.times(j + (b + 0.5) / across, (right - left) / width), left)
            around.append(sampling.around(t, [p, q], "bilinear"))
        for c in range(dy.shape[1]):
            share = t.over(float(dy[r, c, i, j]), len(around))
            chosen = (c * height + i) * width + j if op.positional else c
            for weights in around:
                given_back(t, dx[image, chosen], weights, share)
    assert x.shape == dx.shape
    return {X: dx}


def roi_pooled(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    if X not in wanted:
        return {}
    x, (rows, columns) = inputs[0], op.size
    regions, dx = whole_regions(len(inputs[1])), np.zeros(inputs[0].shape)
    for r, c, i, j in grid(map(range, dy.shape)):
        image, top, left, height, width = map(int, regions[r])
        chosen = (c * rows + i) * columns + j if op.positional else c
        down = range(top + i * height // rows, top - (-(i + 1) * height // rows))
        across = range(left + j * width // columns, left - (-(j + 1) * width // columns))
        spots = [index(image, chosen, a, b) for a, b in product(down, across)]
        share = float(dy[r, c, i, j])
        if op.positional:
            share = t.over(share, len(spots))
        else:
            spots = [max(spots, key=lambda spot: float(x[spot]))]
        t.scattered(dx, spots, [share] * len(spots))
    return {X: dx}


def deformed(
    t: Elements, op: Any, module: Any, inputs: Any, y: Array, dy: Array, wanted: Any
) -> Any:
    """Of the samples the gradient is of multiply-adds; they are kept."""
    x, offset, *masks = inputs
    weight = module.weight.detach().numpy()
    (out, inner, kh, kw), (batch, channels) = weight.shape, x.shape[:2]
    of_samples = np.zeros((batch, channels, kh, kw, *offset.shape[2:]))
    for o in range(out):
        first = o // (out // op.groups) * inner
        of_samples[:, first : first + inner] += np.einsum("nij,cab->ncabij", dy[:, o], weight[o])
    dx, moved = np.zeros(x.shape), np.zeros(offset.shape)
    of_mask = np.zeros(masks[0].shape if masks else ())
    given = {n: own for n, own in ((X, dx), (Y, moved), (MASK, of_mask)) if n in wanted}
    sizes = (batch, op.offset_groups, kh, kw, *offset.shape[2:])
    for n, g, a, b, i, j in product(*map(range, sizes)):
        tap = (g * kh + a) * kw + b
        group = range(g * channels // op.offset_groups, (g + 1) * channels // op.offset_groups)
        places = (i + a + offset[n, 2 * tap, i, j], j + b + offset[n, 2 * tap + 1, i, j])
        own = [float(of_samples[index(n, c, a, b, i, j)]) for c in group]
        if MASK in wanted:
            kept = [sampling.sampled(Tally(), x[n, c], _weights(places)) for c in group]
            parts = [t.times(value, part) for value, part in zip(kept, own, strict=True)]
            of_mask[n, tap, i, j] = total(t, parts)
        if not wanted & {X, Y}:
            continue
        if masks:
            own = [t.times(part, float(masks[0][n, tap, i, j])) for part in own]
        for axis, start in enumerate((i + a, j + b)):
            t.plus(start, float(offset[n, 2 * tap + axis, i, j]))
        axes = [sampling.along(t, float(place), "bilinear") for place in places]
        if X in wanted:
            weights = sampling.multiplied(t, axes)
            for c, gradient in zip(group, own, strict=True):
                given_back(t, dx[n, c], weights, gradient)
        for axis in range(2 if Y in wanted else 0):
            others: sampling.Weights = [((spot,), share) for spot, share in axes[1 - axis]]
            low = axes[axis][0][0]
            slopes = [linear_slope(t, x[n, c], axis, low, others) for c in group]
            parts = [t.times(slope, part) for slope, part in zip(slopes, own, strict=True)]
            moved[n, 2 * tap + axis, i, j] = total(t, parts)
    if op.bias and BIAS in wanted:
        given[BIAS] = t.total(dy, (0, 2, 3)).ravel()
    return given


def _weights(places: tuple[float, ...]) -> sampling.Weights:
    return sampling.around(Tally(), [float(place) for place in places], "bilinear")


SAMPLED: dict[type[Op], Any] = {
    GridSample: grid_sampled,
    Antialiased: antialiased,
    RoiAlign: roi_aligned,
    RoiPool: roi_pooled,
    DeformConv: deformed,
}
