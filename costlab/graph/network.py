"""A network as a graph: values (tensors), and layers that take some of them and give others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from shlex import quote
from typing import Any, NamedTuple

from costlab import formatting
from costlab.errors import UnknownNameError
from costlab.graph.op import Condition, Op, Shape
from costlab.graph.paths import ancestry, module_of, relative, within, within_calls
from costlab.graph.values import Value


class Checkpoint(NamedTuple):
    """A part of the forward pass that keeps nothing, and runs again in the backward pass.

    ``whole`` is whether all of it does; else it stops when all that is needed is there.
    """

    number: int
    whole: bool


class Layer(NamedTuple):
    """One operation at its place. Values are known by their numbers in ``Graph.values``.

    ``operands`` are the values that the op's rule is about, ``inputs`` their shapes as the op takes
    them (an image without a batch is a batch of one), ``output`` the shape that it gives.
    ``weights`` are the other values that it takes: parameters, buffers, masks, states. It gives
    ``results``: one value, or several (the largest elements and their indices). ``own_backward``
    is whether user code says how it goes backwards (``torch.autograd.Function``), ``checkpoint``
    the part that it is in that is computed again (``torch.utils.checkpoint``).
    """

    path: str
    op: Op
    operands: tuple[int, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    weights: tuple[int, ...]
    results: tuple[int, ...]
    own_backward: bool = False
    checkpoint: Checkpoint | None = None

    @property
    def all_operands(self) -> tuple[int, ...]:
        """The numbers of all values that it takes: operands, then weights."""
        return self.operands + self.weights


class Decision(NamedTuple):
    """A question that code asked of values: what, where, and of which inputs.

    Of a run on real tensors it is not known which inputs the values come from.
    """

    question: str
    where: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A network: its values, and its layers in the order of execution.

    ``returns`` are the numbers of the values that it returns. ``check`` says what always holds.
    """

    name: str
    values: tuple[Value, ...]
    layers: tuple[Layer, ...]
    returns: tuple[int, ...]
    about: str = ""
    """A sentence for people: the kind of network, and where it is published."""
    conditions: tuple[Condition, ...] = ()
    """Conditions on symbolic or array dimensions; empty where all dimensions are ints."""
    connected: bool = True
    """Whether it is known which values the layers take: not in a report of an older costlab."""
    batch_first: bool = False
    """Whether it is known that the first dimension is the batch, as it is of the catalog."""
    real: bool = False
    """Whether it was followed on real tensors, not on shapes."""
    decisions: tuple[Decision, ...] = field(default=(), compare=False)
    """What was asked of values that the caller gave, or of real ones, and decides what is here."""
    classes: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The names of the classes of modules by their paths, of a network that was a module."""

    @cached_property
    def inputs(self) -> tuple[Shape, ...]:
        """The shapes of its inputs, batch first."""
        return tuple([value.shape for value in self.values if value.kind == "input"])

    @property
    def entering(self) -> str:
        """Its inputs for people: their shapes, ``none``, or that they are not known."""
        missing = "none" if self.connected else "not known (an older costlab saved it)"
        return formatting.shapes(self.inputs) or missing

    @property
    def leaving(self) -> str:
        """Its outputs for people: their shapes, or ``none``."""
        return formatting.shapes(self.outputs) or "none"

    @property
    def ends(self) -> str:
        """What goes in and comes out, for people."""
        return f"input {self.entering} → output {self.leaving}{self.order}"

    @property
    def order(self) -> str:
        """What is to be said of the order of dimensions, if it is known."""
        return " (batch first)" if self.batch_first else ""

    @property
    def outputs(self) -> tuple[Shape, ...]:
        """The shapes of what the network returns."""
        return tuple(self.values[number].shape for number in self.returns)

    @cached_property
    def unused(self) -> tuple[tuple[str, int], ...]:
        """Parameters that no layer takes: name and elements."""
        taken = {number for layer in self.layers for number in layer.weights}
        return tuple(
            (value.name, value.elements)
            for number, value in enumerate(self.values)
            if value.kind == "parameter" and number not in taken
        )

    @cached_property
    def unregistered(self) -> tuple[tuple[str, int], ...]:
        """Parameters that layers take and no module has registered: name and elements."""
        return tuple(
            (value.name, value.elements)
            for value in self.values
            if value.kind == "constant" and value.name
        )

    @cached_property
    def wanting(self) -> tuple[bool, ...]:
        """Of each value whether it wants a gradient: something that learns has gone into it."""
        values = self.values
        wanting = [
            value.kind in ("input", "parameter") and not value.detached and value.differentiable
            for value in values
        ]
        for layer in self.layers:
            if any(wanting[number] for number in layer.all_operands):
                for number in layer.results:
                    wanting[number] = not values[number].detached and values[number].differentiable
        return tuple(wanting)

    def ends_of(self, path: str) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
        """The shapes that the layer or scope at ``path`` takes, and those that it gives."""
        known = self._ends_of_parts
        if path not in known:
            part = self.part(path, all_calls=False)
            known[path] = part.inputs, part.outputs
        return known[path]

    @cached_property
    def _ends_of_parts(self) -> dict[str, tuple[tuple[Shape, ...], tuple[Shape, ...]]]:
        """Those that were asked for: a table has two columns of them, and is written in ways."""
        return {}

    def part(self, path: str, all_calls: bool = True, shown: str = "") -> Graph:
        """The layer or scope at ``path`` (``a/b`` or ``a.b``) as a graph; paths start anew in it.

        A layer stands for all calls of its module there (``all_calls``), or for one. The part's
        inputs are the computed values that it takes from outside, its outputs those that are taken
        outside of it; parameters that it takes as values are its own, and an input that wants a
        gradient here wants one there. Raises ``UnknownNameError`` if nothing is there; it says how
        ``shown``, the MODEL as a user names it, shows what is.
        """
        path = path.strip("/").replace("/", ".")
        is_inside = within_calls if all_calls else within
        inside = [layer for layer in self.layers if is_inside(layer.path, path)]
        if not inside:  # or a name in it has a slash
            known = {scope for layer in self.layers for scope in ancestry(layer.path)}
            path = next((scope for scope in known if scope.replace("/", ".") == path), path)
            inside = [layer for layer in self.layers if is_inside(layer.path, path)]
        if not inside:
            hint = f"see: costlab show {quote(shown)}" if shown else ""
            raise UnknownNameError(f"part of {self.name}", path, known, hint)
        computed_inside = {number for layer in inside for number in layer.results}
        passed_on = self._passed_on_to(inside)
        inside = passed_on + inside
        computed_inside.update(number for layer in passed_on for number in layer.results)
        taken = dict.fromkeys(number for layer in inside for number in layer.all_operands)
        wanted = set(self.returns).union(
            *(layer.all_operands for layer in self.layers if not is_inside(layer.path, path))
        )
        # What only passes on a parameter is no output, wherever the parameter is taken again.
        computed = [number for layer in inside if layer.operands for number in layer.results]
        returns = [number for number in computed if number in wanted] or inside[-1].results[:1]
        entering = [n for n in taken if n not in computed_inside and _comes_in(self.values[n])]
        own = [
            number
            for number, value in enumerate(self.values)
            if number in computed_inside
            or (number in taken and number not in entering)
            or (value.kind == "parameter" and within(value.name, path) and number not in taken)
        ]
        numbers = {old: new for new, old in enumerate([*entering, *own])}
        values = [
            self.values[n]._replace(kind="input", shares=None, detached=not self.wanting[n])
            for n in entering
        ]
        values += [_renamed(self.values[n], path, numbers) for n in own]
        return Graph(
            name=f"{self.name}/{path.replace('.', '/')}",
            values=tuple(values),
            layers=tuple(
                layer._replace(
                    path=name,
                    operands=tuple(numbers[n] for n in layer.operands),
                    weights=tuple(numbers[n] for n in layer.weights),
                    results=tuple(numbers[n] for n in layer.results),
                )
                for name, layer in zip(_names(inside, path), inside, strict=True)
            ),
            returns=tuple(numbers[n] for n in returns),
            conditions=self.conditions,
            connected=self.connected,
            batch_first=self.batch_first,
            real=self.real,
            decisions=self.decisions,
            classes={
                relative(module, path): name
                for module, name in self.classes.items()
                if within(module, path)
            },
        )

    def resized(self, change: Callable[[Any], Any]) -> Graph:
        """The graph with other sizes: ``change`` gives each shape and attribute in a new form.

        What is the same object before is the same object afterwards.
        """
        known: dict[int, Any] = {}

        def changed(value: Any) -> Any:
            if id(value) not in known:
                known[id(value)] = (
                    _changed(value, change) if isinstance(value, Op) else change(value)
                )
            return known[id(value)]

        return replace(
            self,
            values=tuple([value._replace(shape=changed(value.shape)) for value in self.values]),
            layers=tuple(
                [
                    layer._replace(
                        op=changed(layer.op),
                        inputs=changed(layer.inputs),
                        output=changed(layer.output),
                    )
                    for layer in self.layers
                ]
            ),
        )

    def _passed_on_to(self, inside: list[Layer]) -> list[Layer]:
        """The layers elsewhere that pass on a parameter which these layers take as a value."""
        given = {number for layer in inside for number in layer.results}
        wanted = {number for layer in inside for number in layer.all_operands} - given
        return [
            layer
            for layer in self.layers
            if not layer.operands
            and not wanted.isdisjoint(layer.results)
            and any(self.values[number].kind == "parameter" for number in layer.weights)
        ]

    def class_of(self, path: str) -> str:
        """The name of the class of the module at a path; ``""`` for what is none."""
        return self.classes.get(module_of(path), "")

    def check(self) -> None:
        """Raise ``AssertionError`` where something does not hold that holds for every graph."""
        for problem in self._problems():
            raise AssertionError(f"{self.name}: {problem}")

    def _problems(self) -> Iterable[str]:
        values, known = self.values, set[int]()
        for number, value in enumerate(values):
            if value.kind != "computed":
                known.add(number)
            if value.kind in ("parameter", "buffer") and not value.name:
                yield f"value {number} is a {value.kind} without a name"
            owner = value.shares
            if owner is not None and (owner >= number or values[owner].shares is not None):
                yield f"value {number} shares memory with {owner}, which does not own it"
        names = [value.name for value in values if value.name]
        if len(set(names)) != len(names):
            yield "two values have one name"
        paths = [layer.path for layer in self.layers]
        if len(set(paths)) != len(paths) or "" in paths:
            yield "two layers have one path, or one has none"
        for layer in self.layers:
            if unknown := [n for n in layer.all_operands if n not in known]:
                yield f"{layer.path} takes value {unknown[0]}, which nothing gave before"
            if self.connected and len(layer.operands) != len(layer.inputs):
                yield f"{layer.path} has {len(layer.operands)} operands, not {len(layer.inputs)}"
            if not layer.results:
                yield f"{layer.path} gives nothing"
            results = layer.results
            new = {n for n in results if n not in known and results.count(n) == 1}
            if again := [n for n in results if n not in new or n >= len(values)]:
                yield f"{layer.path} gives value {again[0]}, which is there already"
            known.update(results)
        if missing := [n for n in (*self.returns, *range(len(values))) if n not in known]:
            yield f"nothing gives value {missing[0]}"


def _changed(op: Any, change: Callable[[Any], Any]) -> Op:
    """An operation whose attributes have a new form."""
    attributes = {field.name: getattr(op, field.name) for field in fields(op)}
    changed = {name: new for name, own in attributes.items() if (new := change(own)) is not own}
    return replace(op, **changed) if changed else op  # type: ignore[no-any-return]


def _names(layers: list[Layer], scope: str) -> Iterable[str]:
    """The paths of layers in a part; those from elsewhere have their own names."""
    taken = {relative(layer.path, scope) for layer in layers if within_calls(layer.path, scope)}
    for layer in layers:
        if within_calls(layer.path, scope):
            yield relative(layer.path, scope)
            continue
        name, number = layer.path.rpartition(".")[2], 1
        while (path := name if number == 1 else f"{name}_{number}") in taken:
            number += 1
        taken.add(path)
        yield path


def _comes_in(value: Value) -> bool:
    return value.kind in ("input", "computed")


def _name_in(name: str, path: str) -> str:
    """The name of a parameter as a part at that path has it."""
    return relative(name, path) if within(name, path) else name


def _renamed(value: Value, path: str, numbers: dict[int, int]) -> Value:
    """A value as a part at that path has it."""
    name = _name_in(value.name, path)
    shares = None if value.shares is None else numbers.get(value.shares)
    return value._replace(name=name, shares=shares)
