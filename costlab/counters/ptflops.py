"""ptflops, its ``pytorch`` backend: hooks on modules, and patched functions, at the same time."""

from __future__ import annotations

from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from typing import Any

from torch import Tensor, nn

from costlab.counters import Line, Total

_POOLS = [
    f"{kind}{rank}d"
    for kind in ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool")
    for rank in (1, 2, 3)
]
_OP = {
    "MaxPool": "max_pool",
    "AvgPool": "avg_pool",
    "AdaptiveMaxPool": "adaptive_max_pool",
    "AdaptiveAvgPool": "adaptive_avg_pool",
}
_NORMS = (
    "nn.BatchNorm1d:batch_norm nn.BatchNorm2d:batch_norm nn.BatchNorm3d:batch_norm "
    "nn.InstanceNorm1d:instance_norm nn.InstanceNorm2d:instance_norm "
    "nn.InstanceNorm3d:instance_norm nn.GroupNorm:group_norm"
)

CONVENTION = (
    Line(
        "contractions of modules, 1 per MAC",
        "nn.Conv1d:conv nn.Conv2d:conv nn.Conv3d:conv nn.ConvTranspose1d:conv_transpose "
        "nn.ConvTranspose2d:conv_transpose nn.ConvTranspose3d:conv_transpose nn.Linear:linear",
        {"macs": 1},
    ),
    Line(
        "their bias, 1 per output",
        "nn.Conv1d:conv nn.Conv2d:conv nn.Conv3d:conv nn.ConvTranspose1d:conv_transpose "
        "nn.ConvTranspose2d:conv_transpose nn.ConvTranspose3d:conv_transpose nn.Linear:linear",
        {"bias": 1},
    ),
    Line(
        "products by function or method, 1 per MAC",
        "torch.matmul torch.mm torch.bmm torch.addmm torch.baddbmm Tensor.matmul Tensor.mm "
        "Tensor.bmm Tensor.addmm",
        {"macs": 1},
    ),
    Line(
        "sums and products by function or method, 1 per element of the first",
        "torch.add torch.mul Tensor.add Tensor.mul",
        {"inputs": 1},
    ),
    Line("norms, 1 per element", f"{_NORMS} nn.LayerNorm:layer_norm", {"inputs": 1}),
    Line(
        "scale and shift of norms, 1 per element",
        " ".join(f"{name}[affine=True]" for name in _NORMS.split()),
        {"inputs": 1},
    ),
    Line(
        "activation modules, 1 per element",
        "nn.ReLU:relu nn.PReLU:prelu nn.ELU:elu nn.LeakyReLU:leaky_relu nn.ReLU6:relu6 "
        "nn.ReLU6:hardtanh nn.GELU:gelu nn.GELU:gelu_tanh",
        {"outputs": 1},
    ),
    Line(
        "activation functions, 1 per element; modules that call them are counted twice",
        "F.relu torch.prelu F.elu F.relu6 F.gelu F.silu",
        {"outputs": 1},
        fault=True,
    ),
    Line(
        "pooling modules, 1 per input",
        " ".join(f"nn.{pool}:{_OP[pool[:-2]]}" for pool in _POOLS),
        {"inputs": 1},
    ),
    Line(
        "pooling functions, 1 per input; modules that call them are counted twice",
        "max_pool avg_pool adaptive_max_pool adaptive_avg_pool",
        {"inputs": 1},
        fault=True,
    ),
    Line("softmax, 1 per element", "F.softmax", {"inputs": 1}),
    Line("interpolation, 1 per output", "F.interpolate", {"outputs": 1}),
    Line(
        "upsampling modules, counted twice, of one item of the batch",
        "nn.Upsample:interpolate",
        {"outputs by item": 1},
        fault=True,
    ),
    Line(
        "local response norm by its own steps",
        "lrn",
        {"outputs": 3, "padded channels": 1},
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...], backend: str = "pytorch") -> Total:
    """What ``get_model_complexity_info`` gives. Raises ``ImportError`` if it is not installed."""
    import ptflops

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, inputs: tuple[Tensor, ...]) -> Any:
            return self.module(*inputs)

    with redirect_stdout(StringIO()):
        counted, params = ptflops.get_model_complexity_info(
            Whole(),
            (1,),
            as_strings=False,
            print_per_layer_stat=False,
            verbose=False,
            backend=backend,
            input_constructor=lambda _: {"inputs": inputs},
        )
    return Total(version("ptflops"), int(counted), int(params))
