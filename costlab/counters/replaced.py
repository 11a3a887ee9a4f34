"""What counters have in common that put functions of their own in the place of torch's.

These are ptflops, calflops and DeepSpeed's profiler: each is made of another, faults included.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from costlab.counters.events import Event
from costlab.counters.quantities import (
    bias_elements,
    broadcast_from_the_left,
    gates_with_bias,
    inputs,
    outputs,
    padded_channels,
    second_input,
    states,
)
from costlab.counters.terms import Macs, Repeats, Term, call, function, module, operation

if TYPE_CHECKING:
    from torch import Tensor, nn

ADDED_PRODUCTS = ("torch.addmm", "Tensor.addmm", "torch.baddbmm")
RNN, GRU = module("nn.RNN", "nn.RNNCell"), module("nn.GRU", "nn.GRUCell")
LSTM = module("nn.LSTM", "nn.LSTMCell")
POOLS = sum(
    (
        call(*(f"F.{name}{rank}d" for rank in (1, 2, 3)), consists_of=name)
        for name in ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool")
    ),
    (),
)
INTERPOLATIONS = ("F.interpolate", "F.interpolate_to_size", "F.interpolate_to_number")
_SUMS = call("torch.add", "torch.mul", "Tensor.add", "Tensor.mul")


def profiled(
    home: Any, profile: Any, what: str, module: nn.Module, inputs: tuple[Tensor, ...], quantity: str
) -> tuple[dict[str, int], int]:
    """What calflops or DeepSpeed's profiler, made of each other, has of modules; and their params.

    ``home`` is the tool's module, ``what`` its profile starts and ends, ``quantity`` ``"macs"`` or
    ``"flops"``.
    """
    home.module_flop_count.clear()  # which a model that raised leaves behind
    home.module_mac_count.clear()
    getattr(profile, f"start_{what}")()
    module(*inputs)
    of = getattr(home, f"get_module_{quantity}")
    by_path = {path: int(of(inner)) for path, inner in module.named_modules()}
    params = int(profile.get_total_params())
    getattr(profile, f"end_{what}")()
    return by_path, params


def recurrent_layers(repeats: Repeats | None) -> tuple[Term, ...]:
    """Their bias and their states."""
    return (
        Term(
            "bias of recurrent layers",
            "2 per gate",
            where=RNN + GRU + LSTM,
            units={gates_with_bias: 2},
            repeats=repeats,
        ),
        *(
            Term(
                "states of recurrent layers",
                f"{units} per element of {cell}",
                where=where,
                units={states: units},
                repeats=repeats,
            )
            for cell, where, units in (("an RNN", RNN, 1), ("a GRU", GRU, 7), ("an LSTM", LSTM, 10))
        ),
    )


def without_a_batch(terms: Iterable[Term], repeats: Repeats | None) -> Term:
    """The fault of what takes the width of a sequence without a batch for its batch or length.

    All that ``terms`` say of a recurrent layer is counted that often.
    """
    terms = tuple(terms)

    def more(event: Event, of_macs: bool) -> int:
        layers = event.of("recurrent")
        if not layers or len(event.inputs[0]) != len(layers[0].inputs[0]) - 1:
            return 0
        units = sum(
            factor * quantity(event)
            for term in terms
            if term.counts(event)
            for quantity, factor in term.units.items()
            if isinstance(quantity, Macs) == of_macs
        )
        return (event.inputs[0][-1] - 1) * units

    return Term(
        "recurrent layers without a batch",
        "as often as their input is wide",
        where=RNN + GRU + LSTM,
        units={Macs(partial(more, of_macs=True)): 1, partial(more, of_macs=False): 1},
        fault=True,
        repeats=repeats,
    )


def functions(repeats: Repeats | None) -> tuple[Term, ...]:
    """What they count beside contractions, by function."""
    return (
        Term(
            "what addmm and baddbmm add",
            "1 per element",
            where=call(*ADDED_PRODUCTS, consists_of="add"),
            units={second_input: 1},
            repeats=repeats,
        ),
        Term(
            "bias of addmm",
            "once and not for each row",
            where=call("torch.addmm", "Tensor.addmm", consists_of="linear"),
            units={bias_elements: 1},
            fault=True,
            repeats=repeats,
        ),
        Term(
            "pooling of powers",
            "1 per input and 2 per output",
            where=function("lp_pool1d", "lp_pool2d", "lp_pool3d", consists_of="avg_pool"),
            units={inputs: 1, outputs: 2},
            repeats=repeats,
        ),
        Term(
            "interpolation by areas",
            "1 per input of its pooling too",
            where=call(*INTERPOLATIONS, consists_of="adaptive_avg_pool"),
            units={inputs: 1},
            fault=True,
            repeats=repeats,
        ),
        Term(
            "local response norm",
            "by its own steps",
            where=operation("lrn"),
            units={outputs: 3, padded_channels: 1},
            repeats=repeats,
        ),
        Term(
            "sums and products",
            "1 per element, by function or method",
            where=_SUMS,
            units={outputs: 1},
            repeats=repeats,
        ),
    )


def unlike_sums(repeats: Repeats | None) -> Term:
    """Of ptflops and calflops; DeepSpeed has mended it."""
    return Term(
        "sums of unlike shapes",
        "aligned from the left",
        where=_SUMS,
        units={broadcast_from_the_left: 1, outputs: -1},
        fault=True,
        repeats=repeats,
    )
