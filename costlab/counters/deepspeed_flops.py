"""DeepSpeed's flops profiler: functions of torch replaced by its own; what it calls FLOPs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab.counters import Counter, CounterTotal, calflops, calflops_flops, deepspeed
from costlab.counters.quantities import bias, outputs
from costlab.counters.terms import Term, call

if TYPE_CHECKING:
    from torch import Tensor, nn

_CONVENTION = (
    *deepspeed.contractions(2),
    Term(
        "bias",
        "1 per output, of convolutions",
        where=calflops.convs() + calflops.TRANSPOSED,
        units={bias: 1},
    ),
    Term(
        'bias for padding="same"',
        "a place too few for an even kernel",
        where=calflops.convs(padding="same"),
        units={calflops_flops.bias_of_same: 1, bias: -1},
        fault=True,
    ),
    Term("interpolation", "1 per output", where=call("F.interpolate"), units={outputs: 1}),
    *calflops_flops.beside_contractions(None),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """What its ``FlopsProfiler`` gives. Raises ``ImportError`` if it is not installed."""
    return deepspeed.total(module, inputs, "flops")


COUNTER = Counter(
    "deepspeed_flops",
    package=deepspeed.COUNTER.package,
    extra=deepspeed.COUNTER.extra,
    versions=deepspeed.COUNTER.versions,
    total=total,
    by_module=True,
    convention=_CONVENTION,
    unit=2,
    params=deepspeed.PARAMS,
)
