"""What puts elements in order, finds and counts them, measures distances, transforms and solves."""

from __future__ import annotations

import math
from cmath import exp, pi
from itertools import pairwise, product
from typing import Any

import numpy as np

from oracle.functions import total
from oracle.tally import Array, Tally, grid, index


def placed(t: Tally, values: list[float], number: int, largest: bool) -> list[float]:
    """The ``number`` first ones in order: each is put among those before it, by halving.

    The search goes on for as many steps as it may take, whatever the values are.
    """
    kept: list[float] = []
    for value in values:
        steps = next(s for s in range(len(kept) + 1) if 2**s >= len(kept) + 1)
        low, high = 0, len(kept)
        for _ in range(steps):
            middle = min((low + high) // 2, len(kept) - 1)
            t.larger(value, kept[middle])
            if low < high:
                before = value > kept[middle] if largest else value < kept[middle]
                low, high = (low, middle) if before else (middle + 1, high)
        kept.insert(low, value)
        del kept[number:]
    return kept


def in_order(
    t: Tally, x: Array, dim: int, number: int | None, last: bool, keepdim: bool, largest: bool
) -> Array:
    rows = np.moveaxis(x, dim, -1)
    number = rows.shape[-1] if number is None else number
    result = np.zeros((*rows.shape[:-1], 1 if last else number))
    for here in grid(map(range, rows.shape[:-1])):
        kept = placed(t, [float(value) for value in rows[here]], number, largest)
        result[here] = kept[-1:] if last else kept
    result = np.moveaxis(result, -1, dim)
    return result.squeeze(dim) if last and not keepdim else result


def is_in(t: Tally, x: Array, known: Array) -> Array:
    result = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        for value in known.flatten():
            t.larger(float(x[here]), float(value))
            result[here] = max(result[here], float(x[here] == value))
    return result


def searched(t: Tally, x: Array, rows: Array) -> Array:
    """The search goes on for as many steps as it may take, whatever the values are."""
    result = np.zeros(x.shape)
    for here in grid(map(range, x.shape)):
        row = sorted(rows if rows.ndim == 1 else rows[here[:-1]])
        low, high, places = 0, len(row), len(row) + 1
        while places > 1:
            middle = min((low + high) // 2, len(row) - 1)
            t.larger(float(x[here]), float(row[middle]))
            if low < high:
                low, high = (low, middle) if row[middle] >= x[here] else (middle + 1, high)
            places = (places + 1) // 2
        result[here] = low
    return result


def distinct(t: Tally, x: Array, in_order: bool) -> Array:
    values = [float(value) for value in x.flatten()]
    if in_order:
        values = placed(t, values, len(values), False)
    kept = values[:1]
    for before, value in pairwise(values):
        t.larger(value, before)
        kept += [value] if value != before else []
    return np.array(kept)


def histogram(t: Tally, x: Array, bins: int, span: tuple[float, float] | None) -> Array:
    values = [float(value) for value in x.flatten()]
    low, high = span or (values[0], values[0])
    if span is None:
        for value in values[1:]:
            low, high = -t.larger(-low, -value), t.larger(high, value)
        low, high = (low, high) if low < high else (low - 1, high + 1)
    counts = [0.0] * bins
    for value in x.flatten():
        t.larger(value, low)
        t.larger(value, high)
        place = int(t.times(t.plus(float(value), -low), bins / (high - low)))
        if low <= value <= high:
            place = min(place, bins - 1)
            counts[place] = t.plus(counts[place], 1.0)
        else:
            t.plus(0.0, 0.0)
    return np.array(counts)


def suppressed(t: Tally, boxes: Array, scores: Array, threshold: float) -> Array:
    """The numbers of the boxes that are left, the best first. All pairs are compared."""
    order = np.argsort(-scores, kind="stable")
    placed(t, [float(score) for score in scores], len(scores), True)
    areas = [t.times(t.plus(c, -a), t.plus(d, -b)) for a, b, c, d in boxes[order].tolist()]
    left = [True] * len(boxes)
    for i, one in enumerate(boxes[order].tolist()):
        for j in range(i + 1, len(boxes)):
            other = boxes[order][j].tolist()
            low = [t.larger(one[a], other[a]) for a in (0, 1)]
            high = [-t.larger(-one[a], -other[a]) for a in (2, 3)]
            sides = [
                t.larger(0.0, t.plus(top, -bottom)) for top, bottom in zip(high, low, strict=True)
            ]
            both = t.times(*sides)
            share = t.over(both, t.plus(t.plus(areas[i], areas[j]), -both))
            if t.larger(share, threshold) > threshold and left[i]:
                left[j] = False
    return order[left].astype(float)


def counted(t: Tally, x: Array) -> Array:
    """How often each whole number is there."""
    counts = [0.0] * (int(x.max()) + 1)
    for value in x.flatten().astype(int):
        counts[value] = t.plus(counts[value], 1.0)
    return np.array(counts)


def distances(t: Tally, a: Array, b: Array, order: float) -> Array:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    result = np.zeros((*batch, a.shape[-2], b.shape[-2]))
    for here in grid(map(range, result.shape)):
        *outer, i, j = here
        pairs = zip(a[index(*outer, i)], b[index(*outer, j)], strict=True)
        result[here] = _distance(t, [(float(p), float(q)) for p, q in pairs], order)
    return result


def _distance(t: Tally, pairs: list[tuple[float, float]], order: float) -> float:
    if order == 0:
        for p, q in pairs:
            t.larger(p, q)
        return total(t, [float(p != q) for p, q in pairs])
    gaps = [t.plus(p, -q) for p, q in pairs]
    if order == 2:
        return t.function(math.sqrt, total(t, [t.times(gap, gap) for gap in gaps]))
    sizes = [t.larger(gap, -gap) for gap in gaps]
    if order == math.inf:
        first, *others = sizes
        for size in others:
            first = t.larger(first, size)
        return first
    if order == 1:
        return total(t, sizes)
    powers = [t.function(lambda s: s**order, size) for size in sizes]
    return t.function(lambda s: s ** (1 / order), total(t, powers))


def solved(t: Tally, a: Array, b: Array, unit: bool) -> Array:
    """The x of a·x = b, of whose a the lower triangle is read."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    result = np.zeros(b.shape)
    for here in grid(map(range, (*batch, b.shape[-1]))):
        *outer, column = here
        for row in range(b.shape[-2]):
            left = float(b[index(*outer, row, column)])
            for earlier in range(row):
                known = float(result[index(*outer, earlier, column)])
                left = t.plus(left, -t.times(float(a[index(*outer, row, earlier)]), known))
            if not unit:
                left = t.over(left, float(a[index(*outer, row, row)]))
            result[index(*outer, row, column)] = left
    return result


def ctc(t: Tally, logs: Array, labels: list[int]) -> Array:
    """How unlikely the labels are, of each sequence; no two labels are alike, and 0 is blank."""
    states = [0, *(state for label in labels for state in (label, 0))]
    result = np.zeros(logs.shape[1])
    for n in range(logs.shape[1]):
        now = [float(logs[index(0, n, c)]) for c in states[:2]] + [-math.inf] * (len(states) - 2)
        for step in range(1, logs.shape[0]):
            before = now
            now = []
            for i, c in enumerate(states):
                reached = before[max(i - (2 if c and i > 1 else 1), 0) : i + 1]
                now.append(t.plus(_log_of_sum(t, reached), float(logs[index(step, n, c)])))
        result[n] = t.times(-1.0, _log_of_sum(t, now[-2:]))
    return result


def _log_of_sum(t: Tally, logs: list[float]) -> float:
    if len(logs) == 1:
        return logs[0]
    powers = total(t, [t.function(math.exp, value) for value in logs])
    return t.function(lambda value: math.log(value) if value else -math.inf, powers)


def eliminated(t: Tally, a: Array) -> Array:
    """Both triangles of P·A = L·U in one matrix; L has ones on its diagonal."""
    result: Array = a.copy()
    for here in grid(map(range, a.shape[:-2])):
        rows = result[here]
        for j in range(min(rows.shape)):
            sizes = [t.larger(float(value), -float(value)) for value in rows[j:, j]]
            most = sizes[0]
            for size in sizes[1:]:
                most = t.larger(most, size)
            place = j + sizes.index(most)
            rows[[j, place]] = rows[[place, j]]
            for i in range(j + 1, rows.shape[0]):
                rows[i, j] = t.over(float(rows[i, j]), float(rows[j, j]))
                for c in range(j + 1, rows.shape[1]):
                    rows[i, c] = t.plus(
                        float(rows[i, c]), -t.times(float(rows[i, j]), float(rows[j, c]))
                    )
    return result


def root(t: Tally, a: Array) -> Array:
    """The lower triangle L of A = L·Lᵀ."""
    result = np.zeros(a.shape)
    for here in grid(map(range, a.shape[:-2])):
        low = result[here]
        for j, i in product(range(a.shape[-1]), repeat=2):
            if i < j:
                continue
            left = float(a[index(*here, i, j)])
            for k in range(j):
                left = t.plus(left, -t.times(float(low[i, k]), float(low[j, k])))
            low[i, j] = t.function(math.sqrt, left) if i == j else t.over(left, float(low[j, j]))
    return result


def fourier(t: Tally, x: Any, axes: tuple[int, ...], sign: int) -> Any:
    """By halves, so of sizes that are powers of two. A complex number is one element."""
    result = np.array(x, dtype=complex)
    for axis in axes:
        rows = np.moveaxis(result, axis, -1)
        for here in grid(map(range, rows.shape[:-1])):
            rows[here] = _halved(t, list(rows[here]), sign)
    return result


def _halved(t: Tally, values: list[Any], sign: int) -> list[Any]:
    n = len(values)
    if n == 1:
        return values
    even, odd = _halved(t, values[::2], sign), _halved(t, values[1::2], sign)
    turned: list[Any] = [
        t.times(exp(sign * 2j * pi * k / n), value)  # type: ignore[arg-type]
        for k, value in enumerate(odd)
    ]
    sums = [t.plus(e, o) for e, o in zip(even, turned, strict=True)]
    return sums + [t.plus(e, -o) for e, o in zip(even, turned, strict=True)]


def sparse_product(t: Tally, a: Array, b: Array, stored: Array) -> Array:
    """Each stored element of the first is multiplied with each column of the second."""
    out = np.zeros((a.shape[0], b.shape[1]))
    for row, k in zip(*np.nonzero(stored), strict=True):
        for column in range(b.shape[1]):
            here = index(row, column)
            out[here] = t.mac(out[here], a[index(row, k)], b[index(k, column)])
    return out
