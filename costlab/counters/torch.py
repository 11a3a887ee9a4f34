"""torch's own counter, ``FlopCounterMode``: counts at dispatch, two units per MAC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costlab.counters import Counter, CounterTotal, Measurement
from costlab.counters.dispatched import is_in_steps, without_formula
from costlab.counters.events import Event
from costlab.counters.quantities import (
    macs,
    macs_of_fused_attention,
)
from costlab.counters.terms import Macs, Term, function, has_contraction, operation

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode


@Macs
def _macs_of_attention_without_formula(event: Event) -> int:
    """MACs of attention that is fused on the CPU, which torch counts from 2.15 on."""
    return 0 if _has_formula(_FUSED_ATTENTION) else macs_of_fused_attention(event)


def _has_formula(operator: str) -> bool:
    """Whether the counter of this torch has a formula for an operator of that name."""
    import torch
    from torch.utils.flop_counter import flop_registry

    return getattr(torch.ops.aten, operator, None) in flop_registry


_FUSED_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"

_CONVENTION = (
    Term("contractions", "2 per MAC", where=(has_contraction,), units={macs: 2}),
    Term(
        "no formula for attention",
        "fused on the CPU",
        where=operation("attention"),
        units={_macs_of_attention_without_formula: -2},
        fault=True,
    ),
    Term(
        "no formula for an LSTM",
        "one call of oneDNN",
        where=function("lstm", consists_of="recurrent", cell="lstm", projected=0),
        but=(is_in_steps,),
        units={macs: -2},
        fault=True,
    ),
    Term(
        "no formula for addbmm",
        where=function("addbmm", consists_of="matmul"),
        units={macs: -2},
        fault=True,
    ),
    Term("no formula for conv_tbc", where=function("conv_tbc"), units={macs: -2}, fault=True),
    *without_formula(2),
)

_UNCOUNTED = {
    _FUSED_ATTENTION: "attention, fused on the CPU",
    "mkldnn_rnn_layer": "an LSTM, one call of oneDNN",
    "mv": "a product with a vector",
    "dot": "a product with a vector",
    "vdot": "a product with a vector",
    "_grouped_mm": "grouped products",
    "_trilinear": "bilinear",
    "addbmm": "addbmm",
    "conv_tbc": "conv_tbc",
}
"""Contractions that it has no formula for, in most releases, and passes over in silence."""


def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """MACs of contractions by module path: half of its count, which is even.

    Gaps are the contractions that it has no formula for.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    uncounted: dict[str, str] = {}
    with torch.no_grad(), _noting(uncounted, counter), counter:
        module(*inputs)
    root = type(module).__name__
    macs = {path: 0 for path, _ in module.named_modules()}
    for name, operators in counter.get_flop_counts().items():
        path = _path(name, root)
        if path is not None:
            macs[path] = _half(int(sum(operators.values())))
    reasons = {_path(name, root): reason for name, reason in uncounted.items()}
    return Measurement(
        "torch",
        version(),
        {"macs": macs},
        {path: reason for path, reason in reasons.items() if path is not None},
    )


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
    """All that it counts."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    root = type(module).__name__
    by_path = {
        path: int(sum(operators.values()))
        for name, operators in counter.get_flop_counts().items()
        if (path := _path(name, root)) is not None
    }
    return CounterTotal(version(), counter.get_total_flops(), None, by_path)


def version() -> str:
    """The release of torch."""
    from torch import __version__

    return __version__.partition("+")[0]


def _noting(uncounted: dict[str, str], counter: FlopCounterMode) -> TorchDispatchMode:
    """Sees what the counter sees after it, and notes by module where it has no formula."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Noting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            name = func._schema.name.partition("::")[2]
            if name in _UNCOUNTED and not _has_formula(name):
                for module in counter.mod_tracker.parents:
                    uncounted[module] = f"it has no formula for {_UNCOUNTED[name]}"
            return func(*args, **(kwargs or {}))

    return Noting()  # type: ignore[no-untyped-call]


def _path(name: str, root: str) -> str | None:
    """The counter's name for a module as a path; None for what is none."""
    if name == root or name.startswith(f"{root}."):
        return name[len(root) + 1 :]
    return None


def _half(flops: int) -> int:
    macs, rest = divmod(flops, 2)
    if rest:
        raise ArithmeticError(f"FlopCounterMode gave {flops}, which is not 2 per multiply-add")
    return macs


COUNTER = Counter(
    "torch",
    package="torch.utils.flop_counter",
    measure=measure,
    total=total,
    by_module=True,
    convention=_CONVENTION,
    unit=2,
)
