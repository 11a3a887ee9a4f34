"""What counters at dispatch have in common: torch's own, and ptflops's ``aten`` backend.

Both have formulas of the same operators, and pass over the same others in silence.
"""

from __future__ import annotations

from costlab.counters.events import Event
from costlab.counters.quantities import (
    is_over_one_element,
    is_sparse_product_of_matrices,
    is_with_a_vector,
    macs_beyond_what_is_stored,
    macs_of_all_passes,
    macs_of_forward_passes,
    macs_of_repeated_scores,
)
from costlab.counters.terms import Term, Where, function, operation


def is_in_steps(event: Event) -> bool:
    """Whether it is a layer of an LSTM of which oneDNN has no one call.

    Over a packed sequence, or of a type that oneDNN has not on this machine.
    """
    operation = event.operation
    return operation is not None and (
        len(operation.inputs[0]) == 2 or not has_onednn(operation.type)
    )


def has_onednn(type: str) -> bool:
    """Whether oneDNN's recurrent layers, on this machine, have elements of that type."""
    import torch

    asked = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}
    if type in asked:
        answer = getattr(torch.ops.mkldnn, asked[type], None)
        return answer is not None and bool(answer())
    return type == "float32"


def without_formula(units: int) -> tuple[Term, ...]:
    """What neither has a formula for, or has another way, if one MAC is so many units."""
    return (
        Term(
            "scores of attention",
            "once for values that share them",
            where=operation("attention"),
            units={macs_of_repeated_scores: -units},
        ),
        Term(
            "no formula for products with a vector",
            where=(is_with_a_vector,),
            but=(*function("einsum", "bilinear"), _is_inner_of_rows),
            units={macs_of_all_passes: -units},
            fault=True,
        ),
        Term(
            "no formula for products in place",
            "addmm_ and the like",
            where=function("addmm_", "baddbmm_", "addbmm_"),
            units={macs_of_forward_passes: -units},
            fault=True,
        ),
        Term(
            "no formula for grouped products",
            "of a mixture of experts",
            where=function("grouped_mm", "_grouped_mm"),
            units={macs_of_all_passes: -units},
            fault=True,
        ),
        Term(
            "products with a sparse operand",
            "as if it were dense",
            where=(is_sparse_product_of_matrices,),
            units={macs_beyond_what_is_stored: units},
            fault=True,
        ),
        Term(
            "no formula for products with a sparse operand",
            "by torch.sparse, or with a vector",
            where=operation("sparse_matmul"),
            but=(is_sparse_product_of_matrices,),
            units={macs_of_all_passes: -units},
            fault=True,
        ),
        Term(
            "no formula for bilinear",
            where=function("bilinear"),
            units={macs_of_all_passes: -units},
            fault=True,
        ),
        Term(
            "einsum over one element",
            "multiplied without a product of matrices",
            where=(_is_einsum_over_one_element,),
            units={macs_of_all_passes: -units},
            fault=True,
        ),
    )


def _is_einsum_over_one_element(event: Event) -> bool:
    return _fits(function("einsum"), event) and is_over_one_element(event)


def _is_inner_of_rows(event: Event) -> bool:
    """Whether it is ``inner`` of more than two vectors, which multiplies them as matrices."""
    is_inner = _fits(function("inner"), event)
    return is_inner and max(map(len, event.operations[0].operands)) > 1


def _fits(where: Where, event: Event) -> bool:
    return any(fits(event) for fits in where)
