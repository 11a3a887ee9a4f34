"""Linear layers and matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.ops.broadcast import Add, Multiply
from costlab.ops.dense import Linear, Matmul
from costlab.ops.elementwise import Scale
from costlab.ops.pointwise import Pair
from costlab.trace.refusals import require_alike, require_length, type_name
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


@rule("linear", checked=True)
def linear(on: Tape, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if weight.dim() != 2 or input.dim() == 0 or input.shape[-1] != weight.shape[1]:
        if weight.dim() == 2 and input.dim() > 0:
            raise ShapeError(
                f"its input {formatting.shape(input.shape)} has {input.shape[-1]} features, "
                f"its weight is for {weight.shape[1]}"
            )
        return NotImplemented
    if bias is None:
        if input.dtype is not weight.dtype:
            require_alike(input, weight)
    else:
        if bias.dim() > 1:
            return NotImplemented
        spread = bias.shape != weight.shape[:1]
        if spread and bias.numel() != 1:
            require_length("bias", bias, weight.shape[0])
        if input.dtype is not weight.dtype or bias.dtype is not weight.dtype:
            require_alike(input, weight, bias)
        if spread:
            return added(on, bias, _linear(on, input, weight, None, weight.shape[0]), 1, 1)
    return _linear(on, input, weight, bias, weight.shape[0])


@rule("matmul", "mm", "bmm")
def matmul(on: Tape, input: Tensor, other: Tensor, *, out_dtype: Any = None) -> Any:
    a, b = tuple(input.shape), tuple(other.shape)
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        return NotImplemented
    if len(b) == 2 and len(a) > 1 and on.is_weight(other):
        if out_dtype is not None:
            return on.record(Linear(b[1], bias=False), (input,), (other,), dtype=out_dtype)
        return _linear(on, input, other, None, b[1])
    left = a if len(a) > 1 else (1, *a)
    right = b if len(b) > 1 else (*b, 1)
    op = Matmul()
    shape = op.output(left, right)
    if len(b) == 1:
        shape = shape[:-1]
    if len(a) == 1:
        shape = (*shape[: -1 - (len(b) > 1)], *shape[len(shape) - (len(b) > 1) :])
    result = torch.empty(shape, dtype=out_dtype or input.dtype, device=META)
    return on.record(op, (input, other), shapes=(left, right), result=result)


@rule("rmatmul")
def rmatmul(on: Tape, input: Tensor, other: Tensor) -> Any:
    return matmul(on, other, input)


@rule("mv", "dot", "vdot", "inner")
def vectors(on: Tape, input: Tensor, other: Tensor) -> Any:
    return matmul(on, input, other) if other.dim() == 1 else NotImplemented


@rule("addmm", "baddbmm")
def addmm(
    on: Tape,
    input: Tensor,
    mat1: Tensor,
    mat2: Tensor,
    out_dtype: Any = None,
    *,
    beta: Any = 1,
    alpha: Any = 1,
) -> Any:
    if mat1.shape[-1] != mat2.shape[-2]:
        return NotImplemented
    plain = beta == alpha == 1 and out_dtype is None
    if (
        on.is_weight(mat2)
        and on.is_weight(input)
        and mat2.dim() == 2
        and plain
        and tuple(input.shape) == tuple(mat2.shape[1:])  # one for each feature
    ):
        return _linear(on, mat1, mat2, input, mat2.shape[1])
    return added(on, input, matmul(on, mat1, mat2, out_dtype=out_dtype), beta, alpha)


@rule("addbmm")
def addbmm(
    on: Tape, input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Any:
    """The products of all pairs, added up: one product, over the batch too."""
    (batch, m, k), n = batch1.shape, batch2.shape[2]
    result = torch.empty((m, n), dtype=batch1.dtype, device=META)
    shapes = ((m, batch * k), (batch * k, n))
    product = on.record(Matmul(), (batch1, batch2), shapes=shapes, result=result)
    return added(on, input, product, beta, alpha)


@rule("addmv")
def addmv(
    on: Tape, input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Any:
    _require_rank(input, 1)
    return added(on, input, matmul(on, mat, vec), beta, alpha)


@rule("addr")
def addr(
    on: Tape, input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Any:
    _require_rank(input, 2)
    return added(on, input, outer(on, vec1, vec2), beta, alpha)


def _require_rank(input: Tensor, most: int) -> None:
    """What is added to a product has at most the axes of the product."""
    if input.dim() > most:
        raise ShapeError(f"what is added is {formatting.shape(input.shape)}, expected {most} axes")


def added(on: Tape, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta · input + alpha · product``."""
    if alpha != 1:
        product = on.record(Scale(alpha), (product,))
    if beta == 0:
        return product
    if beta != 1:
        input = on.record(Scale(beta), (input,))
    return on.record(Add(), (product, input))


@rule("einsum")
def einsum(on: Tape, equation: Any, *operands: Any) -> Any:
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    if not isinstance(equation, str) or len(operands) != 2 or "." in equation:
        return NotImplemented
    terms, _, wanted = equation.replace(" ", "").partition("->")
    first, _, second = terms.partition(",")
    if "->" not in equation:
        wanted = "".join(sorted(c for c in set(terms) - {","} if terms.count(c) == 1))
    sizes: dict[str, int] = {}
    for term, operand in zip((first, second), operands, strict=True):
        if len(set(term)) != len(term) or len(term) != operand.dim():
            return NotImplemented
        for letter, size in zip(term, operand.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                return NotImplemented
    inner = (set(first) & set(second)) - set(wanted)
    if not inner or (set(first) ^ set(second)) - set(wanted):
        return NotImplemented  # no contraction, or a sum over one operand alone
    batch = [c for c in wanted if c in first and c in second]
    rows = [c for c in wanted if c not in second]
    columns = [c for c in wanted if c not in first]
    k = prod(sizes[c] for c in inner)
    lead = tuple(sizes[c] for c in batch)
    m, n = (prod(sizes[c] for c in letters) for letters in (rows, columns))
    result = torch.empty([sizes[c] for c in wanted], dtype=operands[0].dtype, device=META)
    shapes = ((*lead, m, k), (*lead, k, n))
    return on.record(Matmul(), operands, shapes=shapes, result=result)


@rule("_grouped_mm", "grouped_mm", checked=True)  # on meta torch takes bfloat16 alone
def grouped(
    on: Tape,
    input: Tensor,
    mat2: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: Any = None,
) -> Any:
    """Each row of the input times one of several matrices: a mixture of experts.

    Groups of rows, of columns or of what is summed over, where an operand has no axis of groups.
    """
    require_alike(input, mat2)
    if input.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ShapeError(f"its operands are {type_name(input.dtype)}, expected float32 or shorter")
    m, k, n = input.shape[-2], input.shape[-1], mat2.shape[-1]
    _require_groups(input, mat2, offs)
    if bias is not None:
        return NotImplemented
    shape: tuple[int, ...] = (m, n)
    if input.dim() == mat2.dim():
        groups = input.shape[0] if offs is None else offs.shape[0]
        shape = (groups, m, n)
    lead = shape[:-2] if offs is None else ()
    shapes = ((*lead, m, k), (*lead, k, n))
    result = torch.empty(shape, dtype=out_dtype or input.dtype, device=META)
    if on.is_weight(mat2) and input.dim() == 2:
        op = Linear(n, bias=False)
        return on.record(op, (input,), (mat2,), shapes=shapes[:1], result=result)
    return on.record(Matmul(), (input, mat2), shapes=shapes, result=result)


def _require_groups(input: Tensor, mat2: Tensor, offs: Tensor | None) -> None:
    ranks = (input.dim(), mat2.dim())
    if not {2, 3}.issuperset(ranks):
        raise ShapeError(f"its operands have {ranks[0]} and {ranks[1]} axes, expected 2 or 3")
    if (offs is None) == (2 in ranks):
        raise ShapeError("it takes the ends of groups (offs) if an operand has 2 axes, else none")
    groups = {len(offs)} if offs is not None else set[int]()
    groups |= {len(tensor) for tensor in (input, mat2) if tensor.dim() == 3}
    if input.shape[-1] != mat2.shape[-2] or len(groups) != 1:
        shapes = formatting.shapes([tuple(input.shape), tuple(mat2.shape)])
        raise ShapeError(f"its operands {shapes} do not fit, or not its groups")


def _linear(on: Tape, input: Tensor, weight: Tensor, bias: Tensor | None, features: int) -> Any:
    rank = max(input.dim(), 2)
    return on.apply(Linear, (features, bias is not None), input, rank, (weight, bias))


@rule("bilinear")
def bilinear(
    on: Tape, input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Any:
    """``x1ᵀ A x2`` for each output: ``x1`` through all of the weight, then times ``x2``."""
    out, _, width = weight.shape
    rows = tuple(input1.shape[:-1])
    lead = rows or (1,)
    op, of_one = Linear(out * width, bias=False), (*lead, input1.shape[-1])
    between = torch.empty((*lead, out * width), dtype=input1.dtype, device=META)
    through = on.record(op, (input1,), (weight,), shapes=(of_one,), result=between)
    result = torch.empty((*rows, out), dtype=input1.dtype, device=META)
    shapes = ((*lead, out, width), (*lead, width, 1))
    product = on.record(Matmul(), (through, input2), shapes=shapes, result=result)
    return product if bias is None else on.record(Add(), (product, bias))


@rule("outer", "ger")
def outer(on: Tape, input: Tensor, vec2: Tensor) -> Any:
    result = torch.empty((input.shape[0], vec2.shape[0]), dtype=input.dtype, device=META)
    shapes = ((*input.shape, 1), (1, *vec2.shape))
    return on.record(Pair("mul"), (input, vec2), shapes=shapes, result=result)


@rule("cross")
def cross(on: Tape, input: Tensor, other: Tensor, dim: Any = -1) -> Any:
    """Each of three elements is the difference of two products."""
    require_alike(input, other)
    both = [on.record(Multiply(), (input, other)) for _ in range(2)]
    return on.record(Pair("sub"), both)


@rule("_int_mm")
def int_mm(on: Tape, input: Tensor, mat2: Tensor) -> Any:
    """Of whole numbers of 8 bits, into 32 bits."""
    return matmul(on, input, mat2, out_dtype=torch.int32)


@rule("_scaled_mm", checked=True)  # torch wants strides of scales, which are not followed
def scaled_mm(
    on: Tape,
    input: Tensor,
    mat2: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    bias: Tensor | None = None,
    scale_result: Tensor | None = None,
    out_dtype: Any = None,
    use_fast_accum: bool = False,
) -> Any:
    """A product of numbers of 8 bits, of which each is then multiplied by the two scales."""
    return _scaled(on, (input, mat2), ([scale_a], [scale_b]), bias, out_dtype)


@rule("_scaled_mm_v2", checked=True)
def scaled_mm_v2(
    on: Tape,
    self: Tensor,
    mat2: Tensor,
    scale_a: Sequence[Tensor],
    recipe_a: Any,
    swizzle_a: Any,
    scale_b: Sequence[Tensor],
    recipe_b: Any,
    swizzle_b: Any,
    bias: Tensor | None,
    out_dtype: Any,
    contraction_dim: Any = (),
    use_fast_accum: bool = False,
) -> Any:
    """What ``F.scaled_mm`` calls: each operand may have several scales."""
    if contraction_dim:
        return NotImplemented
    return _scaled(on, (self, mat2), (scale_a, scale_b), bias, out_dtype)


def _scaled(
    on: Tape,
    operands: tuple[Tensor, Tensor],
    scales: tuple[Sequence[Tensor], Sequence[Tensor]],
    bias: Tensor | None,
    out_dtype: Any,
) -> Any:
    """A product that is multiplied by scales of all, or of rows and columns.

    Where there is one for each block of an operand, that is multiplied by it before.
    """
    for operand in operands:
        size = formatting.shape(operand.shape)
        if operand.dim() != 2 or operand.dtype.itemsize != 1 or not operand.is_floating_point():
            raise ShapeError(
                f"it multiplies matrices of float8, not {size} {type_name(operand.dtype)}"
            )
    if operands[0].shape[1] != operands[1].shape[0]:
        left, right = (formatting.shape(operand.shape) for operand in operands)
        raise ShapeError(f"{left} and {right} do not fit: columns of the first, rows of the second")
    if "float4" in str(operands[0].dtype):  # two numbers in each element
        return NotImplemented
    if bias is not None:
        require_length("bias", bias, operands[1].shape[1])
    shape = (operands[0].shape[0], operands[1].shape[1])
    whole, taken = [], []
    for operand, own in zip(operands, scales, strict=True):
        for scale in own:
            spread = tuple(scale.shape) if scale.numel() > 1 else ()
            if all(have in (1, size) for have, size in zip(spread, shape, strict=False)):
                whole.append((scale, spread))
            else:
                both = (tuple(operand.shape),) * 2
                operand = on.record(Multiply(), (operand, scale), shapes=both)  # noqa: PLW2901
        taken.append(operand)
    product = matmul(on, *taken, out_dtype=out_dtype or operands[0].dtype)
    for scale, spread in whole:
        product = on.record(Multiply(), (product, scale), shapes=(shape, spread))
    return product if bias is None else on.record(Add(), (product, bias))


@rule("_weight_int8pack_mm")
def int8pack_mm(on: Tape, input: Tensor, mat2: Tensor, scales: Tensor) -> Any:
    """With the transposed weight, and a scale for each of its rows."""
    if mat2.dim() != 2:
        return NotImplemented
    product = _linear(on, input, mat2, None, mat2.shape[0])
    return on.record(Multiply(), (product, scales))
