"""ptflops, its ``aten`` backend: contractions at dispatch, with bias."""

from __future__ import annotations

from torch import Tensor, nn

from costlab.counters import Line, Total, ptflops

CONVENTION = (
    Line("contractions, 1 per MAC", "contraction", {"macs": 1}),
    Line("bias, 1 per output", "conv conv_transpose linear", {"bias": 1}),
    Line("no formula for attention", "attention", {"macs": -1}, fault=True),
    Line("no formula for recurrent layers", "recurrent", {"macs": -1}, fault=True),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``get_model_complexity_info`` gives. Raises ``ImportError`` if it is not installed."""
    return ptflops.total(module, inputs, "aten")
