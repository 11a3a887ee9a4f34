"""torch's own counter, ``FlopCounterMode``: counts at dispatch, two units per MAC."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, __version__, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from costlab.counters import Line, Measurement, Total

PACKAGE = "torch.utils.flop_counter"

CONVENTION = (
    Line("contractions, 2 per MAC", "contraction", {"macs": 2}),
    Line(
        "no formula for attention, fused on the CPU",
        "attention",
        {"fused attention macs": -2},
        fault=True,
    ),
    Line(
        "no formula for an LSTM, one call of oneDNN",
        "*.lstm:lstm[projected=0]",
        {"macs": -2},
        fault=True,
    ),
    Line(
        "no formula for products with a vector",
        "matmul",
        {"macs with a vector": -2},
        fault=True,
    ),
    Line(
        "no formula for grouped products, of a mixture of experts",
        "*.grouped_mm *._grouped_mm",
        {"macs": -2},
        fault=True,
    ),
    Line("no formula for bilinear", "*.bilinear", {"macs": -2}, fault=True),
)

UNCOUNTED = {
    "_scaled_dot_product_flash_attention_for_cpu": "attention, fused on the CPU",
    "mkldnn_rnn_layer": "an LSTM, one call of oneDNN",
    "mv": "a product with a vector",
    "dot": "a product with a vector",
    "vdot": "a product with a vector",
    "_grouped_mm": "grouped products",
    "_trilinear": "bilinear",
}
"""Contractions that it has no formula for, and passes over in silence."""


def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> Measurement:
    """MACs of contractions by module path: half of its count, which is even.

    Gaps are the contractions that it has no formula for.
    """
    counter = FlopCounterMode(display=False)
    gaps = _Gaps(counter)
    with torch.no_grad(), gaps, counter:
        module(*inputs)
    root = type(module).__name__
    macs = {path: 0 for path, _ in module.named_modules()}
    for place, operators in counter.get_flop_counts().items():
        path = _path(place, root)
        if path is not None:
            macs[path] = _half(int(sum(operators.values())))
    reasons = {_path(place, root): reason for place, reason in gaps.found.items()}
    return Measurement(
        "torch",
        __version__.partition("+")[0],
        {"macs": macs},
        {path: reason for path, reason in reasons.items() if path is not None},
    )


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """All that it counts."""
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    root = type(module).__name__
    places = {
        path: int(sum(operators.values()))
        for place, operators in counter.get_flop_counts().items()
        if (path := _path(place, root)) is not None
    }
    return Total(__version__.partition("+")[0], counter.get_total_flops(), None, places)


class _Gaps(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees what the counter sees after it, and notes where it has no formula."""

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: dict[str, str] = {}
        self._counter = counter

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func._schema.name.partition("::")[2]
        if name in UNCOUNTED:
            for place in self._counter.mod_tracker.parents:
                self.found[place] = f"it has no formula for {UNCOUNTED[name]}"
        return func(*args, **(kwargs or {}))


def _path(place: str, root: str) -> str | None:
    """The counter's name for a module as a path; None for what is none."""
    if place == root or place.startswith(f"{root}."):
        return place[len(root) + 1 :]
    return None


def _half(flops: int) -> int:
    macs, rest = divmod(flops, 2)
    if rest:
        raise ArithmeticError(f"FlopCounterMode gave {flops}, which is not 2 per multiply-add")
    return macs
