"""What the language can say of a layer, and of layers together: functions of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

from costlab.costs.rows import Row
from costlab.graph import Graph
from costlab.ops.conv import Conv

COUNTED = ("macs", "mul", "add", "cmp", "div", "special", "other", "flops")


def _weights(row: Row) -> int:
    """Params of a contraction without its bias."""
    if row.contraction is None:
        return 0
    op: Any = row.layer.op
    plain = replace(op, bias=False) if hasattr(op, "bias") else op
    weights: int = plain.params(*row.inputs)
    return weights


def _kernels(row: Row) -> int:
    """Two-dimensional kernels of a convolution: input channels of a group times outputs."""
    op = row.layer.op
    return row.inputs[0][1] // op.groups * op.out_channels if isinstance(op, Conv) else 0


def _count(name: str, row: Row) -> int:
    number: int = getattr(row.count, name)
    return number


PER_LAYER: dict[str, Callable[[Row], int]] = {
    **{name: partial(_count, name) for name in COUNTED},
    "params": lambda row: row.params,
    "weights": _weights,
    "biases": lambda row: row.params - _weights(row) if row.contraction else 0,
    "activations": lambda row: row.activations,
    "inputs": lambda row: sum(prod(shape) for shape in row.inputs),
    "kernels": _kernels,
    "channels": lambda row: row.output[1],
    "layers": lambda row: 1,
}
"""What adds up over layers. ``weights`` are params of contractions without ``biases``; ``inputs``
are elements read; ``kernels`` are pairs of an input and an output channel of convolutions;
``channels`` those of the output; ``layers`` the number of layers."""


def connected(graph: Graph) -> bool:
    """Whether it is known what each layer takes: of a saved report it is not."""
    return all(layer.takes or not layer.inputs for layer in graph.layers)


def depth(graph: Graph, numbers: Iterable[int]) -> int:
    """The most of these layers, by their numbers, on any way from an input to an output.

    A layer that takes nothing, such as a parameter that is used as a value, begins a way.
    """
    counted = set(numbers)
    deepest = [0] * len(graph.inputs)
    for number, layer in enumerate(graph.layers):
        before = max((deepest[value] for value in layer.takes), default=0)
        deepest.append(before + (number in counted))
    return max((deepest[value] for value in graph.returns), default=0)
