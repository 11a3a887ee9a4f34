"""ptflops, its ``aten`` backend: contractions at dispatch, with bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab.counters import Counter, CounterTotal, ptflops
from costlab.counters.quantities import (
    bias,
    gates_with_bias,
    macs,
    macs_of_fused_attention,
    macs_of_repeated_scores,
    macs_with_a_vector,
    outputs,
)
from costlab.counters.terms import Event, Term, function, has_contraction, operation

if TYPE_CHECKING:
    from torch import Tensor, nn


def _linear_on_what_is_not_contiguous(event: Event) -> bool:
    linear = event.operation
    return linear is not None and linear.name == "linear" and linear.strided


def _bias_where_stacked(event: Event) -> int:
    return bias(event) if len(event.output) > 2 else 0


_CONVENTION = (
    Term("contractions", "1 per MAC", where=(has_contraction,), units={macs: 1}),
    Term(
        "bias",
        "1 per output",
        where=operation("conv", "conv_transpose", "linear"),
        units={bias: 1},
    ),
    Term(
        "no formula for attention",
        "fused on the CPU",
        where=operation("attention"),
        units={macs_of_fused_attention: -1},
        fault=True,
    ),
    Term(
        "scores of attention",
        "once for values that share them",
        where=operation("attention"),
        units={macs_of_repeated_scores: -1},
    ),
    Term(
        "no formula for an LSTM",
        "one call of oneDNN",
        where=function("lstm", consists_of="recurrent", cell="lstm", projected=0),
        units={macs: -1, gates_with_bias: -2},
        fault=True,
    ),
    Term(
        "bias of recurrent layers",
        "2 per gate",
        where=operation("recurrent"),
        units={gates_with_bias: 2},
    ),
    Term(
        "what addmm adds",
        "1 per output",
        where=function("addmm", consists_of="add"),
        units={outputs: 1},
    ),
    Term(
        "no formula for baddbmm",
        where=function("baddbmm", consists_of="matmul"),
        units={macs: -1},
        fault=True,
    ),
    Term(
        "no bias of linear layers",
        "on what is not contiguous",
        where=(_linear_on_what_is_not_contiguous,),
        units={_bias_where_stacked: -1},
        fault=True,
    ),
    Term(
        "no formula for products with a vector",
        where=operation("matmul"),
        units={macs_with_a_vector: -1},
        fault=True,
    ),
    Term(
        "no formula for grouped products",
        "of a mixture of experts",
        where=function("grouped_mm", "_grouped_mm"),
        units={macs: -1},
        fault=True,
    ),
    Term("no formula for bilinear", where=function("bilinear"), units={macs: -1}, fault=True),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What ``get_model_complexity_info`` gives. Raises ``ImportError`` if it is not installed."""
    return ptflops.total(module, inputs, "aten")


COUNTER = Counter(
    "ptflops_aten",
    package="ptflops",
    versions=ptflops.COUNTER.versions,
    total=total,
    convention=_CONVENTION,
    params=ptflops.PARAMS,
)
