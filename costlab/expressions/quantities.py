"""What the language can say of a layer, and of layers together: functions of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from costlab.costs.quantities import More, quantities
from costlab.costs.rows import Row
from costlab.graph import Graph


def _biases(row: Row) -> int:
    """Params of a contraction that are added to its result."""
    if row.contraction is None or not row.layer.op.attribute("bias"):
        return 0
    return sum(value.elements for value in row.parameters if len(value.shape) == 1)


def _weights(row: Row) -> int:
    """Params of a contraction without its bias."""
    return row.params - _biases(row) if row.contraction else 0


def _kernels(row: Row) -> int:
    """Two-dimensional kernels of a convolution: input channels of a group times outputs."""
    if row.layer.op.kind != "conv":
        return 0
    weights = (value.shape for value in row.parameters if len(value.shape) > 1)
    return sum(shape[0] * shape[1] for shape in weights)


OF_LAYERS: dict[str, Callable[[Row], int]] = {
    "weights": _weights,
    "biases": _biases,
    "inputs": lambda row: sum(prod(shape) for shape in row.inputs),
    "outputs": lambda row: prod(row.output),
    "kernels": _kernels,
    "channels": lambda row: row.output[1],
    "layers": lambda row: 1,
}
"""What adds up over layers beside the quantities. ``weights`` are params of contractions without
``biases``, each counted in the first layer that takes it; ``inputs`` are elements read,
``outputs`` those of the output, whoever computed them; ``kernels`` are pairs of an input and an
output channel of convolutions; ``channels`` those of the output; ``layers`` the number of
layers."""


def per_layer(training_cost: bool = False, more: More = ()) -> dict[str, Callable[[Row], int]]:
    """All that adds up over layers, by name; of a training step too if asked, and what else is."""
    known = quantities(training_cost, more)
    return {**{name: quantity.of for name, quantity in known.items()}, **OF_LAYERS}


def depth(graph: Graph, numbers: Iterable[int]) -> int:
    """The most of these layers, by their numbers, on any way from an input to an output.

    A layer that takes nothing, such as a parameter that is used as a value, begins a way.
    """
    counted = set(numbers)
    deepest = [0] * len(graph.values)
    for number, layer in enumerate(graph.layers):
        before = max((deepest[value] for value in layer.all_operands), default=0)
        for value in layer.results:
            deepest[value] = before + (number in counted)
    return max((deepest[value] for value in graph.returns), default=0)
