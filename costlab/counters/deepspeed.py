"""DeepSpeed's flops profiler: functions of torch replaced by its own; what it calls MACs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal, calflops
from costlab.counters.installed import version_of
from costlab.counters.quantities import macs, macs_by_queries, macs_of_the_first_stack
from costlab.counters.replaced import ADDED_PRODUCTS, profiled
from costlab.counters.terms import Params, Term, built, call

if TYPE_CHECKING:
    from torch import Tensor, nn

_PRODUCTS = (
    *("torch.matmul", "Tensor.matmul", "Tensor.__matmul__"),
    *(f"{home}.{name}" for home in ("torch", "Tensor") for name in ("mm", "bmm")),
)
_ATTENTION = call("F.scaled_dot_product_attention", consists_of="attention")


def contractions(units: int) -> tuple[Term, ...]:
    """What it counts for contractions, if one MAC is so many units."""
    functions = call("F.linear", *_PRODUCTS, *ADDED_PRODUCTS)
    return (
        Term(
            "contractions",
            f"{units} per MAC, of functions and methods",
            where=calflops.convs() + calflops.TRANSPOSED + functions + built("matmul"),
            units={macs: units},
        ),
        Term(
            "contractions",
            f"{units} per MAC, of functions and methods",
            where=_ATTENTION,
            units={macs: units},
        ),
        Term(
            "attention with other batches",
            "as many as the queries have",
            where=_ATTENTION,
            units={macs_by_queries: units, macs: -units},
            fault=True,
        ),
        Term(
            'padding="same"',
            "a place too few for an even kernel",
            where=calflops.convs(padding="same"),
            units={calflops.macs_of_same: units, macs: -units},
            fault=True,
        ),
        Term(
            "products of stacks",
            "as many as the first has",
            where=call(*_PRODUCTS, consists_of="matmul") + built("matmul"),
            units={macs_of_the_first_stack: units, macs: -units},
            fault=True,
        ),
    )


PARAMS = Params("all")


def total(module: nn.Module, inputs: tuple[Tensor, ...], quantity: str = "macs") -> CounterTotal:
    """What its ``FlopsProfiler`` gives. Raises ``ImportError`` if it is not installed."""
    profiler: Any = import_module("deepspeed.profiling.flops_profiler.profiler")
    profile = profiler.FlopsProfiler(module)
    by_path, params = profiled(profiler, profile, "profile", module, inputs, quantity)
    return CounterTotal(version_of("deepspeed"), by_path[""], params, by_path)


COUNTER = Counter(
    "deepspeed",
    package="deepspeed.profiling.flops_profiler",
    extra="deepspeed",
    versions=("0.19",),
    total=total,
    by_module=True,
    convention=contractions(1),
    params=PARAMS,
)
