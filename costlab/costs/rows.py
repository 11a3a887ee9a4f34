"""What a layer costs, and what several do: the rows of a cost table and groups of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import repeat
from math import prod
from operator import attrgetter
from typing import NamedTuple

from costlab import formatting
from costlab.costs.cost import Bound, Cost
from costlab.graph import Graph, Layer, Value, opcount
from costlab.graph.backward import Backward, backward
from costlab.graph.op import Shape
from costlab.graph.opcount import Contraction, Costs, Gradient, OpCount, counted
from costlab.graph.values import ValueKind

_NO_COUNT = OpCount()


class _OfLayer(NamedTuple):
    layer: Layer
    first_taken: tuple[int, ...]
    count: OpCount  # type: ignore[assignment]  # hides that of tuples
    contraction: Contraction | None
    uncounted: int
    backward: Backward | None
    graph: Graph


class Row(_OfLayer, Cost):
    """One layer's costs. ``uncounted`` is 1 for an operation without a rule, else 0.

    ``first_taken`` are the numbers of the weights that no earlier layer takes. ``backward`` is
    what a training step computes for it, None where nobody asked for that. ``graph`` is the
    network that the layer is of: what others take makes no row another one.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self._known() == other._known()

    def __hash__(self) -> int:
        return hash(self._known())

    def _known(self) -> tuple[object, ...]:
        counted = (self.layer, self.count, self.contraction, self.uncounted, self.backward)
        return (*counted, self.parameters, self.written, self.buffers)

    def __repr__(self) -> str:
        return f"<Row {self.path}: {self.layer.op.label(*self.layer.inputs)}, {self.macs:,} MACs>"

    @property
    def values(self) -> tuple[Value, ...] | None:
        """All of the network; None where it is not known which of them a layer takes."""
        return self.graph.values if self.graph.connected else None

    @property
    def parameters(self) -> tuple[Value, ...]:
        """Those that it is the first layer to take."""
        return self._first_taken("parameter")

    @property
    def buffers(self) -> tuple[Value, ...]:
        """Those that it is the first layer to take."""
        return self._first_taken("buffer")

    def _first_taken(self, kind: ValueKind) -> tuple[Value, ...]:
        values = self.graph.values
        return tuple([values[n] for n in self.first_taken if values[n].kind == kind])

    @property
    def written(self) -> tuple[Value, ...]:
        """What it gives that has memory of its own: its output and what else there is."""
        values = self.graph.values
        return tuple([values[n] for n in self.layer.results if values[n].shares is None])

    @property
    def params(self) -> int:
        return sum([value.elements for value in self.parameters])

    @property
    def frozen(self) -> int:
        return sum([value.elements for value in self.parameters if value.detached])

    @property
    def path(self) -> str:
        return self.layer.path

    @property
    def rows(self) -> tuple[Row, ...]:
        return (self,)

    @property
    def activations(self) -> int:
        return self.layer.op.activations(sum([value.elements for value in self.written]))

    @property
    def conv_outputs(self) -> int:
        return prod(self.layer.output) if self.contraction else 0

    @property
    def params_bytes(self) -> int:
        return sum([value.bytes for value in self.parameters])

    @property
    def buffers_bytes(self) -> int:
        return sum([value.bytes for value in self.buffers])

    @property
    def read_bytes(self) -> int:
        from costlab.costs.traffic import read_bytes  # a first answer does not wait for it

        return read_bytes(self.layer, self.values) if self.values else 0

    @property
    def written_bytes(self) -> int:
        from costlab.costs.traffic import written_bytes

        return written_bytes(self.layer, self.values) if self.values else 0

    @property
    def connected(self) -> bool:
        return self.graph.connected

    @property
    def input_gradient_macs(self) -> int:
        return _macs(self.backward.inputs) if self.backward else 0

    @property
    def weight_gradient_macs(self) -> int:
        return _macs(self.backward.weights) if self.backward else 0

    @property
    def recomputed_macs(self) -> int:
        return self.macs if self.backward and self.backward.again else 0

    @property
    def input_gradient_ops(self) -> OpCount:
        return self.backward.input_scalars if self.backward else _NO_COUNT

    @property
    def weight_gradient_ops(self) -> OpCount:
        return self.backward.weight_scalars if self.backward else _NO_COUNT

    @property
    def recomputed_other(self) -> int:
        return self.other if self.backward and self.backward.again else 0

    @property
    def backward_bound(self) -> Bound:
        return "" if self.backward and self.backward.known else "unknown"

    @property
    def backward_ops_bound(self) -> Bound:
        return "" if self.backward and self.backward.scalars_known else "unknown"

    @property
    def layers(self) -> int:
        return 1

    @property
    def bound(self) -> Bound:
        return "unknown" if self.uncounted else ""

    @property
    def label(self) -> str:
        return self.layer.op.label(*self.layer.inputs)

    @property
    def detail(self) -> str:
        return self.layer.op.detail

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """The shapes it reads, batch first."""
        return self.layer.inputs

    @property
    def output(self) -> Shape:
        """The shape it gives, batch first."""
        return self.layer.output

    @property
    def derivation(self) -> str:
        return str(self.contraction) if self.contraction else ""


def _added(name: str) -> cached_property[int]:
    """That number of a scope: those of its layers, added up."""
    of = attrgetter(name)
    return cached_property(lambda scope: sum(map(of, scope.rows)))


class _OfScope(NamedTuple):
    path: str
    rows: tuple[Row, ...]


class Group(_OfScope, Cost):
    """What the layers of a scope cost together, such as a branch, a stage or a whole network."""

    def __repr__(self) -> str:
        at_least = "at least " if self.uncounted else ""
        return (
            f"<Group {self.path}{' ' if self.path else ''}"
            f"of {formatting.plural(len(self.rows), 'layer')}: "
            f"{at_least}{formatting.scaled(self.macs)} MACs, "
            f"{formatting.scaled(self.params)} params>"
        )

    params = _added("params")
    frozen = _added("frozen")
    activations = _added("activations")
    conv_outputs = _added("conv_outputs")
    params_bytes = _added("params_bytes")
    buffers_bytes = _added("buffers_bytes")
    read_bytes = _added("read_bytes")
    written_bytes = _added("written_bytes")
    uncounted = _added("uncounted")
    input_gradient_macs = _added("input_gradient_macs")
    weight_gradient_macs = _added("weight_gradient_macs")
    recomputed_macs = _added("recomputed_macs")
    recomputed_other = _added("recomputed_other")

    @cached_property
    def count(self) -> OpCount:  # type: ignore[override]  # hides that of tuples
        return opcount.total([row.count for row in self.rows])

    @property
    def connected(self) -> bool:
        return all(row.connected for row in self.rows)

    @cached_property
    def input_gradient_ops(self) -> OpCount:
        return opcount.total([row.input_gradient_ops for row in self.rows])

    @cached_property
    def weight_gradient_ops(self) -> OpCount:
        return opcount.total([row.weight_gradient_ops for row in self.rows])

    @property
    def backward_bound(self) -> Bound:
        return self._bound_of(row.backward_bound for row in self.rows)

    @property
    def backward_ops_bound(self) -> Bound:
        return self._bound_of(row.backward_ops_bound for row in self.rows)

    def _bound_of(self, bounds: Iterable[Bound]) -> Bound:
        if any(row.backward is None for row in self.rows):
            return "unknown"
        return "at least" if any(bounds) else ""

    @property
    def layers(self) -> int:
        return len(self.rows)

    @property
    def bound(self) -> Bound:
        return "at least" if self.uncounted else ""

    @property
    def layer(self) -> None:
        return None

    @property
    def label(self) -> str:
        return ""

    @property
    def detail(self) -> str:
        return ""


def rows_of(graph: Graph, training_cost: bool = False) -> tuple[Row, ...]:
    """A row for each layer: its operation's rules, and the parameters that no earlier one takes.

    With ``training_cost`` also what a training step computes backwards.
    """
    taken, rows, known = set[int](), [], dict[tuple[int, int, int], Costs]()
    backwards: Iterable[Backward | None] = backward(graph) if training_cost else repeat(None)
    for layer, gradients in zip(graph.layers, backwards, strict=False):
        contraction, count = counted(layer.op, layer.inputs, layer.output, known)
        first_taken: tuple[int, ...] = ()
        if layer.weights:
            first_taken = tuple([n for n in dict.fromkeys(layer.weights) if n not in taken])
            taken.update(first_taken)
        uncounted, count = (1, _NO_COUNT) if count is None else (0, count)
        row = (layer, first_taken, count, contraction, uncounted, gradients, graph)
        rows.append(tuple.__new__(Row, row))
    return tuple(rows)


def _macs(gradients: tuple[Gradient, ...]) -> int:
    return sum([gradient.contraction.macs for gradient in gradients])


def gradient_derivations(cost: Cost) -> dict[str, str]:
    """The derivations of a layer's backward pass, ``""`` where it has none."""
    backward = cost.rows[0].backward if cost.layer else None
    both = ((), ()) if backward is None else (backward.inputs, backward.weights)
    return {
        of: " + ".join(str(gradient.contraction) for gradient in gradients)
        for of, gradients in zip(("input", "weight"), both, strict=True)
    }


def tree(rows: Iterable[Row], level: int, depth: int | None) -> Iterable[Row | Group]:
    """Scopes, each before what it contains, from ``level`` down to ``depth`` levels."""
    scopes: dict[str, list[Row]] = {}  # a scope's rows may be apart in the order of execution
    for row in rows:
        scopes.setdefault(".".join(row.path.split(".")[: level + 1]), []).append(row)
    for path, members in scopes.items():
        if len(members) == 1 and members[0].path == path:
            yield members[0]
            continue
        yield Group(path, tuple(members))
        if depth is None or level + 1 < depth:
            yield from tree(members, level + 1, depth)
