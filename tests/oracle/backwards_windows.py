"""Backward passes of pooling by definition, window by window; see `backwards`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oracle.backwards import Elements
from oracle.layers import ceil_starts, starts
from oracle.tally import Array, Axes, grid, index


def windows(x: Array, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes, ceil: bool) -> Any:
    """Of each place of a result its window: the places of all its taps, also outside of x."""
    rank = range(len(kernel))
    places = []
    for axis, size in enumerate(x.shape[2:]):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        if ceil:
            places.append(ceil_starts(size, padding[axis], reach, stride[axis]))
        else:
            places.append(starts(size, padding[axis], padding[axis], reach, stride[axis]))
    for spot in grid([range(len(each)) for each in places]):
        yield (
            spot,
            [
                tuple(places[a][spot[a]] + tap[a] * dilation[a] for a in rank)
                for tap in grid(map(range, kernel))
            ],
        )


def adaptive_windows(x: Array, output: Axes) -> Any:
    for spot in grid(map(range, output)):
        yield (
            spot,
            list(
                grid(
                    range(i * size // parts, -(-(i + 1) * size // parts))
                    for i, size, parts in zip(spot, x.shape[2:], output, strict=True)
                )
            ),
        )


def max_pool(t: Elements, x: Array, dy: Array, taken: Any) -> Array:
    dx = np.zeros(x.shape)
    for n, channel in grid(map(range, x.shape[:2])):
        image = x[n, channel]
        for spot, taps in taken:
            inside = [tap for tap in taps if _inside(tap, image.shape)]
            largest = max(inside, key=lambda tap: float(image[tap]))
            t.scattered(dx[n, channel], [largest], [float(dy[index(n, channel, *spot)])])
    return dx


def avg_pool(t: Elements, x: Array, dy: Array, taken: Any, divisor: Callable[..., int]) -> Array:
    """A sum that would be divided by 1 is not divided; what falls outside is added there."""
    dx = np.zeros(x.shape)
    for n, channel in grid(map(range, x.shape[:2])):
        for spot, taps in taken:
            share = float(dy[index(n, channel, *spot)])
            by = divisor(taps)
            share = share if by == 0 else t.over(share, by)
            for tap in taps:
                t.add += 1
                if _inside(tap, x.shape[2:]):
                    dx[index(n, channel, *tap)] += share
    return dx


def _inside(tap: Axes, shape: Axes) -> bool:
    return all(0 <= i < size for i, size in zip(tap, shape, strict=True))
