"""Which gradients a training step computes: forward, and backward from the sum of the outputs."""

from __future__ import annotations

from typing import NamedTuple

from costlab.graph.network import Graph, Layer
from costlab.graph.opcount import Gradient


class Backward(NamedTuple):
    """The contractions of a layer's backward pass: of its inputs, and of its parameters.

    ``known`` is whether its operation has a rule for them.
    """

    inputs: tuple[Gradient, ...] = ()
    weights: tuple[Gradient, ...] = ()
    known: bool = True


_NONE = Backward()


def backward(graph: Graph) -> list[Backward]:
    """What each layer computes backwards.

    A tensor gets a gradient if something that learns has gone into it (a parameter, an input that
    wants one), it goes into what the network returns, and nothing on the way cuts gradients. A
    layer runs backwards if its result gets one, and computes those that what it takes gets.
    """
    wanting = graph.wanting
    reached = [False] * len(graph.values)
    for number in graph.returns:
        reached[number] = wanting[number]
    steps = [_NONE] * len(graph.layers)
    for position in reversed(range(len(graph.layers))):
        layer = graph.layers[position]
        if not any(reached[number] for number in layer.results):
            continue
        for number in layer.all_operands:
            reached[number] = reached[number] or wanting[number]
        steps[position] = _step(layer, wanting)
    return steps


def _step(layer: Layer, wanting: tuple[bool, ...]) -> Backward:
    gradients = layer.op.gradients(layer.output, *layer.inputs)
    if gradients is None or layer.own_backward:
        return Backward(known=False)
    computed = [
        gradient
        for gradient in gradients
        if any(wanting[n] for n in _at(layer.operands, gradient.operands))
        or any(wanting[n] for n in _at(layer.weights, gradient.weights))
    ]
    of_inputs = tuple(gradient for gradient in computed if gradient.operands)
    return Backward(of_inputs, tuple(g for g in computed if not g.operands))


def _at(numbers: tuple[int, ...], positions: tuple[int, ...]) -> list[int]:
    return [numbers[position] for position in positions if position < len(numbers)]
