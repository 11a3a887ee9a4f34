"""How to draw what reduces, runs along or scatters over an axis, and what gives its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from cases.base import Draw, Drawn, small
from cases.elements import Call
from costlab.graph.op import Op, Shape
from costlab.ops.reduce import RUNNING, SCATTERED, Cumulative, Reduce, Scatter, Variance


@st.composite
def reductions(draw: Draw, make: Callable[..., Op]) -> Drawn:
    shape = tuple(draw(st.lists(small, min_size=1, max_size=4)))
    kinds = [None, draw(st.integers(-len(shape), len(shape) - 1))]
    dim = draw(st.sampled_from(kinds))
    dims: tuple[int, ...] | None = None if dim is None else (dim,)
    if dim is not None and len(shape) > 1 and make is not one_axis and draw(st.booleans()):
        other = (dim + 1) % len(shape) - (len(shape) if dim < 0 else 0)
        dims = (dim,) if dim % len(shape) == other % len(shape) else (dim, other)
    return make(draw, dims, draw(st.booleans())), (shape,)


NORMS = {"norm_1": 1, "norm_inf": float("inf"), "norm_p": 3}


def any_axes(draw: Draw, dims: Any, keep: bool) -> Op:
    names = ["sum", "mean", "max", "min", "any", "all", "logsumexp", "nansum", "count_nonzero"]
    names += ["norm", *NORMS]
    return Reduce(draw(st.sampled_from(names)), dims, keep and dims is not None)


def one_axis(draw: Draw, dims: Any, keep: bool) -> Op:
    names = ["prod", "argmax", "argmin"]
    return Reduce(draw(st.sampled_from(names)), dims, keep and dims is not None)


def variances(draw: Draw, dims: Any, keep: bool) -> Op:
    return Variance(dims, keep and dims is not None)


def reduction(op: Reduce, _: tuple[Shape, ...]) -> nn.Module:
    name = {"max": "amax", "min": "amin"}.get(op.function, op.function)
    if name in NORMS:
        order = NORMS[name]
        return Call(lambda x: torch.linalg.vector_norm(x, order, op.dims, op.keepdim))
    function = torch.linalg.vector_norm if name == "norm" else getattr(torch, name)
    if name == "count_nonzero":

        def counted(x: Tensor) -> Tensor:
            found = torch.count_nonzero(x, dim=op.dims)
            return found.reshape(op.output(tuple(x.shape)))

        return Call(counted)
    if op.dims is None:
        if name == "logsumexp":
            return Call(lambda x: torch.logsumexp(x, tuple(range(x.dim()))))
        return Call(function)
    dims: Any = op.dims[0] if name in ("prod", "argmax", "argmin") else op.dims
    return Call(lambda x: function(x, dim=dims, keepdim=op.keepdim))


def variance(op: Variance, shapes: tuple[Shape, ...]) -> nn.Module:
    (shape,) = shapes
    many = int(np.prod([shape[d] for d in (range(len(shape)) if op.dims is None else op.dims)]))
    correction = 1 if many > 1 else 0
    return Call(lambda x: torch.var(x, dim=op.dims, correction=correction, keepdim=op.keepdim))


@st.composite
def cumulatives(draw: Draw) -> Drawn:
    shape = tuple(draw(st.lists(small, min_size=1, max_size=3)))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    return Cumulative(draw(st.sampled_from(sorted(RUNNING))), dim), (shape,)


def cumulative(op: Cumulative, _: tuple[Shape, ...]) -> nn.Module:
    def call(x: Tensor) -> Tensor:
        found: Any = getattr(torch, op.function)(x, op.dim)
        result: Tensor = found if isinstance(found, Tensor) else found.values
        return result

    return Call(call)


@st.composite
def scatters(draw: Draw) -> Drawn:
    rest = draw(st.lists(small, max_size=2))
    target, source = (draw(small), *rest), (draw(small), *rest)
    return Scatter(draw(st.sampled_from(sorted(SCATTERED)))), (target, source)


def spots(target: Shape, source: Shape) -> Any:
    """For each element of the source its place in the first axis of the target."""
    return np.arange(np.prod(source)).reshape(source) % target[0]


def scatter(op: Scatter, shapes: tuple[Shape, ...]) -> nn.Module:
    where = torch.from_numpy(spots(*shapes))
    return Call(lambda target, source: target.scatter_reduce(0, where, source, op.function))
