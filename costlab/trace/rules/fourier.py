"""Transforms of ``torch.fft``, by the three basic operations that all of them consist of."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from costlab.ops.fourier import Fourier
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META

_COMPLEX = {torch.float16: torch.complex32, torch.float64: torch.complex128}
_REAL = {torch.complex32: torch.float16, torch.complex128: torch.float64}


@rule("_fft_c2c")
def complex_to_complex(on: Tape, input: Tensor, dim: Any, normalization: int, forward: bool) -> Any:
    shape = tuple(input.shape)
    sizes = tuple((prod(shape), shape[axis]) for axis in dim)
    op = Fourier("fft" if forward else "ifft", shape, sizes, normalization != 0)
    return on.record(op, (input,))


@rule("_fft_r2c")
def real_to_complex(on: Tape, input: Tensor, dim: Any, normalization: int, onesided: bool) -> Any:
    """Along the last of the axes first, of which one half is enough; then along the others."""
    shape = tuple(input.shape)
    *others, last = (axis % len(shape) for axis in dim)
    half = shape[last] // 2 + 1 if onesided else shape[last]
    result = (*shape[:last], half, *shape[last + 1 :])
    sizes = ((prod(shape), shape[last]), *((prod(result), shape[axis]) for axis in others))
    op = Fourier("rfft" if onesided else "fft", result, sizes, normalization != 0)
    return on.record(op, (input,), dtype=_COMPLEX.get(input.dtype, torch.complex64))


@rule("_fft_c2r")
def complex_to_real(
    on: Tape, input: Tensor, dim: Any, normalization: int, last_dim_size: int
) -> Any:
    """Along the others of the axes first, and along the last one to that size."""
    shape = tuple(input.shape)
    *others, last = (axis % len(shape) for axis in dim)
    result = (*shape[:last], last_dim_size, *shape[last + 1 :])
    sizes = (*((prod(shape), shape[axis]) for axis in others), (prod(result), last_dim_size))
    op = Fourier("irfft", result, sizes, normalization != 0)
    dtype = _REAL.get(input.dtype, torch.float32)
    return on.record(op, (input,), result=torch.empty(result, dtype=dtype, device=META))
