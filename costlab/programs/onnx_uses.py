"""What the operators of an ONNX graph take: also those in branches, which take what is around."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from costlab.programs.onnx_operators import Attributes, operator
from costlab.programs.onnx_values import Known, number
from costlab.programs.program import NotFollowedError

_SAYS_HOW = {
    "Reshape": {1},
    "Slice": {1, 2, 3, 4},
    "Pad": {1, 2, 3},
    "Clip": {1, 2},
    "Expand": {1},
    "Tile": {1},
    "TopK": {1},
    "Unsqueeze": {1},
    "Squeeze": {1},
    "Split": {1},
    "Resize": {1, 2, 3},
    "Upsample": {1},
    "ConstantOfShape": {0},
    "Range": {0, 1, 2},
    "OneHot": {1, 2},
    "Dropout": {1, 2},
    "CumSum": {1},
    "Trilu": {1},
}
"""The inputs that say how an operator computes, by their numbers; of reductions all but the first.
"""
_STATISTICS = {
    "BatchNormalization": {3, 4},
    "QuantizeLinear": {1, 2},
    "DequantizeLinear": {1, 2},
}
"""Inputs that are no parameters: nobody learns them by gradients."""


_WEIGHTS = {
    "Add": {0, 1},
    "BatchNormalization": {1, 2},
    "Conv": {1, 2},
    "ConvTranspose": {1, 2},
    "GRU": {1, 2, 3},
    "Gather": {0},
    "Gemm": {1, 2},
    "GroupNormalization": {1, 2},
    "InstanceNormalization": {1, 2},
    "LSTM": {1, 2, 3, 7},
    "LayerNormalization": {1, 2},
    "MatMul": {0, 1},
    "Mul": {0, 1},
    "PRelu": {1},
    "RMSNormalization": {1},
    "RNN": {1, 2, 3},
}
"""Inputs that are weights of layers, biases and scales."""


class Uses(NamedTuple):
    """Values that only say how to compute, that are only statistics, and that layers have."""

    how: set[str]
    statistics: set[str]
    weights: set[str]
    how_too: set[str]
    """Those that say how to compute, and are taken in other ways too."""


def uses(graph: Any) -> Uses:
    """What the operators of a graph use values for."""
    how: set[str] = set()
    statistics: set[str] = set()
    others: set[str] = set()
    weights: set[str] = set()
    for node in _nodes(graph):
        for number_of_input, name in enumerate(node.input):
            if number_of_input in _WEIGHTS.get(node.op_type, ()):
                weights.add(name)
            reduces = node.op_type.startswith("Reduce") and number_of_input
            if reduces or number_of_input in _SAYS_HOW.get(node.op_type, ()):
                how.add(name)
            elif number_of_input in _STATISTICS.get(node.op_type, ()):
                statistics.add(name)
            else:
                others.add(name)
    return Uses(how - others, statistics - others, weights, how & others)


def inner_graphs(node: Any) -> Iterator[Any]:
    """The graphs that an operator has as attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def _nodes(graph: Any) -> Iterator[Any]:
    """Its operators, and those of the graphs inside of them."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from _nodes(inner)


def taken_from_outside(graph: Any) -> list[str]:
    """The values around a graph that it takes."""
    made = {value.name for value in graph.input}
    taken: dict[str, None] = {}
    for node in graph.node:
        inner = [name for inside in inner_graphs(node) for name in taken_from_outside(inside)]
        taken.update(dict.fromkeys(name for name in (*node.input, *inner) if name not in made))
        made.update(node.output)
    taken.update(dict.fromkeys(output.name for output in graph.output if output.name not in made))
    return [name for name in taken if name]


@operator("If")
def _branch(
    attributes: Attributes, condition: Any, then: Any, otherwise: Any, taken: list[Any]
) -> Any:
    """One of two functions, if it is known which."""
    if not isinstance(condition, Known) or then is None or otherwise is None:
        raise NotFollowedError("a branch that depends on values")
    return (then if number(condition) else otherwise)(*taken)
