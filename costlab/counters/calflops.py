"""calflops: functions of torch replaced by its own; this is what it calls MACs."""

from __future__ import annotations

from importlib.metadata import version

from torch import Tensor, nn

from costlab.counters import Line, Params, Total

PACKAGE = "calflops"

AGAIN = "modules in several places, once more for each"
CONVS = "F.conv1d:conv F.conv2d:conv F.conv3d:conv"
TRANSPOSED = (
    "F.conv_transpose1d:conv_transpose F.conv_transpose2d:conv_transpose "
    "F.conv_transpose3d:conv_transpose"
)
PRODUCTS = "torch.matmul Tensor.matmul"
SUMS = "torch.addmm Tensor.addmm torch.baddbmm"


def contractions(units: int) -> tuple[Line, ...]:
    """What it counts for contractions, if one MAC is so many units."""
    how = f"{units} per MAC, of functions and methods"
    stacks = " ".join(f"{each}:matmul" for each in PRODUCTS.split())
    return (
        Line(
            f"contractions, {how}",
            f"F.linear {CONVS} {TRANSPOSED} {PRODUCTS} {SUMS}",
            {"macs": units},
            again=AGAIN,
        ),
        Line(
            "groups of transposed convolutions, divided by twice",
            TRANSPOSED,
            {"macs by group": units, "macs": -units},
            fault=True,
            again=AGAIN,
        ),
        Line(
            'padding="same", a place too few for an even kernel',
            " ".join(f"{each}[padding=same]" for each in CONVS.split()),
            {"macs of same, less for even": units, "macs": -units},
            fault=True,
            again=AGAIN,
        ),
        Line(
            "products of stacks, as many as the first has",
            stacks,
            {"macs of the first stack": units, "macs": -units},
            fault=True,
            again=AGAIN,
        ),
    )


CONVENTION = contractions(1)

PARAMS = Params("trainable", missing="that are frozen")


def total(module: nn.Module, inputs: tuple[Tensor, ...], quantity: str = "macs") -> Total:
    """What ``calculate_flops`` gives. Raises ``ImportError`` if it is not installed.

    It does here what that function does, which refuses models without parameters.
    """
    from calflops import calculate_pipline as calflops

    calflops.module_flop_count.clear()  # which a model that raised leaves behind
    calflops.module_mac_count.clear()
    pipeline = calflops.CalFlopsPipline(module, False, 2.0)
    pipeline.start_flops_calculate()
    module(*inputs)
    of = {"macs": calflops.get_module_macs, "flops": calflops.get_module_flops}[quantity]
    places = {path: int(of(each)) for path, each in module.named_modules()}
    params = int(pipeline.get_total_params())
    pipeline.end_flops_calculate()
    return Total(version("calflops"), places[""], params, places)
