"""The backward passes of distances, transforms and equations, as definitions that are executed."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases.selecting import FAR_FROM_0, axes_of
from oracle import Array, backwards, grid, index, selecting
from oracle.backwards import Elements
from oracle.functions import total

from costlab.graph.op import Op
from costlab.ops.ctc import CtcLoss
from costlab.ops.distance import PairDistances
from costlab.ops.factorize import Factorize
from costlab.ops.fourier import Fourier
from costlab.ops.solve import Inverse, Solve
from costlab.ops.sparse import SparseProduct
from costlab.ops.triangular import SolveTriangular

X, Y = ("operand", 0), ("operand", 1)


def distances(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    a, b = inputs
    if not wanted or op.order == 0:
        return {}
    gaps = t.less(a[..., :, None, :], b[..., None, :, :])
    whole = backwards.norm(t, gaps, y[..., None], dy[..., None], op.order)
    given = {}
    if X in wanted:
        given[X] = t.collected(t.total(whole, (-2,))[..., 0, :], a.shape)
    if Y in wanted:
        of_b = t.collected(t.total(whole, (-3,))[..., 0, :, :], b.shape)
        given[Y] = t.product(-1.0, of_b)
    return given


def transformed(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    """The other way; what was left out of a spectrum that has two halves is in the other one."""
    if X not in wanted:
        return {}
    (x,) = inputs
    axes, sign = axes_of(op, x.shape), -1 if op.function in ("ifft", "irfft") else 1
    last = x.ndim - 1
    if op.function == "irfft":
        dx = selecting.fourier(t, dy, (last,), sign)[..., : x.shape[-1]]
        inner = slice(1, 1 + (dy.shape[-1] - 1) // 2)
        dx[..., inner] = t.product(dx[..., inner], 2.0)
        dx = selecting.fourier(t, dx, axes[:-1], sign)
    elif op.function == "rfft":
        dx = selecting.fourier(t, dy, axes[1:], sign)
        dx = np.pad(dx, [(0, 0)] * last + [(0, x.shape[-1] - dy.shape[-1])])
        dx = selecting.fourier(t, dx, (last,), sign)
    else:
        dx = selecting.fourier(t, dy, axes, sign)
    if op.scaled:
        dx = t.product(dx, 1 / np.prod([size for _, size in op.sizes]))
    return {X: dx.real}


def solved(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    """Of the lower triangle. X·A = B is Aᵀ·Xᵀ = Bᵀ, read from the end: so here, too."""
    if not wanted & {X, Y}:
        return {}
    turn: Any = (lambda m: m) if op.left else (lambda m: m.swapaxes(-1, -2)[..., ::-1, ::-1])
    turned: Any = (lambda m: m) if op.left else (lambda m: m.swapaxes(-1, -2)[..., ::-1, :])
    back: Any = (lambda m: m) if op.left else (lambda m: m[..., ::-1, :].swapaxes(-1, -2))
    a = turn(inputs[0] + FAR_FROM_0 * np.eye(inputs[0].shape[-1]))
    upper = a.swapaxes(-1, -2)[..., ::-1, ::-1]
    of_b = selecting.solved(t, upper, turned(dy)[..., ::-1, :], not op.divides)[..., ::-1, :]
    given = {}
    if Y in wanted:
        given[Y] = t.collected(back(of_b), inputs[1].shape)
    if X in wanted:
        known = turned(y)
        batch, n = of_b.shape[:-2], a.shape[-1]
        pairs = [(i, j) for i in range(n) for j in range(i + int(op.divides))]
        products = np.zeros((*batch, len(pairs)))
        for *outer, place in grid(map(range, products.shape)):
            i, j = pairs[place]
            rows = zip(of_b[index(*outer, i)], known[index(*outer, j)], strict=True)
            sums = total(t, [t.times(float(p), float(q)) for p, q in rows])
            products[index(*outer, place)] = t.times(-1.0, sums)
        of_pairs = t.collected(products, (*inputs[0].shape[:-2], len(pairs)))
        of_a = np.zeros(inputs[0].shape)
        for place, (i, j) in enumerate(pairs):
            of_a[..., i, j] = of_pairs[..., place]
        given[X] = turn(of_a)
    return given


def classified(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    """From the last step to the first; what was found forwards is kept, and is not counted."""
    if X not in wanted:
        return {}
    (logs,) = inputs
    steps, sequences, _ = logs.shape
    states = [0, *(s for label in range(1, op.labels // sequences + 1) for s in (label, 0))]
    last = len(states) - 1
    steps_on = [  # the states that each leads to
        [s for s in (i, i + 1, i + 2) if s <= last and (s < i + 2 or states[s])]
        for i in range(len(states))
    ]
    sums = np.zeros(logs.shape)
    for n in range(sequences):
        emitted = logs[:, n, states]
        kept = np.full((steps, len(states)), -np.inf)
        kept[0, :2] = emitted[0, :2]
        for step in range(1, steps):
            for i, further in enumerate(steps_on):
                for s in further:
                    kept[step, s] = np.logaddexp(kept[step, s], kept[step - 1, i])
            kept[step] += emitted[step]
        ends = np.full(len(states), -np.inf)
        ends[-2:] = 0.0
        for step in reversed(range(steps)):
            likely = t.of(np.exp, t.sum(kept[step], ends, y[n]))
            for state, c in enumerate(states):
                sums[step, n, c] = t.sum(sums[step, n, c], likely[state])
            if step:
                told = t.sum(ends, emitted[step])
                ends = np.array([_log_of_sum(t, told[further]) for further in steps_on])
    rest = t.less(t.of(np.exp, logs), sums)
    return {X: t.product(rest, np.broadcast_to(dy[:, None], logs.shape))}


def _log_of_sum(t: Elements, logs: Array) -> float:
    if len(logs) == 1:
        return float(logs[0])
    powers = t.total(t.of(np.exp, logs), (0,))
    with np.errstate(divide="ignore"):
        return float(t.of(np.log, powers).item())


def root(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    """Of A = L·Lᵀ. The case makes A of what it is given, which is not counted."""
    if X not in wanted:
        return {}
    (x,), n = inputs, y.shape[-1]
    half = np.zeros(y.shape)
    for *outer, i, j in grid(map(range, half.shape)):
        if j <= i:
            pairs = [(y[index(*outer, k, i)], dy[index(*outer, k, j)]) for k in range(i, n)]
            place = total(t, [t.times(float(p), float(q)) for p, q in pairs])
            half[index(*outer, i, j)] = t.times(0.5, place) if i == j else place
    once = _by_transposed(t, y, half)
    twice = _by_transposed(t, y, once.swapaxes(-1, -2)).swapaxes(-1, -2)
    of_a = t.product(t.sum(twice, twice.swapaxes(-1, -2)), 0.5)
    return {X: 2 * of_a @ x}


def _by_transposed(t: Elements, low: Array, b: Array) -> Array:
    """The X of Lᵀ·X = B."""
    upper = low.swapaxes(-1, -2)[..., ::-1, ::-1]
    return selecting.solved(t, upper, b[..., ::-1, :], False)[..., ::-1, :]


def by_factors(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    """The product of dB and X is of multiply-adds, which are not counted here."""
    if not wanted & {X, Y}:
        return {}
    turned: Any = (lambda m: m) if op.left else (lambda m: m.swapaxes(-1, -2))
    a, size = turned(inputs[0] + FAR_FROM_0 * np.eye(inputs[0].shape[-1])), inputs[0].shape[-1]
    both = selecting.eliminated(Elements(), a)
    low, high = np.tril(both, -1) + np.eye(size), np.triu(both)
    half = selecting.solved(t, high.swapaxes(-1, -2), turned(dy), False)
    of_b = selecting.solved(t, low.swapaxes(-1, -2)[..., ::-1, ::-1], half[..., ::-1, :], True)
    of_b = of_b[..., ::-1, :]
    given = {}
    if Y in wanted:
        given[Y] = t.collected(turned(of_b), inputs[1].shape)
    if X in wanted:
        of_a = t.product(of_b @ turned(y).swapaxes(-1, -2), -1.0)
        given[X] = turned(t.collected(of_a, inputs[0].shape))
    return given


def inverted(t: Elements, op: Any, _: Any, inputs: Any, y: Array, dy: Array, wanted: Any) -> Any:
    turned = y.swapaxes(-1, -2)
    return {X: t.product(turned @ dy @ turned, -1.0)} if X in wanted else {}


SOLVED: dict[type[Op], Any] = {
    PairDistances: distances,
    Fourier: transformed,
    SolveTriangular: solved,
    Solve: by_factors,
    Inverse: inverted,
    CtcLoss: classified,
    Factorize: root,
    SparseProduct: lambda *_: {},  # multiply-adds alone
}
