"""ptflops, its ``aten`` backend: contractions at dispatch, with bias."""

from __future__ import annotations

from torch import Tensor, nn

from costlab.counters import Line, Total, ptflops

PACKAGE, PARAMS = ptflops.PACKAGE, ptflops.PARAMS

_RECURRENT = "rnn_tanh rnn_relu gru lstm"

CONVENTION = (
    Line("contractions, 1 per MAC", "contraction", {"macs": 1}),
    Line("bias, 1 per output", "conv conv_transpose linear", {"bias": 1}),
    Line(
        "no formula for attention, fused on the CPU",
        "attention",
        {"fused attention macs": -1},
        fault=True,
    ),
    Line(
        "no formula for an LSTM, one call of oneDNN",
        "*.lstm:lstm[projected=0]",
        {"macs": -1, "gates with bias": -2},
        fault=True,
    ),
    Line("bias of recurrent layers, 2 per gate", _RECURRENT, {"gates with bias": 2}),
    Line("what addmm adds, 1 per output", "*.addmm:add", {"outputs": 1}),
    Line("no formula for baddbmm", "*.baddbmm:matmul", {"macs": -1}, fault=True),
    Line(
        "no bias of linear layers, on what is not contiguous",
        "linear[strided=True]",
        {"bias where stacked": -1},
        fault=True,
    ),
    Line(
        "no formula for products with a vector",
        "matmul",
        {"macs with a vector": -1},
        fault=True,
    ),
    Line(
        "no formula for grouped products, of a mixture of experts",
        "*.grouped_mm *._grouped_mm",
        {"macs": -1},
        fault=True,
    ),
    Line("no formula for bilinear", "*.bilinear", {"macs": -1}, fault=True),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``get_model_complexity_info`` gives. Raises ``ImportError`` if it is not installed."""
    return ptflops.total(module, inputs, "aten")
