"""torchinfo: sizes of parameters times places of the output, for modules without children."""

from __future__ import annotations

from importlib.metadata import version

from torch import Tensor, nn

from costlab.counters import Line, Params, Total

PACKAGE = "torchinfo"

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
        "recurrent layers, their weights and biases for each step of each item",
        "leaf[recurrent=True]",
        {"longer named parameters by step": 1},
    ),
    Line(
        "other parameters with weight or bias in their name, by the first two axes of the output",
        "leaf[recurrent=False]",
        {"longer named parameters by step": 1},
        fault=True,
    ),
)

PARAMS = Params(
    "tree", again="of tensors in several modules, once more for each, less what it takes for them"
)


def total(module: nn.Module, inputs: tuple[Tensor, ...]) -> Total:
    """What ``torchinfo.summary`` gives. Raises ``ImportError`` if it is not installed."""
    import torchinfo

    said = torchinfo.summary(module, input_data=inputs, verbose=0)
    places: dict[str, int] = {}
    for layer in said.summary_list:
        count, around = layer.macs * layer.is_leaf_layer, layer
        path = ""
        while around.parent_info is not None:
            path = f"{around.var_name}.{path}".rstrip(".")
            around = around.parent_info
        for scope in _ancestry(path):
            places[scope] = places.get(scope, 0) + count
    return Total(version("torchinfo"), int(said.total_mult_adds), int(said.total_params), places)


def _ancestry(path: str) -> list[str]:
    names = path.split(".")
    return [".".join(names[: i + 1]) for i in range(len(names))]
