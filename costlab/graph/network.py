"""What is computed: layers with edges between them, and paths that nest.

A ``Net`` builds a ``Graph`` one layer at a time; a ``Graph`` is finished and never changes. Values
(tensors) have numbers: first the graph's inputs, then the output of each layer in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from costlab import formatting
from costlab.errors import ShapeError, UnknownNameError
from costlab.graph.op import Condition, Op, Shape, is_whole

if TYPE_CHECKING:
    from torch import nn

Outputs: TypeAlias = "Value | tuple[Value, ...]"
"""What a network returns: one value, or several."""


class Layer(NamedTuple):
    """One operation at its place: path, the values it reads, and the shapes.

    ``params`` are the learnable elements that are counted here, where that is not what the op's own
    rule says: in a traced module a tensor may be shared with another layer, or be computed.
    """

    path: str
    op: Op
    takes: tuple[int, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    params: int | None = None
    place: str = ""
    """The module whose code made it, in a traced module."""
    call: str = ""
    """What was called, where a trace notes it: ``F.relu``, ``Tensor.add``; in parentheses if tools
    that put their own functions in place of torch's do not see it, such as ``(Tensor.add)``."""
    strided: bool = False
    """Whether its first input is not contiguous, where a trace notes it."""


@dataclass(frozen=True)
class Graph:
    """A network: its layers in the order of execution, each with a path such as ``a.b.conv``."""

    name: str
    inputs: tuple[Shape, ...]
    layers: tuple[Layer, ...]
    returns: tuple[int, ...]
    about: str = ""
    """What it is and where it is published, for people."""
    conditions: tuple[Condition, ...] = ()
    """What symbolic or array dimensions must still fulfil; empty where all dimensions are ints."""
    unused: tuple[tuple[str, int], ...] = ()
    """Learnable tensors that the module has and its forward does not read: name and elements."""
    origin: Origin | None = field(default=None, compare=False, repr=False)
    """Where it comes from, if it was traced."""

    @property
    def outputs(self) -> tuple[Shape, ...]:
        """The shapes of what the network returns."""
        return tuple(self.shape(value) for value in self.returns)

    def shape(self, value: int) -> Shape:
        """The shape of an input or of a layer's output."""
        first = len(self.inputs)
        return self.inputs[value] if value < first else self.layers[value - first].output

    def part(self, path: str) -> Graph:
        """The layer or scope at ``path`` (``a/b`` or ``a.b``) as a graph; paths start anew in it.

        Its inputs are the values that it reads from outside, its outputs those read outside of it,
        but for what is stored, such as a parameter.
        Raises ``UnknownNameError`` if nothing is there.
        """
        path = path.strip("/").replace("/", ".")
        inside = {i for i, layer in enumerate(self.layers) if within(layer.path, path)}
        if not inside:
            known = {p for layer in self.layers for p in ancestry(layer.path)}
            hint = f"see: costlab show {self.name}"
            raise UnknownNameError(f"part of {self.name}", path, known, hint)
        first = len(self.inputs)
        made = [first + i for i in sorted(inside)]
        read = dict.fromkeys(value for i in sorted(inside) for value in self.layers[i].takes)
        outer = [value for value in read if value - first not in inside]
        renumbered = {value: new for new, value in enumerate(outer + made)}
        wanted = set(self.returns).union(
            *(layer.takes for i, layer in enumerate(self.layers) if i not in inside)
        )
        computed = [value for value in made if self.layers[value - first].takes]
        gives = [value for value in computed if value in wanted] or made[-1:]
        return Graph(
            name=f"{self.name}/{path.replace('.', '/')}",
            inputs=tuple(self.shape(value) for value in outer),
            layers=tuple(
                self.layers[i]._replace(
                    path=relative(self.layers[i].path, path),
                    takes=tuple(renumbered[v] for v in self.layers[i].takes),
                )
                for i in sorted(inside)
            ),
            returns=tuple(renumbered[v] for v in gives),
            conditions=self.conditions,
            unused=tuple(
                (relative(name, path), count) for name, count in self.unused if within(name, path)
            ),
        )


class ModuleCall(NamedTuple):
    """A call of a module as a hook on it sees it; one that is entered by ``.forward()`` has none.

    ``inputs`` are the shapes of its positional arguments (``()`` for what is no tensor), ``output``
    that of the first tensor that it gives; ``layers`` are the numbers of what its own code made.
    """

    path: str
    inputs: tuple[Shape, ...]
    output: Shape
    layers: tuple[int, ...]


@dataclass(frozen=True)
class Origin:
    """The module that a graph was traced from, and what it was called with: shapes, as tensors."""

    module: nn.Module
    inputs: tuple[Any, ...]
    kwargs: dict[str, Any]
    calls: tuple[ModuleCall, ...] = ()
    """The calls of its modules, where a trace notes them."""


class Value:
    """A tensor while a ``Net`` is built: what a layer reads and gives."""

    __slots__ = ("index", "shape")

    def __init__(self, index: int, shape: Shape) -> None:
        self.index = index
        self.shape = shape


class Net:
    """Builds a graph: ``x = net.add("conv", Conv(64, 3), x)``, nested by ``with net.scope("a"):``.

    Raises ``ShapeError``, with the layer's path, as soon as a layer cannot exist.
    """

    def __init__(self, name: str, *inputs: Shape) -> None:
        self.name = name
        self.inputs = tuple(Value(i, tuple(shape)) for i, shape in enumerate(inputs))
        self._layers: list[Layer] = []
        self._paths: set[str] = set()
        self._prefix = ""
        self._conditions: list[Condition] = []
        for value in self.inputs:
            try:
                self._require(_positive("it", value.shape))
            except ShapeError as problem:
                raise ShapeError(
                    f"input {formatting.shape(value.shape)} of {name}: {problem}; "
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

    def add(self, name: str, op: Op, *values: Value) -> Value:
        """Append a layer that reads ``values``, and give its output."""
        path = self._claim(name)
        inputs = tuple([value.shape for value in values])
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
        self._layers.append(Layer(path, op, tuple([v.index for v in values]), inputs, output))
        return Value(len(self.inputs) + len(self._layers) - 1, output)

    def graph(self, outputs: Outputs, about: str = "") -> Graph:
        """The finished graph, which returns ``outputs``."""
        values = outputs if isinstance(outputs, tuple) else (outputs,)
        return Graph(
            self.name,
            tuple(value.shape for value in self.inputs),
            tuple(self._layers),
            tuple(value.index for value in values),
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


def ancestry(path: str) -> list[str]:
    """``a.b.conv`` as ``["a", "a.b", "a.b.conv"]``."""
    names = path.split(".")
    return [".".join(names[: i + 1]) for i in range(len(names))]


def within(path: str, scope: str) -> bool:
    """Whether ``path`` is ``scope`` or lies inside it; everything lies inside ``""``."""
    return not scope or path == scope or path.startswith(scope + ".")


def relative(path: str, scope: str) -> str:
    """``path`` as seen from inside ``scope``; a layer seen from itself keeps its own name."""
    if not scope:
        return path
    return path.rpartition(".")[2] if path == scope else path[len(scope) + 1 :]


def _positive(what: str, shape: Shape) -> Iterator[Condition]:
    for d in shape:
        if type(d) is int and d >= 1:
            continue  # as almost always: nothing to say
        yield is_whole(d), f"{what} has a dimension that is no whole number"
        yield d >= 1, f"{what} has a dimension smaller than 1"
