"""Definitions of what a traced module may call, executed like those of `layers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import product

import numpy as np

from oracle.elements import Each, choose, compared, sigmoid, special
from oracle.layers import softmax
from oracle.tally import Array, Tally, grid, index


def log_softmax(t: Tally, x: Array, dim: int) -> Array:
    out = np.zeros(x.shape)
    rows, results = np.moveaxis(x, dim, -1), np.moveaxis(out, dim, -1)
    for here in grid(map(range, rows.shape[:-1])):
        row = [float(value) for value in rows[here]]
        largest = row[0]
        for value in row[1:]:
            largest = t.larger(largest, value)
        shifted = [t.plus(value, -largest) for value in row]
        logarithm = t.function(math.log, total(t, [t.function(math.exp, s) for s in shifted]))
        for i, value in enumerate(shifted):
            results[index(*here, i)] = t.plus(value, -logarithm)
    return out


def total(t: Tally, values: Iterable[float]) -> float:
    first, *others = values
    for value in others:
        first = t.plus(first, value)
    return first


def summed(t: Tally, values: Iterable[float]) -> float:
    """A sum that starts at zero, as the norms' convention has it."""
    result = 0.0
    for value in values:
        result = t.plus(result, value)
    return result


def normalised(
    t: Tally,
    groups: list[list[tuple[int, ...]]],
    x: Array,
    scale: Array | None,
    shift: Array | None,
    centred: bool = True,
    eps: float = 1e-5,
) -> Array:
    """Each group of places by its own mean and root; scale and shift have the input's shape."""
    out = np.zeros(x.shape)
    for group in groups:
        values = [float(x[here]) for here in group]
        if centred:
            mean = summed(t, values) / len(values)
            values = [t.plus(value, -mean) for value in values]
        squares = summed(t, [t.times(value, value) for value in values])
        root = t.function(lambda v: 1 / math.sqrt(v), squares / len(values) + eps)
        for here, value in zip(group, values, strict=True):
            result = t.times(value, root)
            if scale is not None:
                result = t.times(result, float(scale[here]))
            if shift is not None:
                result = t.plus(result, float(shift[here]))
            out[here] = result
    return out


COMBINED: dict[str, Callable[[Tally, float, float], float]] = {
    "sum": Tally.plus,
    "mean": Tally.plus,
    "prod": Tally.times,
    "max": Tally.larger,
    "min": lambda t, a, b: -t.larger(-a, -b),
    "any": choose(lambda a, b: bool(a) or bool(b)),
    "all": choose(lambda a, b: bool(a) and bool(b)),
    "norm": Tally.plus,
    "norm_1": Tally.plus,
    "norm_inf": Tally.larger,
    "norm_p": Tally.plus,
    "nansum": Tally.plus,
    "count_nonzero": Tally.plus,
    "logsumexp": Tally.plus,
}
EACH_OF: dict[str, Each] = {
    "norm": lambda t, v: t.times(v, v),
    "norm_1": lambda t, v: t.larger(v, -v),
    "norm_inf": lambda t, v: t.larger(v, -v),
    "norm_p": lambda t, v: t.function(lambda x: x**3, t.larger(v, -v)),
    "nansum": compared(lambda v: 0.0 if math.isnan(v) else v),
    "count_nonzero": compared(lambda v: v != 0),
    "logsumexp": special(math.exp),
}
"""What is done to each element first; the norm of order p is of order 3."""
AFTER: dict[str, Each] = {
    "norm": special(math.sqrt),
    "norm_p": special(lambda x: x ** (1 / 3)),
    "logsumexp": special(math.log),
}
"""What is done to the result."""


def reduced(t: Tally, function: str, x: Array, dims: tuple[int, ...] | None, keep: bool) -> Array:
    axes = range(x.ndim) if dims is None else [d % x.ndim for d in dims]
    kept = [i for i in range(x.ndim) if i not in axes]
    out = np.zeros([x.shape[i] for i in kept])
    for here in grid(map(range, out.shape)):
        values = []
        for there in grid([range(x.shape[a]) for a in sorted(axes)]):
            index = [0] * x.ndim
            for a, i in [*zip(kept, here, strict=True), *zip(sorted(axes), there, strict=True)]:
                index[a] = i
            values.append(float(x[tuple(index)]))
        out[here] = _one(t, function, values)
    return np.expand_dims(out, tuple(sorted(axes))) if keep else out


def _one(t: Tally, function: str, values: list[float]) -> float:
    if function in ("argmax", "argmin"):
        best = 0
        for i, value in enumerate(values[1:], 1):
            t.cmp += 1
            if (value > values[best]) == (function == "argmax") and value != values[best]:
                best = i
        return float(best)
    if function in EACH_OF:
        values = [EACH_OF[function](t, v) for v in values]
    if function == "var":
        mean = t.over(total(t, values), len(values))
        squares = [t.plus(v, -mean) for v in values]
        return t.over(total(t, [t.times(s, s) for s in squares]), max(len(values) - 1, 0) or 1)
    result = values[0]
    for value in values[1:]:
        result = COMBINED[function](t, result, value)
    if function == "mean":
        return t.over(result, len(values))
    return AFTER[function](t, result) if function in AFTER else result


def running(t: Tally, function: str, x: Array, dim: int) -> Array:
    out: Array = x.copy()
    rows = np.moveaxis(out, dim, -1)
    of_powers = function == "logcumsumexp"
    for here in grid(map(range, rows.shape[:-1])):
        row = [float(value) for value in rows[here]]
        if of_powers:
            row = [t.function(math.exp, value) for value in row]
        for i in range(1, len(row)):
            row[i] = RUNNING[function](t, row[i - 1], row[i])
        rows[here] = [t.function(math.log, value) for value in row] if of_powers else row
    return out


RUNNING: dict[str, Callable[[Tally, float, float], float]] = {
    "cumsum": Tally.plus,
    "logcumsumexp": Tally.plus,
    "cumprod": Tally.times,
    "cummax": Tally.larger,
    "cummin": lambda t, a, b: -t.larger(-a, -b),
}


def scattered(t: Tally, function: str, target: Array, source: Array, places: Array) -> Array:
    """Each element of the source into a place of the first axis."""
    combine = {"sum": t.plus, "prod": t.times, "amax": t.larger}
    out: Array = target.copy()
    for here in grid(map(range, source.shape)):
        there = (int(places[here]), *here[1:])
        a, b = float(out[there]), float(source[here])
        out[there] = -t.larger(-a, -b) if function == "amin" else combine[function](a, b)
    return out


def fractional_max_pool(
    t: Tally, x: Array, window: tuple[int, ...], size: tuple[int, ...]
) -> Array:
    """The windows' places for a draw of one half, as torch computes them; the last one is last."""
    starts = []
    for full, k, n in zip(x.shape[2:], window, size, strict=True):
        step = (full - k) / (n - 1) if n > 1 else 0.0
        starts.append([int((i + 0.5) * step) - int(0.5 * step) for i in range(n - 1)] + [full - k])
    out = np.zeros((*x.shape[:2], *size))
    for n, channel, spot in product(range(x.shape[0]), range(x.shape[1]), grid(map(range, size))):
        corner = [starts[axis][i] for axis, i in enumerate(spot)]
        largest = -math.inf
        for number, tap in enumerate(grid(map(range, window))):
            value = float(x[index(n, channel, *map(sum, zip(corner, tap, strict=True)))])
            largest = t.larger(largest, value) if number else value
        out[index(n, channel, *spot)] = largest
    return out


def folded(t: Tally, x: Array, size: tuple[int, ...], kernel: tuple[int, ...]) -> Array:
    """Windows ``[N, C·k, windows]`` of stride 1 are added to an image of zeros."""
    taps = list(grid(map(range, kernel)))
    spots = list(grid([range(full - k + 1) for full, k in zip(size, kernel, strict=True)]))
    out = np.zeros((x.shape[0], x.shape[1] // len(taps), *size))
    for n, channel, (i, tap), (j, spot) in product(
        range(out.shape[0]), range(out.shape[1]), enumerate(taps), enumerate(spots)
    ):
        place = (n, channel, *map(sum, zip(spot, tap, strict=True)))
        out[place] = t.plus(float(out[place]), float(x[n, channel * len(taps) + i, j]))
    return out


def attention(t: Tally, q: Array, k: Array, v: Array, mask: Array | None, grouped: bool) -> Array:
    if grouped:
        k, v = (np.repeat(each, q.shape[-3] // each.shape[-3], axis=-3) for each in (k, v))
    whole = np.broadcast_shapes(*(each.shape[:-2] for each in (q, k, v)))
    q, k, v = (np.broadcast_to(each, (*whole, *each.shape[-2:])) for each in (q, k, v))
    scores = np.zeros((*q.shape[:-1], k.shape[-2]))
    for here in grid(map(range, scores.shape)):
        *stack, row, column = here
        score = 0.0
        for i in range(q.shape[-1]):
            score = t.mac(
                score, float(q[index(*stack, row, i)]), float(k[index(*stack, column, i)])
            )
        score = t.times(score, 1 / math.sqrt(q.shape[-1]))
        scores[here] = score if mask is None else t.plus(score, float(mask[row, column]))
    weights = softmax(t, scores, -1)
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for here in grid(map(range, out.shape)):
        *stack, row, column = here
        value = 0.0
        for i in range(v.shape[-2]):
            value = t.mac(
                value, float(weights[index(*stack, row, i)]), float(v[index(*stack, i, column)])
            )
        out[here] = value
    return out


def recurrent(
    t: Tally, cell: str, x: Array, w: Array, u: Array, b: Array | None, c: Array | None
) -> Array:
    """``[T, N, In]`` through one layer, from a state of zeros."""
    hidden = u.shape[1]
    out = np.zeros((*x.shape[:2], hidden))
    for n in range(x.shape[1]):
        h, memory = [0.0] * hidden, [0.0] * hidden
        for step in range(x.shape[0]):
            inner = [_product(t, w[g], x[step, n], b, g) for g in range(len(w))]
            outer = [_product(t, u[g], np.array(h), c, g) for g in range(len(u))]
            h, memory = _cell(t, cell, inner, outer, h, memory)
            out[step, n] = h
    return out


def _product(t: Tally, row: Array, x: Array, bias: Array | None, gate: int) -> float:
    value = 0.0
    for a, b in zip(row, x, strict=True):
        value = t.mac(value, float(a), float(b))
    return value if bias is None else t.plus(value, float(bias[gate]))


def _cell(
    t: Tally,
    cell: str,
    inner: list[float],
    outer: list[float],
    h: list[float],
    memory: list[float],
) -> tuple[list[float], list[float]]:
    n = len(h)
    if cell == "gru":
        states = []
        for i in range(n):
            r = sigmoid(t, t.plus(inner[i], outer[i]))
            z = sigmoid(t, t.plus(inner[n + i], outer[n + i]))
            new = t.function(math.tanh, t.plus(inner[2 * n + i], t.times(r, outer[2 * n + i])))
            states.append(t.plus(t.times(t.plus(1.0, -z), new), t.times(z, h[i])))
        return states, memory
    gates = [t.plus(a, b) for a, b in zip(inner, outer, strict=True)]
    if cell == "rnn_relu":
        return [t.larger(g, 0.0) for g in gates], memory
    if cell == "rnn_tanh":
        return [t.function(math.tanh, g) for g in gates], memory
    states, memories = [], []
    for i in range(n):
        put, keep = sigmoid(t, gates[i]), sigmoid(t, gates[n + i])
        new, give = t.function(math.tanh, gates[2 * n + i]), sigmoid(t, gates[3 * n + i])
        memories.append(t.plus(t.times(keep, memory[i]), t.times(put, new)))
        states.append(t.times(give, t.function(math.tanh, memories[-1])))
    return states, memories


def interpolated(t: Tally, x: Array, size: tuple[int, ...], mode: str) -> Array:
    """Each output is the sum of its taps times their weights; one tap is a copy."""
    weights = [_taps(n, m, mode) for n, m in zip(x.shape[2:], size, strict=True)]
    out = np.zeros((*x.shape[:2], *size))
    for n, channel, spot in product(range(x.shape[0]), range(x.shape[1]), grid(map(range, size))):
        terms = []
        for taps in product(*(weights[a][i] for a, i in enumerate(spot))):
            where = tuple(spot for spot, _ in taps)
            value = float(x[index(n, channel, *where)])
            weight = math.prod(w for _, w in taps)
            terms.append(value if mode == "nearest" else t.times(weight, value))
        out[index(n, channel, *spot)] = total(t, terms)
    return out


def _taps(size: int, out: int, mode: str) -> list[list[tuple[int, float]]]:
    found = []
    for i in range(out):
        if mode == "nearest":
            found.append([(i * size // out, 1.0)])
            continue
        place = (i + 0.5) * size / out - 0.5
        if mode != "bicubic":
            place = max(place, 0.0)
        low = math.floor(place)
        w = place - low
        if mode == "bicubic":
            found.append(
                [(min(max(low + j, 0), size - 1), _cubic(abs(w - j))) for j in (-1, 0, 1, 2)]
            )
        else:
            found.append([(min(low, size - 1), 1 - w), (min(low + 1, size - 1), w)])
    return found


def _cubic(d: float, a: float = -0.75) -> float:
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
