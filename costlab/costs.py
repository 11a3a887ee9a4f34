"""A graph's costs: a row for each layer, totals, and the same for any part of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Any

from costlab import opcount, units
from costlab.document import Column, Document, Line, Paragraph, Record, Table
from costlab.graph import Graph, Layer
from costlab.op import Shape
from costlab.opcount import Contraction, OpCount
from costlab.resolve import resolve
from costlab.result import Result

if TYPE_CHECKING:
    from fractions import Fraction


_SHORT = 60
"""Characters of a scope's derivation that still help a reader of its line."""


@dataclass(frozen=True, slots=True)
class Row:
    """One layer's costs. ``count`` is None for an operation without a rule: *uncounted*."""

    layer: Layer
    params: int
    count: OpCount | None
    contraction: Contraction | None

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
        """Elements of the output."""
        return prod(self.layer.output)

    @property
    def macs(self) -> int:
        """Multiply-adds in contractions; 0 for an uncounted operation (see ``count``)."""
        return self.count.macs if self.count else 0

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


@dataclass(frozen=True)
class CostTable(Result):
    """The costs of one network or part: ``rows``, ``total``, and exports.

    Shapes have the batch first; one unit of each quantity is defined in ``costlab.units``.
    ``depth`` is how deep exports go into nested scopes; None is down to the layers.
    """

    graph: Graph
    rows: tuple[Row, ...]
    depth: int | None = None

    @property
    def model(self) -> str:
        """The name, with choices and part: ``reduced(c5r=24)/branch5x5``."""
        return self.graph.name

    @cached_property
    def total(self) -> Total:
        """All rows together."""
        return total(self.rows)

    @property
    def uncounted(self) -> tuple[Row, ...]:
        """The rows without a rule; if there are any, totals are lower bounds."""
        return tuple(row for row in self.rows if row.count is None)

    @property
    def complete(self) -> bool:
        """Whether every operation has been counted."""
        return not self.uncounted

    def share(self, part: Row | Total) -> Fraction:
        """The part's share of all MACs, exactly (0 where there are none)."""
        from fractions import Fraction

        return Fraction(part.macs, self.total.macs or 1)

    def at(self, path: str) -> CostTable:
        """The part at ``path`` (``a/b`` or ``a.b``) as a table: ``analyze("model/path")``.

        Raises ``UnknownNameError``.
        """
        return costs(self.graph.part(path.replace("/", ".")))

    def groups(self, depth: int | None = None) -> list[Group | Row]:
        """The network as a tree, top down: scopes to ``depth`` levels, each before its contents.

        A scope at the last level stands for its contents; a layer is its ``Row``.
        """
        return list(_tree(self.rows, 0, depth))

    def to_depth(self, depth: int | None) -> CostTable:
        """The same costs, exported by scopes of that depth."""
        return CostTable(self.graph, self.rows, depth)

    def document(self) -> Document:
        shown = self.groups(self.depth)
        return (
            Paragraph(self.model, "title"),
            *([Paragraph(self.graph.about)] if self.graph.about else []),
            Paragraph(
                f"input {units.shapes(self.graph.inputs)} → "
                f"output {units.shapes(self.graph.outputs)} (batch first)"
            ),
            Table(
                (
                    Column("layer", right=False),
                    Column("operation", right=False),
                    Column("output"),
                    Column("params"),
                    Column("MACs"),
                    Column("share", optional=True),
                    Column("other ops", optional=True),
                    Column("activations", optional=True),
                    Column("input", optional=True),
                ),
                (
                    *(self._line(each) for each in shown),
                    Line(("total", "", "", *self._figures(self.total), ""), style="strong"),
                ),
                "derivation",
            ),
            *summary(self),
            Paragraph(units.LEGEND, "dim"),
        )

    def records(self) -> list[Record]:
        return [self._record(each) for each in self._last()]

    def data(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "about": self.graph.about,
            "input": [list(shape) for shape in self.graph.inputs],
            "output": [list(shape) for shape in self.graph.outputs],
            "total": _quantities(self.total),
            "rows": [self._entry(each) for each in self._last()],
            "uncounted": [
                {
                    "path": row.path,
                    "op": row.op,
                    "input": [list(shape) for shape in row.inputs],
                    "output": list(row.output),
                }
                for row in self.uncounted
            ],
            "complete": self.complete,
        }

    def _last(self) -> list[Group | Row]:
        """The lines that no other line repeats: they add up to the total."""
        return [
            each
            for each in self.groups(self.depth)
            if isinstance(each, Row) or each.level + 1 == self.depth
        ]

    def _line(self, each: Group | Row) -> Line:
        cost: Row | Total = each if isinstance(each, Row) else each.total
        inputs, outputs = self._ends(each)
        uncounted = isinstance(each, Row) and each.count is None
        return Line(
            (
                each.path.rpartition(".")[2],
                _operation(each),
                units.shapes(outputs),
                *self._figures(cost),
                units.shapes(inputs) if len(inputs) == 1 else f"{len(inputs)} tensors",
            ),
            level=each.path.count("."),
            path=each.path,
            details=self._details(each),
            style="bad" if uncounted else "strong" if isinstance(each, Group) else "",
        )

    def _details(self, each: Group | Row) -> tuple[str, ...]:
        """The derivation of a layer, or of a scope whose layers are not shown, if it is short."""
        shown_below = isinstance(each, Group) and each.level + 1 != self.depth
        if (
            shown_below
            or not (text := derivation(each))
            or (isinstance(each, Group) and len(text) > _SHORT)
        ):
            return ()
        return (text,)

    def _figures(self, cost: Row | Total) -> tuple[str, ...]:
        """Params, MACs, share, other ops, activations; what is not known is a question mark."""
        return (
            units.integer(cost.params),
            bounded(cost, cost.macs),
            units.percent(cost.macs, self.total.macs) if cost.count else "?",
            bounded(cost, cost.other),
            units.integer(cost.activations),
        )

    def _ends(self, each: Group | Row) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
        if isinstance(each, Row):
            return each.inputs, (each.output,)
        part = self.graph.part(each.path)
        return part.inputs, part.outputs

    def _record(self, each: Group | Row) -> Record:
        inputs, outputs = self._ends(each)
        cost: Row | Total = each if isinstance(each, Row) else each.total
        return {
            "path": each.path,
            "op": each.op if isinstance(each, Row) else "",
            "layers": 1 if isinstance(each, Row) else each.total.layers,
            "input": units.shapes(inputs),
            "kernel": each.kernel if isinstance(each, Row) else "",
            "output": units.shapes(outputs),
            **_quantities(cost),
            "share": round(float(self.share(cost)), 6) if cost.count else None,
            "derivation": derivation(each),
        }

    def _entry(self, each: Group | Row) -> dict[str, Any]:
        """A record for JSON: shapes are lists, and what can be derived (the share) is left out."""
        inputs, outputs = self._ends(each)
        record = self._record(each)
        del record["share"]
        if isinstance(each, Row) and each.contraction:
            record["factors"] = each.contraction.factors()
        return record | {
            "input": [list(shape) for shape in inputs],
            "output": [list(shape) for shape in outputs],
        }


def analyze(
    model: str | Graph, input_size: Iterable[int] | None = None, **choices: Any
) -> CostTable:
    """The costs of a model: a row for each layer, totals, derivations.

    ``model`` is the name of an architecture, with choices and part if wanted
    (``"reduced(c5r=24)/branch5x5"``), or a ``Graph``. ``input_size`` is the input's shape, batch
    first, by default the published one; ``choices`` are choices as keyword arguments.

    Raises ``UnknownNameError``, ``ChoiceError`` or ``ShapeError``, with what to do next.
    """
    return costs(resolve(model, input_size, **choices))


def costs(graph: Graph) -> CostTable:
    """The costs of a graph."""
    return CostTable(graph, tuple([_row(layer) for layer in graph.layers]))


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
    return f"≥{units.integer(figure)}" if missing else units.integer(figure)


def rows_of(each: Group | Row) -> tuple[Row, ...]:
    """The rows that a line of a tree stands for."""
    return (each,) if isinstance(each, Row) else each.rows


def summary(table: CostTable) -> Iterable[Paragraph]:
    """The total in a sentence, and what the total misses, if anything."""
    whole = table.total
    if not table.complete:
        places = ", ".join(
            f"{row.path} ({row.op}, {units.shapes(row.inputs)} → {units.shape(row.output)})"
            for row in table.uncounted
        )
        yield Paragraph(
            f"Lower bound: {units.plural(whole.uncounted, 'operation')} without a rule, "
            f"not counted: {places}.",
            "bad",
        )
    count = whole.count
    at_least = "" if table.complete else "At least "
    yield Paragraph(
        f"{at_least}{units.both(whole.macs, 'MACs')}, {units.both(whole.params, 'params')}, "
        f"{units.integer(whole.flops)} FLOPs = 2·MACs + {units.integer(whole.other)} other ops "
        f"(mul {units.integer(count.mul)}, add {units.integer(count.add)}, "
        f"cmp {units.integer(count.cmp)}, div {units.integer(count.div)}, "
        f"special {units.integer(count.special)})."
    )


def _row(layer: Layer) -> Row:
    op, inputs, output = layer.op, layer.inputs, layer.output
    contraction = op.contraction(output, *inputs)
    count = op.scalars(output, *inputs)
    if contraction is not None and count is not None:
        count = count.with_macs(contraction.macs)
    return Row(layer, op.params(*inputs), count, contraction)


def _tree(rows: tuple[Row, ...], level: int, depth: int | None) -> Iterable[Group | Row]:
    for names, inside in groupby(rows, lambda row: row.path.split(".")[: level + 1]):
        members = tuple(inside)
        path = ".".join(names)
        if len(members) == 1 and members[0].path == path:
            yield members[0]
            continue
        yield Group(path, level, members)
        if depth is None or level + 1 < depth:
            yield from _tree(members, level + 1, depth)


def _operation(each: Group | Row) -> str:
    if isinstance(each, Group):
        return units.plural(each.total.layers, "layer")
    return f"{each.op} {each.kernel}".rstrip()


def _quantities(cost: Row | Total) -> dict[str, int | None]:
    """Integers by name; None where there is no rule."""
    count = cost.count
    names = ("macs", "mul", "add", "cmp", "div", "special", "flops")
    return {
        "params": cost.params,
        **{name: getattr(count, name) if count else None for name in names},
        "activations": cost.activations,
    }
