"""torchinfo: sizes of parameters times places of the output, for modules without children."""

from __future__ import annotations

from importlib.metadata import version

from torch import Tensor, nn

from costlab.counters import Line, Params, Total

PACKAGE = "torchinfo"

_TRANSPOSED = "nn.ConvTranspose1d nn.ConvTranspose2d nn.ConvTranspose3d"
_KNOWN = f"nn.Conv1d nn.Conv2d nn.Conv3d {_TRANSPOSED} nn.Linear"

CONVENTION = (
    Line("contractions, 1 per MAC, of modules", _KNOWN, {"macs": 1}),
    Line("bias, 1 per output", _KNOWN, {"bias": 1}),
    Line(
        "linear layers, for each item of the batch and not for each row",
        "nn.Linear",
        {"parameters by item": 1, "macs": -1, "bias": -1},
        fault=True,
    ),
    Line(
        "transposed convolutions, on the output grid",
        _TRANSPOSED,
        {"parameters by place": 1, "macs": -1, "bias": -1},
        fault=True,
    ),
    Line(
        "other modules, their weight and bias for each item of the batch",
        "leaf[named=other]",
        {"parameters by item": 1},
        but=_KNOWN,
    ),
    Line(
        "other modules, named Conv, their weight and bias for each place of the output",
        "leaf[named=Conv]",
        {"parameters by place": 1},
        but=_KNOWN,
    ),
    Line(
        "recurrent layers, their weights and biases for each step of each item",
        "leaf[recurrent=True]",
        {"longer named parameters by step": 1},
    ),
    Line(
        "other parameters, if named like a weight or bias, by the first two axes of the output",
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
