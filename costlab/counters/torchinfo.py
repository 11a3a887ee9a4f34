"""torchinfo: sizes of parameters times places of the output, for modules without children."""

from __future__ import annotations

from importlib.metadata import version

from torch import Tensor, nn

from costlab.counters import Line, Total

CONVENTION = (
    Line(
        "modules named Conv, their weights and biases for each place of the output",
        "leaf[named=Conv]",
        {"parameters by place": 1},
    ),
    Line(
        "other modules, their weights and biases for each item of the batch, not for each row",
        "leaf[named=other]",
        {"parameters by item": 1},
        fault=True,
    ),
    Line(
        "parameters with weight or bias in a longer name, for each item and step",
        "leaf",
        {"longer named parameters by step": 1},
    ),
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``torchinfo.summary`` gives. Raises ``ImportError`` if it is not installed."""
    import torchinfo

    said = torchinfo.summary(module, input_data=inputs, verbose=0)
    return Total(version("torchinfo"), int(said.total_mult_adds), int(said.total_params))
