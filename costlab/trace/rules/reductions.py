"""Sums, means, extremes, variances, running sums."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.reduce import Cumulative, Reduce, Variance
from costlab.trace.registry import rule, rules
from costlab.trace.tape import META, Tape


def _reduce(function: str) -> Any:
    def reduce(
        on: Tape,
        input: Tensor,
        dim: Any = None,
        keepdim: bool = False,
        *,
        axis: Any = None,
        dtype: Any = None,
    ) -> Any:
        op = Reduce(function, _dims(dim if axis is None else axis), keepdim)
        return on.record(op, (input,), dtype=dtype or _type(function, input))

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
}.items():
    rule(_name)(_reduce(_function))


def _extreme(function: str, pair: str) -> Any:
    def extreme(
        on: Tape, input: Tensor, dim: Any = None, keepdim: bool = False, **named: Any
    ) -> Any:
        other = named.get("other", dim)
        if isinstance(other, Tensor):
            return rules()[pair](on, input, other)
        values = on.record(Reduce(function, _dims(dim), keepdim), (input,))
        if dim is None:
            return values
        places = torch.empty(values.shape, dtype=torch.int64, device=META)
        kind = getattr(torch.return_types, function)
        return kind((values, on.moved("indices", (values,), places)))

    return extreme


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
    if (p if ord is None else ord) not in (2, "fro", None):
        return NotImplemented
    return on.record(Reduce("norm", _dims(dim), keepdim), (input,), dtype=dtype)


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
        return on.record(Variance(_dims(dim), keepdim, root), (input,))

    return variance


rule("var")(_variance(root=False))
rule("std")(_variance(root=True))


def _with_mean(name: str) -> Any:
    def both(on: Tape, *args: Any, **kwargs: Any) -> Any:
        spread = rules()[name](on, *args, **kwargs)
        mean = torch.empty(spread.shape, dtype=spread.dtype, device=META)
        return spread, on.moved("mean", (spread,), mean)

    return both


rule("var_mean")(_with_mean("var"))
rule("std_mean")(_with_mean("std"))


def _running(function: str) -> Any:
    def running(on: Tape, input: Tensor, dim: int, *, dtype: Any = None) -> Any:
        return on.record(Cumulative(function, dim), (input,), dtype=dtype or _type("sum", input))

    return running


rule("cumsum")(_running("cumsum"))
rule("cumprod")(_running("cumprod"))


def _dims(dim: Any) -> tuple[int, ...] | None:
    if dim is None:
        return None
    if isinstance(dim, int):
        return (dim,)
    return tuple(dim) or None


def _type(function: str, x: Tensor) -> torch.dtype:
    if function in ("any", "all"):
        return torch.bool
    if function in ("argmax", "argmin"):
        return torch.int64
    whole = not (x.dtype.is_floating_point or x.dtype.is_complex)
    if function in ("sum", "prod") and whole:
        return torch.int64
    return x.dtype
