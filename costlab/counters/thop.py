"""thop (pytorch-OpCounter): hooks on modules of known classes; functions are not seen."""

from __future__ import annotations

from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO

from torch import Tensor, nn

from costlab.counters import Line, Total

_CONVS = "nn.Conv1d:conv nn.Conv2d:conv nn.Conv3d:conv"
_TRANSPOSED = (
    "nn.ConvTranspose1d:conv_transpose nn.ConvTranspose2d:conv_transpose "
    "nn.ConvTranspose3d:conv_transpose"
)
_NORMS = (
    "nn.BatchNorm1d:batch_norm nn.BatchNorm2d:batch_norm nn.BatchNorm3d:batch_norm "
    "nn.SyncBatchNorm:batch_norm nn.LayerNorm:layer_norm nn.InstanceNorm1d:instance_norm "
    "nn.InstanceNorm2d:instance_norm nn.InstanceNorm3d:instance_norm"
)

CONVENTION = (
    Line("contractions of modules, 1 per MAC", f"{_CONVS} nn.Linear:linear", {"macs": 1}),
    Line(
        "transposed convolutions on the output grid",
        _TRANSPOSED,
        {"macs on the output grid": 1},
        fault=True,
    ),
    Line("norms, 2 per element", _NORMS, {"inputs": 2}),
    Line(
        "their scale and shift, 2 per element",
        " ".join(f"{name}[affine=True]" for name in _NORMS.split()),
        {"inputs": 2},
    ),
    Line("PReLU, 1 per element", "nn.PReLU:prelu", {"inputs": 1}),
    Line(
        "softmax, 3 per element, less 1 per row", "nn.Softmax:softmax", {"outputs": 3, "rows": -1}
    ),
    Line(
        "average pooling, 1 per output",
        "nn.AvgPool1d:avg_pool nn.AvgPool2d:avg_pool nn.AvgPool3d:avg_pool",
        {"outputs": 1},
    ),
    Line(
        "adaptive average pooling, 1 per input and output",
        "nn.AdaptiveAvgPool1d:adaptive_avg_pool nn.AdaptiveAvgPool2d:adaptive_avg_pool "
        "nn.AdaptiveAvgPool3d:adaptive_avg_pool",
        {"inputs": 1, "outputs": 1},
    ),
    Line(
        "interpolation to the nearest, 1 per output",
        "nn.Upsample:interpolate[mode=nearest] nn.UpsamplingNearest2d:interpolate",
        {"outputs": 1},
    ),
    Line(
        "bilinear interpolation, 11 per output",
        "nn.Upsample:interpolate[mode=bilinear] nn.UpsamplingBilinear2d:interpolate",
        {"outputs": 11},
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``thop.profile`` gives. Raises ``ImportError`` if it is not installed."""
    import thop

    with redirect_stdout(StringIO()):
        counted, params = thop.profile(module, inputs=inputs, verbose=False)
    return Total(version("thop"), round(counted), round(params))
