"""torchinfo: sizes of parameters times places of the output, for modules without children."""

from __future__ import annotations

from importlib.metadata import version

from torch import Tensor, nn

from costlab.counters import Line, Total

_CONVS = " ".join(
    f"nn.{kind}{rank}d:{op}"
    for rank in (1, 2, 3)
    for kind, op in (("Conv", "conv"), ("ConvTranspose", "conv_transpose"))
)
_OTHERS = (
    "nn.Linear:linear nn.BatchNorm1d:batch_norm nn.BatchNorm2d:batch_norm "
    "nn.BatchNorm3d:batch_norm nn.LayerNorm:layer_norm nn.GroupNorm:group_norm "
    "nn.InstanceNorm1d:instance_norm nn.InstanceNorm2d:instance_norm "
    "nn.InstanceNorm3d:instance_norm nn.RMSNorm:rms_norm nn.PReLU:prelu nn.Embedding:embedding "
    "affine"
)

CONVENTION = (
    Line("convolutions, their weights and biases for each place", _CONVS, {"params by place": 1}),
    Line(
        "other layers, their params for each item of the batch, not for each row or place",
        _OTHERS,
        {"params by item": 1},
        fault=True,
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``torchinfo.summary`` gives. Raises ``ImportError`` if it is not installed."""
    import torchinfo

    said = torchinfo.summary(module, input_data=inputs, verbose=0)
    return Total(version("torchinfo"), int(said.total_mult_adds), int(said.total_params))
