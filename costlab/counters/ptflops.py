"""ptflops, its ``pytorch`` backend: hooks on modules, and patched functions, at the same time."""

from __future__ import annotations

from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from typing import Any

from torch import Tensor, nn

from costlab.counters import Line, Params, Total

PACKAGE = "ptflops"

_AGAIN = "modules in several places, once more for each"
_CONTRACTIONS = (
    "nn.Conv1d nn.Conv2d nn.Conv3d nn.ConvTranspose1d nn.ConvTranspose2d nn.ConvTranspose3d "
    "nn.Linear"
)
_POOLS = {
    f"{kind}{rank}d": f"F.{name}{rank}d:{name}"
    for kind, name in {
        "MaxPool": "max_pool",
        "AvgPool": "avg_pool",
        "AdaptiveMaxPool": "adaptive_max_pool",
        "AdaptiveAvgPool": "adaptive_avg_pool",
    }.items()
    for rank in (1, 2, 3)
}
_NORMS = (
    "nn.BatchNorm1d{0} nn.BatchNorm2d{0} nn.BatchNorm3d{0} nn.InstanceNorm1d{0} "
    "nn.InstanceNorm2d{0} nn.InstanceNorm3d{0} nn.GroupNorm{0}"
)
_RNN, _GRU, _LSTM = "nn.RNN nn.RNNCell", "nn.GRU nn.GRUCell", "nn.LSTM nn.LSTMCell"
_PRODUCTS = "torch.matmul torch.mm torch.bmm Tensor.matmul Tensor.mm Tensor.bmm"
_SUMS = "torch.add torch.mul Tensor.add Tensor.mul"

CONVENTION = (
    Line("contractions, 1 per MAC, of modules", _CONTRACTIONS, {"macs": 1}, again=_AGAIN),
    Line("bias, 1 per output", _CONTRACTIONS, {"bias": 1}, again=_AGAIN),
    Line(
        "contractions, 1 per MAC, of recurrent layers",
        f"{_RNN} {_GRU} {_LSTM}",
        {"recurrent macs": 1},
        again=_AGAIN,
    ),
    Line(
        "bias of recurrent layers, 2 per gate",
        f"{_RNN} {_GRU} {_LSTM}",
        {"gates with bias": 2},
        again=_AGAIN,
    ),
    Line("states of recurrent layers, 1 per element of an RNN", _RNN, {"states": 1}, again=_AGAIN),
    Line("states of recurrent layers, 7 per element of a GRU", _GRU, {"states": 7}, again=_AGAIN),
    Line(
        "states of recurrent layers, 10 per element of an LSTM", _LSTM, {"states": 10}, again=_AGAIN
    ),
    Line(
        "contractions, 1 per MAC, by function or method",
        f"{_PRODUCTS} torch.addmm torch.baddbmm Tensor.addmm",
        {"macs": 1},
    ),
    Line(
        "products of stacks, as many as the first has",
        " ".join(f"{each}:matmul" for each in _PRODUCTS.split()),
        {"macs of the first stack": 1, "macs": -1},
        fault=True,
    ),
    Line(
        "bias of addmm, once and not for each row",
        "torch.addmm:linear Tensor.addmm:linear",
        {"bias elements": 1},
        fault=True,
    ),
    Line(
        "what addmm and baddbmm add, 1 per element",
        "torch.addmm:add torch.baddbmm:add Tensor.addmm:add",
        {"second's elements": 1},
    ),
    Line(
        "sums and products, 1 per element, by function or method",
        _SUMS,
        {"outputs": 1},
    ),
    Line(
        "sums of unlike shapes, aligned from the left",
        _SUMS,
        {"broadcast from the left": 1, "outputs": -1},
        fault=True,
    ),
    Line("norms, 1 per element", f"{_NORMS.format('')} nn.LayerNorm", {"inputs": 1}, again=_AGAIN),
    Line(
        "scale and shift of norms, 1 per element",
        _NORMS.format("[affine=True]"),
        {"inputs": 1},
        again=_AGAIN,
    ),
    Line(
        "activations, 1 per element, of modules",
        "nn.ReLU nn.PReLU nn.ELU nn.LeakyReLU nn.ReLU6 nn.GELU",
        {"outputs": 1},
        again=_AGAIN,
    ),
    Line(
        "activations called by modules, counted twice",
        "F.relu F.prelu F.elu F.relu6 F.gelu F.silu",
        {"outputs": 1},
        fault=True,
    ),
    Line(
        "pooling, 1 per input, of modules",
        " ".join(f"nn.{pool}" for pool in _POOLS),
        {"inputs": 1},
        again=_AGAIN,
    ),
    Line(
        "pooling called by modules, counted twice",
        " ".join(_POOLS.values()),
        {"inputs": 1},
        fault=True,
    ),
    Line("softmax, 1 per element", "F.softmax", {"outputs": 1}),
    Line("interpolation, 1 per output", "F.interpolate F.interpolate_to_size", {"outputs": 1}),
    Line(
        "upsampling modules again, one item of the batch",
        "nn.Upsample",
        {"outputs by item": 1},
        fault=True,
        again=_AGAIN,
    ),
    Line(
        "local response norm, by its own steps",
        "lrn",
        {"outputs": 3, "padded channels": 1},
    ),
    Line(
        "multi-head attention, 1 per MAC, score and scaled query",
        "nn.MultiheadAttention",
        {"macs": 1, "scores": 1, "inputs": 1},
        again=_AGAIN,
    ),
    Line(
        "bias of multi-head attention, 1 per output",
        "nn.MultiheadAttention",
        {"outputs": 1},
        again=_AGAIN,
    ),
    Line(
        "bias of multi-head attention, 1 per query, key and value",
        "nn.MultiheadAttention[in_proj_bias=given]",
        {"inputs together": 1},
        again=_AGAIN,
    ),
)

PARAMS = Params("trainable", missing="that are frozen")


def total(module: nn.Module, inputs: tuple[Tensor, ...], backend: str = "pytorch") -> Total:
    """What ``get_model_complexity_info`` gives. Raises ``ImportError`` if it is not installed."""
    import ptflops

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, inputs: tuple[Tensor, ...]) -> Any:
            return self.module(*inputs)

    said = StringIO()
    with redirect_stdout(said):  # where it says what went wrong
        counted, params = ptflops.get_model_complexity_info(
            Whole(),
            (1,),
            as_strings=False,
            print_per_layer_stat=False,
            verbose=False,
            backend=backend,
            input_constructor=lambda _: {"inputs": inputs},
        )
    if counted is None:
        raise RuntimeError(said.getvalue().partition("exception:")[2].strip())
    return Total(version("ptflops"), int(counted), int(params))
