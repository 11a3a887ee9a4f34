"""What counters at dispatch have in common: torch's own, and ptflops's ``aten`` backend.

Both have formulas of the same operators, and pass over the same others in silence.
"""

from __future__ import annotations

from costlab.counters.events import Event
from costlab.counters.quantities import (
    is_sparse_product_of_matrices,
    macs,
    macs_beyond_what_is_stored,
    macs_of_repeated_scores,
    macs_over_one_element,
    macs_with_a_vector,
)
from costlab.counters.terms import Term, function, operation


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
            where=operation("matmul"),
            but=function("einsum"),
            units={macs_with_a_vector: -units},
            fault=True,
        ),
        Term(
            "no formula for grouped products",
            "of a mixture of experts",
            where=function("grouped_mm", "_grouped_mm"),
            units={macs: -units},
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
            units={macs: -units},
            fault=True,
        ),
        Term(
            "no formula for bilinear",
            where=function("bilinear"),
            units={macs: -units},
            fault=True,
        ),
        Term(
            "einsum over one element",
            "multiplied without a product of matrices",
            where=function("einsum", consists_of="matmul"),
            units={macs_over_one_element: -units},
            fault=True,
        ),
    )
