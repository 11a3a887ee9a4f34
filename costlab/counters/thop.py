"""thop (pytorch-OpCounter): hooks on modules of known classes; functions are not seen."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from torch import Tensor, nn

from costlab.counters import Line, Params, Total

PACKAGE = "thop"

_AGAIN = "modules in several places, with a hook for each in each"
_CONVS = "nn.Conv1d nn.Conv2d nn.Conv3d"
_TRANSPOSED = "nn.ConvTranspose1d nn.ConvTranspose2d nn.ConvTranspose3d"
_NORMS = (
    "nn.BatchNorm1d{0} nn.BatchNorm2d{0} nn.BatchNorm3d{0} nn.SyncBatchNorm{0} "
    "nn.InstanceNorm1d{0} nn.InstanceNorm2d{0} nn.InstanceNorm3d{0}"
)
_SCALED = f"{_NORMS.format('[affine=True]')} nn.LayerNorm[elementwise_affine=True]"
_RNN, _GRU, _LSTM = "nn.RNN nn.RNNCell", "nn.GRU nn.GRUCell", "nn.LSTM nn.LSTMCell"

CONVENTION = (
    Line(
        "contractions, 1 per MAC, of modules",
        f"{_CONVS} {_TRANSPOSED} nn.Linear",
        {"macs": 1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "transposed convolutions, on the output grid",
        _TRANSPOSED,
        {"macs on the output grid": 1, "macs": -1},
        fault=True,
        again=_AGAIN,
        power=2,
    ),
    Line(
        "contractions, 1 per MAC, of recurrent layers",
        f"{_RNN} {_GRU} {_LSTM}",
        {"recurrent macs": 1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "LSTM with a projection, as if there were none",
        "nn.LSTM",
        {"recurrent macs, not projected": 1, "recurrent macs": -1},
        fault=True,
        again=_AGAIN,
        power=2,
    ),
    Line(
        "gates of recurrent layers, 1 per element",
        f"{_RNN} {_GRU} {_LSTM}",
        {"gates": 1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "bias of recurrent layers, 2 per gate",
        f"{_RNN} {_GRU} {_LSTM}",
        {"gates with bias": 2},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "states of recurrent layers, 4 per element",
        f"{_GRU} {_LSTM}",
        {"states": 4},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "norms, 2 per element",
        f"{_NORMS.format('')} nn.LayerNorm",
        {"inputs": 2},
        again=_AGAIN,
        power=2,
    ),
    Line("scale and shift of norms, 2 per element", _SCALED, {"inputs": 2}, again=_AGAIN, power=2),
    Line(
        "activations, 1 per element, of PReLU only",
        "nn.PReLU",
        {"inputs": 1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "softmax, 3 per element, less 1 per row",
        "nn.Softmax",
        {"outputs": 3, "rows": -1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "average pooling, 1 per output",
        "nn.AvgPool1d nn.AvgPool2d nn.AvgPool3d",
        {"outputs": 1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "adaptive average pooling, 1 per input and output, rounded",
        "nn.AdaptiveAvgPool1d nn.AdaptiveAvgPool2d nn.AdaptiveAvgPool3d",
        {"rounded means": 1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "interpolation, 1 per output, to the nearest",
        "nn.Upsample[mode=nearest] nn.UpsamplingNearest2d",
        {"outputs": 1},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "interpolation, 5 per output, linear",
        "nn.Upsample[mode=linear]",
        {"outputs": 5},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "interpolation, 11 per output, bilinear",
        "nn.Upsample[mode=bilinear] nn.UpsamplingBilinear2d",
        {"outputs": 11},
        again=_AGAIN,
        power=2,
    ),
    Line(
        "interpolation, 259 per output, bicubic",
        "nn.Upsample[mode=bicubic]",
        {"outputs": 259},
        again=_AGAIN,
        power=2,
    ),
)

PARAMS = Params(
    f"{_CONVS} {_TRANSPOSED} {_RNN} {_GRU} {_LSTM} {_NORMS.format('')} nn.LayerNorm nn.PReLU "
    "nn.Linear",
    missing="of modules that it does not know, or that it does not see called",
    again="of modules in several places, or a tensor in several modules, once more for each",
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``thop.profile`` gives. Raises ``ImportError`` if it is not installed."""
    import thop

    counted, params, inside = thop.profile(
        module, inputs=inputs, verbose=False, ret_layer_info=True
    )
    places = {path: round(count) for path, count in _flat(inside, "")}
    return Total(version("thop"), round(counted), round(params), places)


def _flat(inside: dict[str, Any], around: str) -> list[tuple[str, float]]:
    """Nested counts by path."""
    found: list[tuple[str, float]] = []
    for name, (count, _, further) in inside.items():
        found += [(f"{around}{name}", count), *_flat(further, f"{around}{name}.")]
    return found
