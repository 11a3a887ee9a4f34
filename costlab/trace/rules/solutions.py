"""Equations, inverses and determinants of matrices, by their factors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.factorize import Factorize
from costlab.ops.pointwise import Pointwise
from costlab.ops.reduce import Reduce
from costlab.ops.solve import Inverse, Solve
from costlab.ops.triangular import SolveTriangular
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META

_LU, _CHOLESKY = Factorize("lu"), Factorize("cholesky")
_TYPES: Any = torch.return_types


@rule("solve_triangular")
def solve_triangular(
    on: Tape,
    input: Tensor,
    B: Tensor,  # noqa: N803  torch calls it so
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Any = None,
) -> Any:
    return on.record(SolveTriangular(left, not unitriangular), (input, B))


@rule("cholesky")
def cholesky(on: Tape, input: Tensor, upper: bool = False) -> Tensor:
    return on.record(_CHOLESKY, (input,))


@rule("cholesky_ex")
def cholesky_ex(on: Tape, input: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    factor = cholesky(on, input)
    return _TYPES.linalg_cholesky_ex((factor, _info(on, factor, input)))


@rule("cholesky_solve")
def cholesky_solve(on: Tape, input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """Of L·Lᵀ·X = B, of B and L."""
    half = on.record(SolveTriangular(), (input2, input))
    return on.record(SolveTriangular(), (input2, half))


@rule("lu_factor")
def lu_factor(on: Tape, input: Tensor, *, pivot: bool = True) -> Any:
    if not pivot:  # nothing is looked for
        return NotImplemented
    both = on.record(_LU, (input,))
    return _TYPES.linalg_lu_factor((both, _pivots(on, both, input)))


@rule("lu_factor_ex")
def lu_factor_ex(on: Tape, input: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    if not pivot:
        return NotImplemented
    both = on.record(_LU, (input,))
    further = _pivots(on, both, input), _info(on, both, input)
    return _TYPES.linalg_lu_factor_ex((both, *further))


@rule("solve")
def solve(
    on: Tape,
    input: Tensor,
    B: Tensor,  # noqa: N803  torch calls it so
    *,
    left: bool = True,
) -> Tensor:
    is_vector = B.dim() == 1 or (B.dim() == input.dim() - 1 and B.shape == input.shape[:-1])
    if is_vector:
        B = on.moved("unsqueeze", (B,), _like(B, (*B.shape, 1)))  # noqa: N806
    whole = on.record(Solve(left), (input, B))
    return on.moved("squeeze", (whole,), _like(whole, whole.shape[:-1])) if is_vector else whole


@rule("solve_ex")
def solve_ex(
    on: Tape,
    input: Tensor,
    B: Tensor,  # noqa: N803  torch calls it so
    *,
    left: bool = True,
    check_errors: bool = False,
) -> Any:
    result = solve(on, input, B, left=left)
    return _TYPES.linalg_solve_ex((result, _info(on, result, input)))


@rule("inv", "inverse")
def inv(on: Tape, input: Tensor) -> Any:
    return on.record(Inverse(), (input,))


@rule("inv_ex")
def inv_ex(on: Tape, input: Tensor, *, check_errors: bool = False) -> Any:
    result = inv(on, input)
    return _TYPES.linalg_inv_ex((result, _info(on, result, input)))


@rule("det")
def det(on: Tape, input: Tensor) -> Tensor:
    """The product of the diagonal of U; its sign is turned where rows change places."""
    return on.record(Reduce("prod", (-1,)), (_diagonal(on, input),))


@rule("slogdet")
def slogdet(on: Tape, input: Tensor) -> Any:
    """The product of the signs of that diagonal, and the sum of its logarithms."""
    diagonal = _diagonal(on, input)
    sign = on.record(Reduce("prod", (-1,)), (on.record(Pointwise("sign"), (diagonal,)),))
    return _TYPES.linalg_slogdet((sign, _logarithm(on, diagonal)))


@rule("logdet")
def logdet(on: Tape, input: Tensor) -> Any:
    """As `slogdet`: of a negative one, which the signs say, there is none."""
    _, logarithm = slogdet(on, input)
    return logarithm


def _logarithm(on: Tape, diagonal: Tensor) -> Tensor:
    sizes = on.record(Pointwise("abs"), (diagonal,))
    return on.record(Reduce("sum", (-1,)), (on.record(Pointwise("log"), (sizes,)),))


def _diagonal(on: Tape, input: Tensor) -> Tensor:
    both = on.record(_LU, (input,))
    return on.moved("diagonal", (both,), _like(both, both.shape[:-1]))


def _like(tensor: Tensor, shape: Any) -> Tensor:
    """Made by its shape, which may be of symbols, where torch's views are not."""
    return torch.empty(tuple(shape), dtype=tensor.dtype, device=META)


def _pivots(on: Tape, first: Tensor, input: Tensor) -> Tensor:
    shape = (*input.shape[:-2], min(input.shape[-2:]))
    return on.further(first, torch.empty(shape, dtype=torch.int32, device=META))


def _info(on: Tape, first: Tensor, input: Tensor) -> Tensor:
    """Of each matrix whether it went well."""
    return on.further(first, torch.empty(input.shape[:-2], dtype=torch.int32, device=META))
