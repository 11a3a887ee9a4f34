"""ptflops, its ``aten`` backend: contractions at dispatch, with bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal, ptflops
from costlab.counters.dispatched import has_onednn, is_in_steps, without_formula
from costlab.counters.events import Event
from costlab.counters.quantities import (
    bias,
    gates_of,
    gates_with_bias,
    macs,
    macs_of_fused_attention,
    outputs,
)
from costlab.counters.terms import Term, function, has_contraction, module, operation

if TYPE_CHECKING:
    from torch import Tensor, nn


def _linear_on_what_is_not_contiguous(event: Event) -> bool:
    linear = event.operation
    return linear is not None and linear.name == "linear" and linear.strided


def _gates_with_bias_on_strided_input(event: Event) -> int:
    """Gates of a recurrent layer's first stack, if its input, steps first, is not contiguous.

    An LSTM without a projection is one call of oneDNN.
    """
    layers = event.of("recurrent")
    layer: Any = event.module
    if not layers or len(event.inputs[0]) < 3 or 1 in event.inputs[0][:2]:
        return 0
    is_lstm = layers[0].attributes.cell == "lstm" and not layer.proj_size
    if is_lstm and has_onednn(layers[0].type):
        return 0
    if not layers[0].strided:
        return 0
    directions = 2 if layer.bidirectional else 1
    return sum(gates_of(cell) for cell in layers[:directions] if cell.attributes.bias)


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
        "no formula for an LSTM",
        "one call of oneDNN",
        where=function("lstm", consists_of="recurrent", cell="lstm", projected=0),
        but=(is_in_steps,),
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
        where=function("baddbmm", "addbmm", consists_of="matmul"),
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
        "no formula for conv_tbc",
        where=function("conv_tbc"),
        units={macs: -1, bias: -1},
        fault=True,
    ),
    Term(
        "no bias of recurrent layers",
        "of the input, on what is not contiguous",
        where=module("nn.GRU", "nn.RNN", "nn.LSTM"),
        units={_gates_with_bias_on_strided_input: -1},
        fault=True,
    ),
    *without_formula(1),
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
