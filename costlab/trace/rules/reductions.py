"""Sums, means, extremes, variances; running ones, and those that are scattered."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.arithmetic import smaller
from costlab.ops.elementwise import Scale
from costlab.ops.pointwise import Pair
from costlab.ops.reduce import SCATTERED, Cumulative, Reduce, Scatter, Variance
from costlab.trace.arguments import whole
from costlab.trace.refusals import require_alike
from costlab.trace.registry import rule, rules
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


def _reduce(function: str) -> Any:
    def reduce(
        on: Tape,
        input: Tensor,
        dim: Any = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
    ) -> Any:
        op = Reduce(function, _dims(dim, input), keepdim)
        result = on.record(op, (input,), dtype=dtype or _type(function, input))
        _require_some(op, input)
        return result

    return reduce


for _name, _function in {
    "sum": "sum",
    "mean": "mean",
    "prod": "prod",
    "amax": "max",
    "amin": "min",
    "argmax": "argmax",
    "argmin": "argmin",
    "any": "any",
    "all": "all",
    "logsumexp": "logsumexp",
    "nansum": "nansum",
    "count_nonzero": "count_nonzero",
}.items():
    rule(_name, checked=True)(_reduce(_function))
for _function in ("any", "all"):  # as torch writes them itself, in its checks of arguments
    rule(f"_is_{_function}_true")(_reduce(_function))


def _extreme(function: str, pair: str) -> Any:
    def extreme(
        on: Tape, input: Tensor, dim: Any = None, keepdim: bool = False, **named: Any
    ) -> Any:
        other = named.get("other", dim)
        if isinstance(other, Tensor):
            return rules()[pair](on, input, other)
        op = Reduce(function, _dims(dim, input), keepdim)
        values = on.record(op, (input,))
        _require_some(op, input)
        if dim is None:
            return values
        places = torch.empty(values.shape, dtype=torch.int64, device=META)
        kind = getattr(torch.return_types, function)
        return kind((values, on.further(values, places)))

    return extreme


@rule("aminmax")
def aminmax(on: Tape, input: Tensor, *, dim: Any = None, keepdim: bool = False) -> Any:
    least, most = (
        on.record(Reduce(f, _dims(dim, input), keepdim), (input,)) for f in ("min", "max")
    )
    return torch.return_types.aminmax((least, most))


rule("max")(_extreme("max", "maximum"))
rule("min")(_extreme("min", "minimum"))


@rule("norm", "vector_norm")
def norm(
    on: Tape,
    input: Tensor,
    p: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    dtype: Any = None,
    ord: Any = None,
) -> Any:
    order = p if ord is None else ord
    if order in ("nuc", 0, -inf):
        return NotImplemented
    function = _NORMS.get(2 if order in (None, "fro") else order, "norm_p")
    return on.record(Reduce(function, _dims(dim, input), keepdim), (input,), dtype=dtype)


_NORMS = {1: "norm_1", 2: "norm", inf: "norm_inf"}


@rule("linalg_norm")
def linalg_norm(
    on: Tape,
    input: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """Of a vector; of a matrix only the Frobenius norm: others are not of its elements."""
    axes = input.dim() if dim is None else 1 if isinstance(dim, int) else len(tuple(dim))
    if ord not in (None, "fro") and axes != 1:
        return NotImplemented
    return norm(on, input, 2 if ord is None else ord, dim, keepdim, dtype)


@rule("trace")
def trace(on: Tape, input: Tensor) -> Any:
    elements = torch.empty((smaller(*input.shape),), dtype=input.dtype, device=META)
    diagonal = on.moved("diagonal", (input,), elements)
    return on.record(Reduce("sum"), (diagonal,), dtype=_type("sum", input))


@rule("dist")
def dist(on: Tape, input: Tensor, other: Tensor, p: Any = 2) -> Any:
    return norm(on, on.record(Pair("sub"), (input, other)), p)


def _variance(root: bool) -> Any:
    def variance(
        on: Tape,
        input: Tensor,
        dim: Any = None,
        *more: Any,
        keepdim: bool = False,
        **named: Any,
    ) -> Any:
        if isinstance(dim, bool):  # torch.var(x, unbiased)
            dim = None
        keepdim = keepdim or (len(more) > 1 and bool(more[1]))
        return on.record(Variance(_dims(dim, input), keepdim, root), (input,))

    return variance


rule("var")(_variance(root=False))
rule("std")(_variance(root=True))


def _with_mean(name: str) -> Any:
    def both(on: Tape, *args: Any, **kwargs: Any) -> Any:
        spread = rules()[name](on, *args, **kwargs)
        mean = torch.empty(spread.shape, dtype=spread.dtype, device=META)
        return spread, on.further(spread, mean)

    return both


rule("var_mean")(_with_mean("var"))
rule("std_mean")(_with_mean("std"))


def _running(function: str) -> Any:
    def running(on: Tape, input: Tensor, dim: int, *, dtype: Any = None) -> Any:
        dtype = dtype or (input.dtype if function == "logcumsumexp" else _type("sum", input))
        return _along(on, Cumulative(function, dim), input, dtype)

    return running


for _function in ("cumsum", "cumprod", "logcumsumexp"):
    rule(_function)(_running(_function))


def _along(on: Tape, op: Cumulative, input: Tensor, dtype: Any = None) -> Tensor:
    """A single element is a row of one."""
    if input.dim():
        return on.record(op, (input,), dtype=dtype)
    result = torch.empty((), dtype=dtype or input.dtype, device=META)
    return on.record(replace(op, dim=0), (input,), shapes=((1,),), result=result)


def _running_extreme(function: str) -> Any:
    def running(on: Tape, input: Tensor, dim: int) -> Any:
        values = _along(on, Cumulative(function, dim), input)
        places = torch.empty(values.shape, dtype=torch.int64, device=META)
        kind = getattr(torch.return_types, function)
        return kind((values, on.further(values, places)))

    return running


rule("cummax")(_running_extreme("cummax"))
rule("cummin")(_running_extreme("cummin"))


@rule("scatter_add")
def scatter_add(on: Tape, input: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    return scatter_reduce(on, input, dim, index, src, "sum")


@rule("scatter_reduce")
def scatter_reduce(
    on: Tape,
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Any:
    """Of the source, as many elements as there are indices."""
    if reduce not in SCATTERED:
        return NotImplemented
    shapes = (tuple(input.shape), tuple(index.shape))
    return on.record(Scatter(reduce), (input, src), shapes=shapes)


@rule("index_add")
def index_add(
    on: Tape, input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1
) -> Any:
    require_alike(input, source)
    axis = dim % max(input.dim(), 1)
    wanted = list(input.shape)
    wanted[axis : axis + 1] = index.shape if index.dim() else [1]
    if list(source.shape) != wanted[: source.dim()] or source.dim() != input.dim():
        raise ShapeError(
            f"its source is {formatting.shape(source.shape)}, expected {formatting.shape(wanted)}"
        )
    if alpha != 1:
        source = on.record(Scale(alpha), (source,))
    return on.record(Scatter("sum"), (input, source))


def _require_some(op: Reduce, input: Tensor) -> None:
    """Refuse an extreme of no elements. Raises ``ShapeError``."""
    if op.function in ("max", "min", "argmax", "argmin"):
        sizes = input.shape if op.dims is None else [input.shape[d] for d in op.dims]
        if any(size < 1 for size in sizes):
            raise ShapeError(f"there is no element to take the {op.function} of")


def _dims(dim: Any, input: Tensor) -> tuple[int, ...] | None:
    if dim is None or not input.dim():  # a single element has an axis 0, and -1, that is none
        return None
    if isinstance(dim, int):
        return (dim,)
    return tuple(map(whole, dim)) or None


def _type(function: str, x: Tensor) -> torch.dtype:
    if function in ("any", "all"):
        return torch.bool
    if function in ("argmax", "argmin", "count_nonzero"):
        return torch.int64
    whole = not (x.dtype.is_floating_point or x.dtype.is_complex)
    if function in ("sum", "prod", "nansum") and whole:
        return torch.int64
    if function == "logsumexp" and whole:
        return torch.get_default_dtype()
    return x.dtype
