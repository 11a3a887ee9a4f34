"""Cases for what orders, finds, counts, measures and transforms; torch's functions give values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st
from oracle import Array, Tally, selecting
from torch import Tensor
from torch.nn import functional as F

from cases.base import Case, Draw, Drawn, small, stacks
from cases.elements import Call
from costlab.graph.op import Op, Shape
from costlab.ops.ctc import CtcLoss
from costlab.ops.distance import PairDistances
from costlab.ops.factorize import Factorize
from costlab.ops.fourier import Fourier
from costlab.ops.select import Distinct, Histogram, IsIn, Search, Sort, Suppress
from costlab.ops.solve import Inverse, Solve
from costlab.ops.sparse import SparseProduct
from costlab.ops.triangular import SolveTriangular


@st.composite
def sorts(draw: Draw) -> Drawn:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    kind = draw(st.sampled_from(["sort", "topk", "kthvalue"]))
    number = None if kind == "sort" else draw(st.integers(1, shape[dim]))
    keepdim = kind == "kthvalue" and draw(st.booleans())
    return Sort(kind, dim, number, kind == "kthvalue", keepdim), (shape,)


def sorting(op: Sort, _: tuple[Shape, ...]) -> Any:
    def values(x: Tensor) -> Any:
        if op.function == "sort":
            return x.sort(op.dim)[0]
        if op.function == "topk":
            return x.topk(op.number or 0, op.dim)[0]
        return x.kthvalue(op.number or 0, op.dim, op.keepdim)[0]

    return Call(values)


@st.composite
def searches(draw: Draw) -> Drawn:
    rows, row, number = draw(small), draw(small), draw(small)
    if draw(st.booleans()):
        return Search("searchsorted"), ((rows, number), (row,))
    return Search("searchsorted"), ((rows, number), (rows, row))


@st.composite
def distincts(draw: Draw) -> Drawn:
    """All elements of a drawn input differ."""
    rows, columns = draw(small), draw(small)
    kind = draw(st.sampled_from(["unique", "unique_consecutive"]))
    return Distinct(kind, rows * columns, kind == "unique"), ((rows, columns),)


SPAN = (-0.5, 0.75)


@st.composite
def histograms(draw: Draw) -> Drawn:
    bins, searched = draw(st.integers(1, 5)), draw(st.booleans())
    return Histogram("histc", bins, True, searched), ((draw(small), draw(small)),)


@st.composite
def suppressions(draw: Draw) -> Drawn:
    """With the number of boxes that are left of those that `boxes_of` makes."""
    n = draw(st.integers(1, 6))
    boxes, scores = boxes_of(n)
    left = selecting.suppressed(Tally(), boxes, scores, 0.3)
    return Suppress(len(left)), ((n, 4), (n,))


def boxes_of(n: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(n)
    corners = rng.uniform(0, 2, (n, 2))
    return np.hstack([corners, corners + rng.uniform(1, 2, (n, 2))]), rng.uniform(0, 1, n)


def suppressing(op: Suppress, shapes: tuple[Shape, ...]) -> Any:
    """By sets: a box goes if one that is left and better overlaps it."""

    def left(*_: Tensor) -> Tensor:
        boxes, scores = (torch.from_numpy(each) for each in boxes_of(shapes[1][0]))
        kept: list[int] = []
        for i in scores.argsort(descending=True).tolist():
            shares = []
            for j in kept:
                low = torch.maximum(boxes[i, :2], boxes[j, :2])
                both = (torch.minimum(boxes[i, 2:], boxes[j, 2:]) - low).clamp(0).prod()
                areas = (boxes[i, 2:] - boxes[i, :2]).prod() + (boxes[j, 2:] - boxes[j, :2]).prod()
                shares.append(both / (areas - both))
            if all(share <= 0.3 for share in shares):
                kept.append(i)
        return torch.tensor(kept)

    return Call(left)


@st.composite
def distances(draw: Draw) -> Drawn:
    width = draw(small)
    shapes = [(*stack, draw(small), width) for stack in stacks(draw, 2)]
    return PairDistances(draw(st.sampled_from([0.0, 1.0, 2.0, 3.0, float("inf")]))), tuple(shapes)


@st.composite
def transforms(draw: Draw) -> Drawn:
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=3)))
    axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    kind, scaled = draw(st.sampled_from(["fft", "ifft", "rfft", "irfft"])), draw(st.booleans())
    whole, half = shape, (*shape[:-1], shape[-1] // 2 + 1)
    if kind in ("fft", "ifft"):
        sizes = tuple((int(np.prod(shape)), shape[axis]) for axis in sorted(axes))
        return Fourier(kind, shape, sizes, scaled), (shape,)
    others = [(int(np.prod(half)), shape[axis]) for axis in sorted(axes - {len(shape) - 1})]
    last = (int(np.prod(whole)), shape[-1])
    if kind == "rfft":
        return Fourier(kind, half, (last, *others), scaled), (whole,)
    return Fourier(kind, whole, (*others, last), scaled), (half,)


def axes_of(op: Fourier, shape: Shape) -> tuple[int, ...]:
    """Some axes of these sizes; of half a spectrum, or to one, the last is in its place."""
    last = len(shape) - 1
    place = {"rfft": 0, "irfft": len(op.sizes) - 1}.get(op.function)
    axes: list[int] = []
    for number, (_, size) in enumerate(op.sizes):
        if number == place:
            axes.append(last)
            continue
        others = enumerate(shape if place is None else shape[:-1])
        axes.append(next(a for a, d in others if d == size and a not in axes))
    return tuple(axes)


def transform(t: Tally, op: Fourier, x: Array) -> Array:
    """The real part. Half a spectrum is made whole, or of a whole one a half is taken."""
    axes, sign = axes_of(op, x.shape), 1 if op.function in ("ifft", "irfft") else -1
    if op.function == "rfft":
        whole = selecting.fourier(t, x, axes[:1], sign)[..., : op.shape[-1]]
        result = selecting.fourier(t, whole, axes[1:], sign)
    elif op.function == "irfft":
        half = selecting.fourier(t, x, axes[:-1], sign)
        size = op.shape[-1]
        mirrored = [half[..., [size - k]] for k in range(half.shape[-1], size)]
        spectrum = np.concatenate([half, *map(np.conj, mirrored)], -1)
        result = selecting.fourier(t, _of_real(spectrum), axes[-1:], sign)
    else:
        result = selecting.fourier(t, x, axes, sign)
    if op.scaled:
        t.mul += result.size
        result = result / np.prod([size for _, size in op.sizes])
    values: Array = result.real
    return values


def _of_real(spectrum: Any) -> Any:
    """What belongs to no other is taken for real, as transforms to real numbers do."""
    size = spectrum.shape[-1]
    for alone in {0, size // 2} if size % 2 == 0 else {0}:
        spectrum[..., alone] = spectrum[..., alone].real
    return spectrum


def transforming(op: Fourier, shapes: tuple[Shape, ...]) -> Call:
    axes = axes_of(op, shapes[0])
    ways = {"fft": (False, True), "ifft": (True, False), "rfft": (False, True)}
    ways["irfft"] = (True, False)
    scaled_by = "backward" if op.scaled == ways[op.function][0] else "forward"

    def values(x: Tensor) -> Tensor:
        named: dict[str, Any] = {"dim": axes, "norm": scaled_by}
        if op.function == "rfft":
            named["dim"] = (*axes[1:], axes[0])
        if op.function == "irfft":
            named["s"] = [*(shapes[0][axis] for axis in axes[:-1]), op.shape[-1]]
        function = getattr(torch.fft, f"{op.function}n")
        result: Tensor = function(x, **named)
        return result.real if result.is_complex() else result

    return Call(values)


@st.composite
def sparse_products(draw: Draw) -> Drawn:
    rows, inner, columns = draw(small), draw(small), draw(small)
    stored = draw(st.integers(0, rows * inner))
    op = SparseProduct(stored, columns, inner, (rows, columns))
    return op, ((rows, inner), (inner, columns))


def pattern(op: SparseProduct, shape: Shape) -> Array:
    """As many stored elements of a matrix, spread over it."""
    places = np.arange(np.prod(shape)) * 7919 % 101
    return (places.argsort().argsort() < op.stored).astype(float).reshape(shape)


def multiplying(op: SparseProduct, shapes: tuple[Shape, ...]) -> Call:
    stored = torch.from_numpy(pattern(op, shapes[0])).to_sparse()
    return Call(lambda a, b: torch.sparse.mm(a.sparse_mask(stored.coalesce()), b))


@st.composite
def triangles(draw: Draw) -> Drawn:
    rows, others, left = draw(small), draw(small), draw(st.booleans())
    ofs, by = stacks(draw, 2)
    shapes = (*ofs, rows, rows), (*by, rows, others) if left else (*by, others, rows)
    return SolveTriangular(left, draw(st.booleans())), shapes


FAR_FROM_0 = 5
"""What is added to a diagonal that is divided by."""


def solve(t: Tally, op: SolveTriangular, a: Array, b: Array) -> Array:
    """Of the lower triangle; X·A = B is Aᵀ·Xᵀ = Bᵀ, and read from the end its triangle is lower."""
    a = a + FAR_FROM_0 * np.eye(a.shape[-1])
    if op.left:
        return selecting.solved(t, a, b, not op.divides)
    turned = a.swapaxes(-1, -2)[..., ::-1, ::-1]
    result = selecting.solved(t, turned, b.swapaxes(-1, -2)[..., ::-1, :], not op.divides)
    backwards: Array = result[..., ::-1, :].swapaxes(-1, -2)
    return backwards


def solving(op: SolveTriangular, shapes: tuple[Shape, ...]) -> Call:
    how = {"upper": False, "left": op.left, "unitriangular": not op.divides}

    def values(a: Tensor, b: Tensor) -> Tensor:
        a = a + FAR_FROM_0 * torch.eye(a.shape[-1], dtype=a.dtype)
        result: Tensor = torch.linalg.solve_triangular(a, b, **how)
        return result

    return Call(values)


@st.composite
def equations(draw: Draw) -> Drawn:
    op, shapes = draw(triangles())
    assume(shapes[1] != shapes[0][:-1])  # which torch takes for vectors
    return Solve(op.attribute("left")), shapes


def by_factors(t: Tally, op: Solve, a: Array, b: Array) -> Array:
    """X·A = B is Aᵀ·Xᵀ = Bᵀ; no rows change places, since the diagonal is large."""
    a = a + FAR_FROM_0 * np.eye(a.shape[-1])
    if not op.left:
        a, b = a.swapaxes(-1, -2), b.swapaxes(-1, -2)
    both = selecting.eliminated(t, a)
    half = selecting.solved(t, both, b, True)
    whole = selecting.solved(t, both[..., ::-1, ::-1], half[..., ::-1, :], False)[..., ::-1, :]
    return whole if op.left else whole.swapaxes(-1, -2)


def solving_by_factors(op: Solve, _: tuple[Shape, ...]) -> Call:
    def values(a: Tensor, b: Tensor) -> Tensor:
        a = a + FAR_FROM_0 * torch.eye(a.shape[-1], dtype=a.dtype)
        result: Tensor = torch.linalg.solve(a, b, left=op.left)
        return result

    return Call(values)


def inverted(t: Tally, a: Array) -> Array:
    return by_factors(t, Solve(), a, np.broadcast_to(np.eye(a.shape[-1]), a.shape))


def inverting(op: Inverse, _: tuple[Shape, ...]) -> Call:
    return Call(lambda a: torch.linalg.inv(a + FAR_FROM_0 * torch.eye(a.shape[-1], dtype=a.dtype)))


@st.composite
def factorizations(draw: Draw) -> Drawn:
    batch, rows, columns = draw(st.lists(small, max_size=1)), draw(small), draw(small)
    if draw(st.booleans()):
        return Factorize("lu"), ((*batch, rows, columns),)
    return Factorize("cholesky"), ((*batch, rows, rows),)


@st.composite
def label_sequences(draw: Draw) -> Drawn:
    labels, sequences = draw(small), draw(small)
    steps = draw(st.integers(labels, labels + 2))
    return CtcLoss(labels * sequences), ((steps, sequences, labels + 1),)


def classifying(op: CtcLoss, shapes: tuple[Shape, ...]) -> Call:
    ((steps, sequences, _),) = shapes
    labels = op.labels // sequences
    targets = torch.arange(1, labels + 1).expand(sequences, labels)
    of_input, of_labels = (torch.full((sequences,), length) for length in (steps, labels))
    return Call(lambda logs: F.ctc_loss(logs, targets, of_input, of_labels, reduction="none"))


def factorized(t: Tally, op: Factorize, a: Array) -> Array:
    """What is multiplied with itself, and has ones added, has a root."""
    if op.function == "lu":
        return selecting.eliminated(t, a)
    return selecting.root(t, a @ a.swapaxes(-1, -2) + np.eye(a.shape[-1]))


def factorizing(op: Factorize, shapes: tuple[Shape, ...]) -> Call:
    if op.function == "lu":
        return Call(lambda a: torch.linalg.lu_factor_ex(a).LU)
    return Call(lambda a: torch.linalg.cholesky(a @ a.mT + torch.eye(a.shape[-1], dtype=a.dtype)))


SELECTING: dict[type[Op], Case] = {
    Sort: Case(
        sorts(),
        lambda t, op, module, inputs: selecting.in_order(
            t, inputs[0], op.dim, op.number, op.last, op.keepdim, op.function == "topk"
        ),
        sorting,
    ),
    IsIn: Case(
        st.tuples(
            st.just(IsIn()),
            st.tuples(st.tuples(small, small), st.tuples(small)),
        ),
        lambda t, op, module, inputs: selecting.is_in(t, *inputs),
        lambda op, shapes: Call(torch.isin),
    ),
    Search: Case(
        searches(),
        lambda t, op, module, inputs: selecting.searched(t, *inputs),
        lambda op, shapes: Call(lambda x, rows: torch.searchsorted(rows.sort(-1).values, x)),
    ),
    Distinct: Case(
        distincts(),
        lambda t, op, module, inputs: selecting.distinct(t, inputs[0], op.sorted),
        lambda op, shapes: Call(getattr(torch, op.function)),
    ),
    Histogram: Case(
        histograms(),
        lambda t, op, module, inputs: selecting.histogram(
            t, inputs[0], op.bins, None if op.searched else SPAN
        ),
        lambda op, shapes: Call(lambda x: torch.histc(x, op.bins, *(() if op.searched else SPAN))),
    ),
    Suppress: Case(
        suppressions(),
        lambda t, op, module, inputs: selecting.suppressed(t, *boxes_of(len(inputs[1])), 0.3),
        suppressing,
    ),
    PairDistances: Case(
        distances(),
        lambda t, op, module, inputs: selecting.distances(t, inputs[0], inputs[1], op.order),
        lambda op, shapes: Call(lambda a, b: torch.cdist(a, b, op.order)),
    ),
    SolveTriangular: Case(
        triangles(), lambda t, op, module, inputs: solve(t, op, *inputs), solving
    ),
    Solve: Case(
        equations(),
        lambda t, op, module, inputs: by_factors(t, op, *inputs),
        solving_by_factors,
    ),
    Inverse: Case(
        small.map(lambda n: (Inverse(), ((2, n, n),))),
        lambda t, op, module, inputs: inverted(t, *inputs),
        inverting,
    ),
    CtcLoss: Case(
        label_sequences(),
        lambda t, op, module, inputs: selecting.ctc(
            t, inputs[0], list(range(1, inputs[0].shape[2]))
        ),
        classifying,
    ),
    Factorize: Case(
        factorizations(), lambda t, op, module, inputs: factorized(t, op, *inputs), factorizing
    ),
    SparseProduct: Case(
        sparse_products(),
        lambda t, op, module, inputs: selecting.sparse_product(
            t, inputs[0], inputs[1], pattern(op, inputs[0].shape)
        ),
        multiplying,
    ),
    Fourier: Case(
        transforms(),
        lambda t, op, module, inputs: transform(t, op, inputs[0]),
        transforming,
    ),
}
