"""calflops: functions of torch replaced by its own; this is what it calls FLOPs."""

from __future__ import annotations

from torch import Tensor, nn

from costlab.counters import Line, Total, calflops

PACKAGE, PARAMS, AGAIN = calflops.PACKAGE, calflops.PARAMS, calflops.AGAIN

_NORMS = "F.layer_norm:layer_norm{0} F.group_norm:group_norm{0} F.instance_norm:instance_norm{0}"
_POOLS = " ".join(
    f"F.{name}{rank}d:{name}"
    for name in ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool")
    for rank in (1, 2, 3)
)
_SUMS = "torch.add torch.mul Tensor.add Tensor.mul"
_RNN, _GRU, _LSTM = "nn.RNN nn.RNNCell", "nn.GRU nn.GRUCell", "nn.LSTM nn.LSTMCell"
_RECURRENT = f"{_RNN} {_GRU} {_LSTM}"

CONVENTION = (
    *calflops.contractions(2),
    Line("bias, 1 per output, of convolutions", calflops.CONVS, {"bias": 1}, again=AGAIN),
    Line(
        'bias for padding="same", a place too few for an even kernel',
        " ".join(f"{each}[padding=same]" for each in calflops.CONVS.split()),
        {"bias of same, less for even": 1, "bias": -1},
        fault=True,
        again=AGAIN,
    ),
    Line(
        "bias of a transposed convolution, as if it were none",
        calflops.TRANSPOSED,
        {"bias as of a convolution": 1},
        fault=True,
        again=AGAIN,
    ),
    Line(
        "what addmm and baddbmm add, 1 per element",
        "torch.addmm:add Tensor.addmm:add torch.baddbmm:add",
        {"second's elements": 1},
        again=AGAIN,
    ),
    Line(
        "bias of addmm, once and not for each row",
        "torch.addmm:linear Tensor.addmm:linear",
        {"bias elements": 1},
        fault=True,
        again=AGAIN,
    ),
    Line("einsum, as numpy counts it", "torch.einsum:matmul", {"flops in four digits": 1}),
    Line(
        "contractions, 2 per MAC, of recurrent layers",
        _RECURRENT,
        {"recurrent macs": 2},
        again=AGAIN,
    ),
    Line("gates of recurrent layers, less 2 per element", _RECURRENT, {"gates": -2}, again=AGAIN),
    Line("bias of recurrent layers, 2 per gate", _RECURRENT, {"gates with bias": 2}, again=AGAIN),
    Line("states of recurrent layers, 1 per element of an RNN", _RNN, {"states": 1}, again=AGAIN),
    Line("states of recurrent layers, 7 per element of a GRU", _GRU, {"states": 7}, again=AGAIN),
    Line(
        "states of recurrent layers, 10 per element of an LSTM", _LSTM, {"states": 10}, again=AGAIN
    ),
    Line(
        "activations, 1 per element",
        "F.relu F.prelu F.elu F.leaky_relu F.relu6 F.silu F.gelu F.softmax",
        {"outputs": 1},
        again=AGAIN,
    ),
    Line(
        "norms, 1 per element of batch norm", "F.batch_norm:batch_norm", {"outputs": 1}, again=AGAIN
    ),
    Line(
        "scale and shift of norms, 1 per element of batch norm",
        "F.batch_norm:batch_norm[affine=True]",
        {"outputs": 1},
        again=AGAIN,
    ),
    Line(
        "norms, 4 per element of layer, group and instance norm",
        _NORMS.format(""),
        {"outputs": 4},
        again=AGAIN,
    ),
    Line(
        "scale and shift of norms, 1 per element",
        _NORMS.format("[affine=True]"),
        {"outputs": 1},
        again=AGAIN,
    ),
    Line("pooling, 1 per input", _POOLS, {"inputs": 1}, again=AGAIN),
    Line(
        "interpolation by a factor, 1 per input and not per output",
        "F.interpolate",
        {"inputs": 1},
        fault=True,
        again=AGAIN,
    ),
    Line(
        "interpolation to a size, of one channel of one item",
        "F.interpolate_to_size",
        {"places": 1},
        fault=True,
        again=AGAIN,
    ),
    Line(
        "local response norm, by its own steps",
        "lrn",
        {"outputs": 3, "padded channels": 1},
        again=AGAIN,
    ),
    Line(
        "sums and products, 1 per element, by function or method",
        _SUMS,
        {"outputs": 1},
        again=AGAIN,
    ),
    Line(
        "sums of unlike shapes, aligned from the left",
        _SUMS,
        {"broadcast from the left": 1, "outputs": -1},
        fault=True,
        again=AGAIN,
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``calculate_flops`` gives. Raises ``ImportError`` if it is not installed."""
    return calflops.total(module, inputs, "flops")
