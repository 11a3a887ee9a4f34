"""Which gradients a training step computes: forward, and backward from the sum of the outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from costlab.graph.network import Checkpoint, Graph, Layer
from costlab.graph.opcount import Gradient


class Backward(NamedTuple):
    """The contractions of a layer's backward pass: of its inputs, and of its parameters.

    ``known`` is whether its operation has a rule for them; ``again`` is whether its forward pass is
    computed again, since nothing was kept of it.
    """

    inputs: tuple[Gradient, ...] = ()
    weights: tuple[Gradient, ...] = ()
    known: bool = True
    again: bool = False


_NONE = Backward()


def backward(graph: Graph) -> list[Backward]:
    """What each layer computes backwards.

    A tensor gets a gradient if something that learns has gone into it (a parameter, an input that
    wants one), it goes into what the network returns, and nothing on the way cuts gradients. A
    layer runs backwards if its result gets one, and computes those that what it takes gets.
    """
    wanting, reached = graph.wanting, _reached(graph)
    steps = [
        _step(layer, wanting) if any(reached[number] for number in layer.results) else _NONE
        for layer in graph.layers
    ]
    for position in _again(graph.layers, steps):
        steps[position] = steps[position]._replace(again=True)
    return steps


def learning(graph: Graph) -> list[int]:
    """The numbers of the parameters that get a gradient."""
    reached = _reached(graph)
    return [n for n, value in enumerate(graph.values) if value.kind == "parameter" and reached[n]]


def _reached(graph: Graph) -> list[bool]:
    """Of each value whether it gets a gradient."""
    wanting = graph.wanting
    reached = [False] * len(graph.values)
    for number in graph.returns:
        reached[number] = wanting[number]
    for layer in reversed(graph.layers):
        if any(reached[number] for number in layer.results):
            for number in layer.all_operands:
                reached[number] = reached[number] or wanting[number]
    return reached


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


def _again(layers: tuple[Layer, ...], steps: list[Backward]) -> Iterable[int]:
    """Which layers run forward again: those of parts that were not kept, as far as needed.

    A part stops running again before the first operation that nothing is needed of any more, and
    before the last one of which something is, if that is only what it takes.
    """
    parts: dict[Checkpoint, list[int]] = {}
    for position, layer in enumerate(layers):
        if layer.checkpoint is not None:
            parts.setdefault(layer.checkpoint, []).append(position)
    for part, positions in parts.items():
        needed = [p for p in positions if steps[p] is not _NONE and layers[p].op.keeps != "nothing"]
        if part.whole and any(steps[p] is not _NONE for p in positions):
            yield from positions
        elif needed:
            end = needed[-1] + (layers[needed[-1]].op.keeps == "result")
            yield from (p for p in positions if p < end)


def _at(numbers: tuple[int, ...], positions: tuple[int, ...]) -> list[int]:
    return [numbers[position] for position in positions if position < len(numbers)]
