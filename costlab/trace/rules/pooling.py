"""Pooling and interpolation."""

from __future__ import annotations

from math import trunc
from typing import Any

import torch
from torch import Tensor

from costlab.ops.adaptive_pool import AdaptiveAvgPool, AdaptiveMaxPool, FractionalMaxPool
from costlab.ops.pool import AvgPool, MaxPool
from costlab.ops.resample import Antialiased, Interpolate
from costlab.trace.arguments import sizes, whole
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


def _max_pool(rank: int, indices: bool) -> Any:
    def max_pool(
        on: Tape,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        result = on.apply(
            MaxPool,
            (sizes(kernel_size), _step(stride), sizes(padding), sizes(dilation), bool(ceil_mode)),
            input,
            rank + 2,
        )
        if result is NotImplemented or not (return_indices or indices):
            return result
        places = torch.empty(result.shape, dtype=torch.int64, device=META)
        return result, on.further(result, places)

    return max_pool


def _avg_pool(rank: int) -> Any:
    def avg_pool(
        on: Tape,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        attributes = (
            sizes(kernel_size),
            _step(stride),
            sizes(padding),
            bool(ceil_mode),
            bool(count_include_pad),
            None if divisor_override is None else whole(divisor_override),
        )
        return on.apply(AvgPool, attributes, input, rank + 2)

    return avg_pool


def _adaptive_pool(kind: Any, rank: int) -> Any:
    def adaptive_pool(
        on: Tape, input: Tensor, output_size: Any, return_indices: bool = False
    ) -> Any:
        if return_indices or input.dim() not in (rank + 1, rank + 2):
            return NotImplemented
        sizes = (output_size,) * rank if isinstance(output_size, int) else tuple(output_size)
        places = input.shape[input.dim() - rank :]
        wanted = [place if s is None else whole(s) for s, place in zip(sizes, places, strict=True)]
        return on.apply(kind, (tuple(wanted),), input, rank + 2)

    return adaptive_pool


def _fractional_pool(rank: int, indices: bool) -> Any:
    def fractional_pool(
        on: Tape,
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        if output_size is None:
            ratios = (output_ratio,) * rank if isinstance(output_ratio, float) else output_ratio
            places = input.shape[input.dim() - rank :]
            output_size = tuple(trunc(d * r) for d, r in zip(places, ratios, strict=False))
        attributes = (sizes(kernel_size), sizes(output_size))
        result = on.apply(FractionalMaxPool, attributes, input, rank + 2)
        if result is NotImplemented or not (return_indices or indices):
            return result
        picked = torch.empty(result.shape, dtype=torch.int64, device=META)
        return result, on.further(result, picked)

    return fractional_pool


for _rank in (1, 2, 3):
    _fractional = f"fractional_max_pool{_rank}d"
    rule(_fractional)(_fractional_pool(_rank, indices=False))
    rule(f"{_fractional}_with_indices")(_fractional_pool(_rank, indices=True))
    rule(f"max_pool{_rank}d", checked=True)(_max_pool(_rank, indices=False))
    rule(f"max_pool{_rank}d_with_indices", checked=True)(_max_pool(_rank, indices=True))
    rule(f"avg_pool{_rank}d", checked=True)(_avg_pool(_rank))
    _average = _adaptive_pool(AdaptiveAvgPool, _rank)
    rule(f"adaptive_avg_pool{_rank}d", f"_adaptive_avg_pool{_rank}d", checked=True)(_average)
    rule(f"adaptive_max_pool{_rank}d")(_adaptive_pool(AdaptiveMaxPool, _rank))


@rule("interpolate", "upsample")
def interpolate(
    on: Tape,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    rank = input.dim() - 2
    if mode == "area" or rank < 1:
        return NotImplemented
    if size is not None:
        wanted = (size,) * rank if isinstance(size, int) else tuple(size)
    elif scale_factor is not None:
        many = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * rank
        wanted = tuple(trunc(d * s) for d, s in zip(input.shape[2:], many, strict=True))
    else:
        return NotImplemented
    if not antialias:
        return on.record(Interpolate(mode, wanted), (input,))
    if align_corners or (size is None and not recompute_scale_factor and _rounds(input, many)):
        return NotImplemented
    for side in (*input.shape[2:], *wanted):
        int(side)  # fixes one with symbols: no sum says how many inputs all outputs are made of
    return on.record(Antialiased(mode, wanted), (input,))


def _rounds(input: Tensor, factors: Any) -> bool:
    """Whether sizes times these factors are no whole numbers: the scale is then another one."""
    return any(d * s != int(d * s) for d, s in zip(input.shape[2:], factors, strict=True))


def _step(stride: Any) -> Any:
    return (
        None
        if stride is None or (not isinstance(stride, int) and not tuple(stride))
        else sizes(stride)
    )
