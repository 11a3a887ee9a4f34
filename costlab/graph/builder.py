"""Networks built layer by layer, as the catalog writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.network import Graph, Layer
from costlab.graph.op import Condition, Op, Shape, is_whole
from costlab.graph.values import FLOAT32, Value, owner_of

Outputs: TypeAlias = "Edge | tuple[Edge, ...]"
"""What a network returns: one value, or several."""


class Edge(NamedTuple):
    """A value while a network is built: its number, and its shape. Layers take and give these."""

    number: int
    shape: Shape


class Net:
    """Builds a graph: ``x = net.add("conv", Conv(64, 3), x)``, nested by ``with net.scope("a"):``.

    All tensors are float32. Raises ``ShapeError``, with the layer's path, as soon as a layer cannot
    exist.
    """

    def __init__(self, name: str, *inputs: Shape) -> None:
        self.name = name
        self._values = [Value(tuple(shape), kind="input", detached=True) for shape in inputs]
        self.inputs = tuple(Edge(i, value.shape) for i, value in enumerate(self._values))
        self._layers: list[Layer] = []
        self._paths: set[str] = set()
        self._prefix = ""
        self._conditions: list[Condition] = []
        for edge in self.inputs:
            try:
                self._require(_positive("it", edge.shape))
            except ShapeError as problem:
                raise ShapeError(
                    f"input {formatting.shape(edge.shape)} of {name}: {problem}; "
                    "give whole numbers from 1, such as 1,3,224,224"
                ) from None

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Layers added inside have paths that start with ``name.``; a scope is entered once."""
        outer = self._prefix
        self._prefix = self._claim(name) + "."
        try:
            yield
        finally:
            self._prefix = outer

    def add(self, name: str, op: Op, *operands: Edge) -> Edge:
        """Append a layer that takes ``operands`` and its own weights, and give its output."""
        path = self._claim(name)
        inputs = tuple([edge.shape for edge in operands])
        try:
            if op.arity not in (None, len(inputs)):
                raise ShapeError(f"it takes {formatting.plural(op.arity or 0, 'input')}")
            self._require(op.conditions(*inputs))
            output = op.output(*inputs)
            self._require(_positive("its output", output))
        except ShapeError as problem:
            layer = f"{op.name} {op.detail}".rstrip()
            raise ShapeError(
                f"{self.name} cannot be built: {path}, {layer} on {formatting.shapes(inputs)}: "
                f"{problem}; try another input size or other choices"
            ) from None
        values = self._values
        first = len(values)
        for tensor, shape in op.parameters(*inputs):
            values.append(Value(shape, FLOAT32, "parameter", f"{path}.{tensor}"))
        for tensor, shape in op.buffers(*inputs):
            values.append(Value(shape, FLOAT32, "buffer", f"{path}.{tensor}"))
        weights = tuple(range(first, len(values)))
        numbers = tuple([edge.number for edge in operands])
        shares = owner_of(values, numbers[0]) if op.passes else None
        values.append(Value(output, shares=shares))
        number = len(values) - 1
        self._layers.append(Layer(path, op, numbers, inputs, output, weights, (number,)))
        return Edge(number, output)

    def graph(self, outputs: Outputs, about: str = "") -> Graph:
        """The finished graph, which returns ``outputs``."""
        returned = (outputs,) if isinstance(outputs, Edge) else outputs
        return Graph(
            self.name,
            tuple(self._values),
            tuple(self._layers),
            tuple(edge.number for edge in returned),
            about,
            tuple(self._conditions),
        )

    def _claim(self, name: str) -> str:
        path = self._prefix + name
        if path in self._paths or not name or "." in name:
            raise ValueError(f"{path!r} in {self.name}: a name is used once and has no dots")
        self._paths.add(path)
        return path

    def _require(self, conditions: Iterable[Condition]) -> None:
        for holds, problem in conditions:
            if holds is False:
                raise ShapeError(problem)
            if holds is not True:
                self._conditions.append((holds, problem))


def _positive(what: str, shape: Shape) -> Iterator[Condition]:
    for d in shape:
        if type(d) is int and d >= 1:
            continue  # as almost always: nothing to say
        yield is_whole(d), f"{what} has a dimension that is no whole number"
        yield d >= 1, f"{what} has a dimension smaller than 1"
