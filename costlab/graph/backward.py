"""Which gradients a training step computes: forward, and backward from the sum of the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

from costlab.graph.arithmetic import smaller
from costlab.graph.network import Checkpoint, Graph, Layer
from costlab.graph.opcount import Gradient, OpCount, Positions


class Backward(NamedTuple):
    """The contractions of a layer's backward pass: of its inputs, and of its parameters.

    ``known`` is whether its operation has a rule for them; ``again`` is whether its forward pass is
    computed again, since nothing was kept of it. ``input_scalars`` and ``weight_scalars`` are the
    operations outside of them, ``scalars_known`` whether there are rules for all of these.
    """

    inputs: tuple[Gradient, ...] = ()
    weights: tuple[Gradient, ...] = ()
    known: bool = True
    again: bool = False
    input_scalars: OpCount = OpCount()
    weight_scalars: OpCount = OpCount()
    scalars_known: bool = True


_NONE = Backward()


def backward(graph: Graph) -> list[Backward]:
    """What each layer computes backwards.

    A tensor gets a gradient if something that learns has gone into it (a parameter, an input that
    wants one), it goes into what the network returns, and nothing on the way cuts gradients. A
    layer runs backwards if its result gets one, and computes those that what it takes gets.
    """
    wanting, reached = graph.wanting, _reached(graph)
    steps = [
        _step(layer, wanting, reached)
        if any(reached[number] for number in layer.results)
        else _NONE
        for layer in graph.layers
    ]
    for position in _again(graph.layers, steps):
        steps[position] = steps[position]._replace(again=True)
    _add_up(graph, wanting, reached, steps)
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


def _step(layer: Layer, wanting: tuple[bool, ...], reached: list[bool]) -> Backward:
    gradients = layer.op.gradients(layer.output, *layer.inputs)
    if gradients is None or layer.own_backward:
        return Backward(known=False)
    computed = [
        gradient
        for gradient in gradients
        if any(reached[n] for n in _at(layer.results, gradient.results))
        and (
            any(wanting[n] for n in _at(layer.operands, gradient.operands))
            or any(wanting[n] for n in _at(layer.weights, gradient.weights))
        )
    ]
    of_inputs = tuple(gradient for gradient in computed if gradient.operands != ())
    of_weights = tuple(gradient for gradient in computed if gradient.operands == ())
    return Backward(of_inputs, of_weights, **_scalars(layer, wanting, reached))


def _scalars(layer: Layer, wanting: tuple[bool, ...], reached: list[bool]) -> dict[str, Any]:
    """The scalar operations of a layer's backward pass; those that it shares are its inputs'."""
    parts = layer.op.gradient_scalars(layer.output, *layer.inputs)
    of_inputs, of_weights, known = OpCount(), OpCount(), parts is not None
    for scalars, operands, weights, results in parts or ():
        if not any(reached[n] for n in _at(layer.results, results)):
            continue
        for_inputs = any(wanting[n] for n in _at(layer.operands, operands))
        if not for_inputs and not any(wanting[n] for n in _at(layer.weights, weights)):
            continue
        if scalars is None:
            known = False
        elif for_inputs:
            of_inputs += scalars
        else:
            of_weights += scalars
    return {"input_scalars": of_inputs, "weight_scalars": of_weights, "scalars_known": known}


def _add_up(
    graph: Graph, wanting: tuple[bool, ...], reached: list[bool], steps: list[Backward]
) -> None:
    """Gradients of one value that several layers give are added, by all of them but the first.

    Backwards, that is, so that the last layer that takes a value is the first to give one. Those
    of parts of it, such as of slices, are only added as far as they overlap.
    """
    values = graph.values
    given_so_far = {n: values[n].elements for n in graph.returns if wanting[n]}
    there = dict(given_so_far)
    for position in reversed(range(len(graph.layers))):
        layer, step = graph.layers[position], steps[position]
        if step is _NONE:
            continue
        of_inputs = of_weights = 0
        if layer.op.joins_results:
            given_to = [number for number in layer.results if reached[number]]
            of_inputs += sum(values[number].elements for number in given_to[1:])
        for number in layer.all_operands:
            if not wanting[number]:
                continue
            all_of_it = values[number].elements
            given = all_of_it
            if layer.op.takes_part and len(layer.all_operands) == 1:
                given = smaller(prod(layer.output), all_of_it)
            before = there.get(number)
            if before is None:
                there[number] = given_so_far[number] = given
                continue
            given_so_far[number] += given
            whole = given is all_of_it  # so that nothing is asked of symbols
            together = all_of_it if whole else smaller(given_so_far[number], all_of_it)
            there[number] = together
            if values[number].kind == "parameter":
                of_weights += before + given - together
            else:
                of_inputs += before + given - together
        steps[position] = step._replace(
            input_scalars=step.input_scalars + OpCount(add=of_inputs),
            weight_scalars=step.weight_scalars + OpCount(add=of_weights),
        )


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


def _at(numbers: Sequence[int], positions: Positions) -> list[int]:
    """Those of the numbers that are there."""
    if positions is None:
        return list(numbers)
    return [numbers[position] for position in positions if position < len(numbers)]
