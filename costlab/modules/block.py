"""A graph as a real torch module, whose module paths are the graph's paths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from costlab import formatting
from costlab.graph import Graph, Layer

Step: TypeAlias = tuple[str, tuple[int, ...], tuple[int, ...]]
"""A child, the values it reads, and the values it gives; numbered as in the graph."""


class Block(nn.Module):
    """A network or one of its scopes: runs its children in order.

    Takes the values ``reads`` as positional tensors, and returns ``gives``: a tensor, or a tuple of
    several. A value is let go after the last child that reads it.
    """

    def __init__(
        self,
        children: dict[str, nn.Module],
        steps: Sequence[Step],
        reads: tuple[int, ...],
        gives: tuple[int, ...],
    ) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        last = {value: number for number, (_, reads, _) in enumerate(steps) for value in reads}
        last.update(dict.fromkeys(gives, len(steps)))
        self._steps = tuple(
            (*step, tuple(value for value in (*step[1], *step[2]) if last.get(value, -1) <= number))
            for number, step in enumerate(steps)
        )
        self._reads = reads
        self._gives = gives

    def forward(self, *inputs: Tensor) -> Any:
        """Run the children on the inputs."""
        if len(inputs) != len(self._reads):
            raise TypeError(
                f"takes {formatting.plural(len(self._reads), 'tensor')}, not {len(inputs)}"
            )
        values = dict(zip(self._reads, inputs, strict=True))
        for name, reads, gives, done in self._steps:
            result = getattr(self, name)(*(values[value] for value in reads))
            values.update(zip(gives, result if len(gives) > 1 else (result,), strict=True))
            for value in done:
                values.pop(value, None)
        outputs = tuple(values[value] for value in self._gives)
        return outputs if len(outputs) > 1 else outputs[0]


def empty(graph: Graph) -> nn.Module:
    """The module with all-zero tensors, in evaluation mode: for counting, not for computing.

    Neither reads nor advances torch's random number generators.
    """
    with _Unfilled():
        built = built_module(graph).eval()
    with torch.no_grad():
        for tensor in (*built.parameters(), *built.buffers()):
            tensor.zero_()
    return built


class _Unfilled(TorchFunctionMode):
    """Leaves out random initialisation, which costs time and advances the generators.

    (Building on the meta device would too, but importing its rules takes 0.3 s.)
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__.endswith(("uniform_", "normal_")):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def zero_inputs(graph: Graph) -> tuple[Tensor, ...]:
    """All-zero inputs of the graph's shapes."""
    return tuple(torch.zeros(shape) for shape in graph.inputs)


def built_module(graph: Graph) -> nn.Module:
    """The module of a graph."""
    inputs = tuple(n for n, value in enumerate(graph.values) if value.kind == "input")
    return _block(graph.layers, 0, inputs, graph.returns)


def _block(
    layers: Sequence[Layer], level: int, reads: tuple[int, ...], gives: tuple[int, ...]
) -> Block:
    children: dict[str, nn.Module] = {}
    steps: list[Step] = []
    for name, members in groupby(layers, lambda layer: layer.path.split(".")[level]):
        inner_layers = list(members)
        results = dict.fromkeys(number for layer in inner_layers for number in layer.results)
        if len(inner_layers) == 1 and inner_layers[0].path.count(".") == level:
            layer = inner_layers[0]
            children[name] = layer.op.module(*layer.inputs)
            steps.append((name, layer.operands, layer.results))
            continue
        taken = dict.fromkeys(number for layer in inner_layers for number in layer.operands)
        inputs = tuple(number for number in taken if number not in results)
        outer_layers = [layer for layer in layers if layer.results[0] not in results]
        needed = {number for layer in outer_layers for number in layer.operands} | set(gives)
        outputs = tuple(number for number in results if number in needed)
        children[name] = _block(inner_layers, level + 1, inputs, outputs)
        steps.append((name, inputs, outputs))
    return Block(children, steps, reads, gives)
