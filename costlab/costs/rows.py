"""The rows of a cost table: one for each layer, groups of them, and their totals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from costlab import formatting
from costlab.graph import Graph, Layer, Value, opcount
from costlab.graph.op import Shape
from costlab.graph.opcount import Contraction, OpCount


class Row(NamedTuple):
    """One layer's costs. ``count`` is None for an operation without a rule: *uncounted*."""

    layer: Layer
    parameters: tuple[Value, ...]
    """The parameters that it is the first layer to take."""
    count: OpCount | None  # type: ignore[assignment]  # hides that of tuples
    contraction: Contraction | None
    further: int = 0
    """Elements of what it gives beside its output, such as indices."""

    @property
    def params(self) -> int:
        """Elements of these parameters."""
        return sum([value.elements for value in self.parameters])

    @property
    def path(self) -> str:
        """Where it is, such as ``inception_3a.branch5x5.conv``."""
        return self.layer.path

    @property
    def op(self) -> str:
        """The operation, such as ``conv2d``."""
        return self.layer.op.label(*self.layer.inputs)

    @property
    def kernel(self) -> str:
        """Patch/stride and what modifies it, such as ``7×7/2``."""
        return self.layer.op.kernel

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """The shapes it reads, batch first."""
        return self.layer.inputs

    @property
    def output(self) -> Shape:
        """The shape it gives, batch first."""
        return self.layer.output

    @property
    def activations(self) -> int:
        """Elements of what it gives; 0 for what is there before the network runs."""
        return self.layer.op.activations(self.layer.output) + self.further

    @property
    def macs(self) -> int:
        """Multiply-adds in contractions; 0 for an uncounted operation (see ``count``)."""
        return self.count.macs if self.count else 0

    @property
    def flops(self) -> int:
        """``2·macs`` and every other scalar operation; 0 for an uncounted operation."""
        return self.count.flops if self.count else 0

    @property
    def other(self) -> int:
        """Scalar operations outside contractions; 0 for an uncounted operation."""
        return self.count.other if self.count else 0

    @property
    def derivation(self) -> str:
        """The contraction as a person would write it, or ``""``: ``(28·28·32)·(5·5·192)``."""
        return str(self.contraction) if self.contraction else ""


@dataclass(frozen=True, slots=True)
class Total:
    """What several rows cost together; a lower bound where ``uncounted`` is not 0."""

    params: int
    count: OpCount
    activations: int
    layers: int
    uncounted: int

    @property
    def macs(self) -> int:
        """Multiply-adds in contractions."""
        return self.count.macs

    @property
    def flops(self) -> int:
        """``2·macs`` and every other scalar operation."""
        return self.count.flops

    @property
    def other(self) -> int:
        """Scalar operations outside contractions."""
        return self.count.other


@dataclass(frozen=True)
class Group:
    """A scope of a network, such as a branch or a stage: its rows and their total."""

    path: str
    level: int
    rows: tuple[Row, ...]

    @cached_property
    def total(self) -> Total:
        """All rows together."""
        return total(self.rows)


QUANTITIES: dict[str, Callable[[Row | Total], int]] = {
    "params": lambda cost: cost.params,
    "macs": lambda cost: cost.macs,
    "mul": lambda cost: cost.count.mul if cost.count else 0,
    "add": lambda cost: cost.count.add if cost.count else 0,
    "cmp": lambda cost: cost.count.cmp if cost.count else 0,
    "div": lambda cost: cost.count.div if cost.count else 0,
    "special": lambda cost: cost.count.special if cost.count else 0,
    "other": lambda cost: cost.other,
    "flops": lambda cost: cost.flops,
    "activations": lambda cost: cost.activations,
}
"""All that is counted, by name; what an uncounted operation computes is 0 here (see ``count``)."""


def counted(graph: Graph) -> tuple[Row, ...]:
    """The row of each layer: the rules of its op, and the parameters that it is first to take."""
    values, taken, rows = graph.values, set[int](), []
    for layer in graph.layers:
        op, inputs, output = layer.op, layer.inputs, layer.output
        contraction = op.contraction(output, *inputs)
        count = op.scalars(output, *inputs)
        if contraction is not None and count is not None:
            count = count.with_macs(contraction.macs)
        parameters = []
        for number in layer.weights:
            value = values[number]
            if value.kind == "parameter" and number not in taken:
                taken.add(number)
                parameters.append(value)
        further = sum([values[number].elements for number in layer.results[1:]])
        rows.append(Row(layer, tuple(parameters), count, contraction, further))
    return tuple(rows)


def tree(rows: tuple[Row, ...], level: int, depth: int | None) -> Iterable[Group | Row]:
    """Scopes, each before what it contains, from ``level`` down to ``depth`` levels."""
    scopes: dict[str, list[Row]] = {}  # a scope's rows may be apart in the order of execution
    for row in rows:
        scopes.setdefault(".".join(row.path.split(".")[: level + 1]), []).append(row)
    for path, inside in scopes.items():
        members = tuple(inside)
        if len(members) == 1 and members[0].path == path:
            yield members[0]
            continue
        yield Group(path, level, members)
        if depth is None or level + 1 < depth:
            yield from tree(members, level + 1, depth)


def total(rows: Iterable[Row]) -> Total:
    """Rows added up."""
    rows = tuple(rows)
    counts = [row.count for row in rows if row.count is not None]
    return Total(
        params=sum([row.params for row in rows]),
        count=opcount.total(counts),
        activations=sum([row.activations for row in rows]),
        layers=len(rows),
        uncounted=len(rows) - len(counts),
    )


def derivation(each: Group | Row, most: int = 6) -> str:
    """The sum of the contractions as a person would write it; ``""`` if there are none.

    More than ``most`` terms are only announced.
    """
    terms = [row.derivation for row in rows_of(each) if row.contraction]
    if len(terms) > most:
        return f"sum of {len(terms)} contractions"
    return " + ".join(terms)


def bounded(cost: Row | Total, figure: int) -> str:
    """A figure of a row or total: ``?`` without a rule, ``≥`` where a part has none."""
    if cost.count is None:
        return "?"
    missing = isinstance(cost, Total) and cost.uncounted
    return f"≥{formatting.integer(figure)}" if missing else formatting.integer(figure)


def rows_of(each: Group | Row) -> tuple[Row, ...]:
    """The rows that a line of a tree stands for."""
    return (each,) if isinstance(each, Row) else each.rows
