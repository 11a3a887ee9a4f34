"""calflops: functions of torch replaced by its own; this is what it calls FLOPs."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal, calflops
from costlab.counters.events import Event, Operation
from costlab.counters.quantities import (
    bias,
    bias_of,
    flops_of_einsum,
    gates,
    inputs,
    macs,
    outputs,
    recurrent_macs,
)
from costlab.counters.replaced import (
    GRU,
    LSTM,
    POOLS,
    RNN,
    functions,
    recurrent_layers,
    unlike_sums,
    without_a_batch,
)
from costlab.counters.terms import (
    Macs,
    Repeats,
    Term,
    Where,
    call,
    function,
    is_einsum,
)

if TYPE_CHECKING:
    from torch import Tensor, nn


def _norms(**attributes: Any) -> Where:
    norms = ("layer_norm", "group_norm", "instance_norm")
    by_norm = (call(f"F.{norm}", consists_of=norm, **attributes) for norm in norms)
    tracked = call("F.instance_norm", consists_of="batch_norm", **attributes)  # by its statistics
    return sum(by_norm, tracked)


def bias_of_same(event: Event) -> int:
    """Bias of convolutions with ``padding="same"``, by the positions that it sees."""
    return sum(
        bias_of(conv) // prod(conv.output[2:]) * calflops.positions(conv)
        for conv in event.operations
    )


def _bias_as_of_a_convolution(event: Event) -> int:
    return sum(map(_outputs_as_of_a_convolution, event.operations))


def _outputs_as_of_a_convolution(transposed: Operation) -> int:
    """Outputs with a bias, if a transposed convolution were a convolution on its input."""
    given = transposed.attributes
    if not given.bias:
        return 0
    axes = calflops.per_axis(transposed, "kernel_size", "stride", "padding", "dilation")
    positions = prod(
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, (kernel, stride, padding, dilation) in zip(
            transposed.inputs[0][2:], axes, strict=True
        )
    )
    channels: int = transposed.output[1] // given.groups
    return transposed.output[0] * channels * positions


def _side(event: Event) -> int:
    return event.output[-1]


@Macs
def _more_macs_by_numpy(event: Event) -> int:
    """What numpy finds more than our MACs of an einsum, if it has any."""
    einsum = event.operations[0].einsum
    assert einsum is not None
    return int(flops_of_einsum(event) // 2) - einsum.macs if einsum.macs else 0


def _beside_macs_by_numpy(event: Event) -> int:
    """What numpy counts of an einsum beside MACs: 1, and all where there is no product."""
    einsum = event.operations[0].einsum
    assert einsum is not None
    return int(flops_of_einsum(event)) - 2 * (einsum.macs + _more_macs_by_numpy(event))


def _positions(event: Event) -> int:
    return prod(event.output[2:])


def beside_contractions(repeats: Repeats | None) -> tuple[Term, ...]:
    """What it counts beside them as DeepSpeed's profiler does, of which it is made."""
    term = partial(Term, repeats=repeats)
    recurrent = (
        term(
            "contractions",
            "2 per MAC, of recurrent layers",
            where=RNN + GRU + LSTM,
            units={recurrent_macs: 2},
        ),
        term(
            "gates of recurrent layers",
            "less 2 per element",
            where=RNN + GRU + LSTM,
            units={gates: -2},
        ),
        *recurrent_layers(repeats),
    )
    return (
        Term(
            "contractions",
            "2 per MAC, of functions and methods",
            where=function("einsum", consists_of="matmul"),
            units={macs: 2},
        ),
        Term(
            "einsum",
            "as numpy counts it, in its own order",
            where=(is_einsum,),
            units={_more_macs_by_numpy: 2, _beside_macs_by_numpy: 1},
        ),
        *recurrent,
        without_a_batch(recurrent, repeats),
        term(
            "activations",
            "1 per element",
            where=call(
                *("F.relu", "F.prelu", "F.elu", "F.leaky_relu", "F.relu6", "F.silu", "F.gelu"),
                "F.softmax",
            ),
            units={outputs: 1},
        ),
        term(
            "norms",
            "1 per element of batch norm",
            where=call("F.batch_norm", consists_of="batch_norm"),
            units={outputs: 1},
        ),
        term(
            "scale and shift of norms",
            "1 per element of batch norm",
            where=call("F.batch_norm", consists_of="batch_norm", affine=True),
            units={outputs: 1},
        ),
        term(
            "norms",
            "4 per element of layer, group and instance norm",
            where=_norms(),
            units={outputs: 4},
        ),
        term(
            "scale and shift of norms",
            "1 per element",
            where=_norms(affine=True),
            units={outputs: 1},
        ),
        term("pooling", "1 per input", where=POOLS, units={inputs: 1}),
        *functions(repeats),
        term(
            "interpolation to a size",
            "of one channel of one item",
            where=call("F.interpolate_to_size"),
            units={_positions: 1},
            fault=True,
        ),
        term(
            "interpolation to a size",
            "that is a number, of that number",
            where=call("F.interpolate_to_number"),
            units={_side: 1},
            fault=True,
        ),
    )


_Term = partial(Term, repeats=calflops.REPEATS)

_CONVENTION = (
    *calflops.contractions(2),
    _Term("bias", "1 per output, of convolutions", where=calflops.convs(), units={bias: 1}),
    _Term(
        'bias for padding="same"',
        "a place too few for an even kernel",
        where=calflops.convs(padding="same"),
        units={bias_of_same: 1, bias: -1},
        fault=True,
    ),
    _Term(
        "bias of a transposed convolution",
        "as if it were none",
        where=calflops.TRANSPOSED,
        units={_bias_as_of_a_convolution: 1},
        fault=True,
    ),
    _Term(
        "interpolation by a factor",
        "1 per input and not per output",
        where=call("F.interpolate"),
        units={inputs: 1},
        fault=True,
    ),
    unlike_sums(calflops.REPEATS),
    *beside_contractions(calflops.REPEATS),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What ``calculate_flops`` gives. Raises ``ImportError`` if it is not installed."""
    return calflops.total(module, inputs, "flops")


COUNTER = Counter(
    "calflops_flops",
    package="calflops",
    versions=calflops.COUNTER.versions,
    total=total,
    by_module=True,
    convention=_CONVENTION,
    unit=2,
    params=calflops.PARAMS,
)
