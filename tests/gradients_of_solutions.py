"""The backward passes of distances, transforms and equations, as definitions that are executed."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases.selecting import FAR_FROM_0, axes_of
from oracle import Array, backwards, grid, index, selecting
from oracle.backwards import Elements
from oracle.functions import total

from costlab.graph.op import Op
from costlab.ops.distance import PairDistances
from costlab.ops.fourier import Fourier
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


SOLVED: dict[type[Op], Any] = {
    PairDistances: distances,
    Fourier: transformed,
    SolveTriangular: solved,
    SparseProduct: lambda *_: {},  # multiply-adds alone
}
