"""A graph's costs: a row for each layer, totals, and the same for any part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.costs.rows import (
    QUANTITIES,
    Group,
    Row,
    Total,
    bounded,
    counted,
    derivation,
    total,
    tree,
)
from costlab.errors import ChoiceError
from costlab.gc_pause import no_collections
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.models.reference import Model, Run, resolve
from costlab.models.saved_report import written
from costlab.render.document import Column, Document, Line, Paragraph, Record, Table
from costlab.render.result import Result

if TYPE_CHECKING:
    from fractions import Fraction

    from costlab.trace.observation import Trace

_SHORT = 60
"""Characters of a scope's derivation that still help a reader of its line."""


@dataclass(frozen=True, repr=False)
class CostTable(Result):
    """The costs of one network or part: ``rows``, ``total``, and exports.

    Shapes have the batch first; one unit of each quantity is defined in ``costlab.formatting``.
    ``depth`` is how deep exports go into nested scopes; None is down to the layers.
    """

    graph: Graph
    rows: tuple[Row, ...]
    depth: int | None = None
    trace: Trace | None = field(default=None, compare=False)
    """The run that the network was traced in, if it was."""

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
        return costs(self.graph.part(path))

    def groups(self, depth: int | None = None) -> list[Group | Row]:
        """The network as a tree, top down: scopes to ``depth`` levels, each before its contents.

        A scope at the last level stands for its contents; a layer is its ``Row``.
        """
        return list(tree(self.rows, 0, depth))

    def leaves(self, depth: int | None = None) -> list[Group | Row]:
        """The lines of that tree that no other line repeats: they add up to the total."""
        return [
            each for each in self.groups(depth) if isinstance(each, Row) or each.level + 1 == depth
        ]

    def to_depth(self, depth: int | None) -> CostTable:
        """The same costs, exported by scopes of that depth."""
        return CostTable(self.graph, self.rows, depth, self.trace)

    def document(self) -> Document:
        shown = self.groups(self.depth)
        return (
            Paragraph(self.model, "title"),
            *([Paragraph(self.graph.about)] if self.graph.about else []),
            Paragraph(
                f"input {self.graph.entering} → "
                f"output {formatting.shapes(self.graph.outputs)} (batch first)"
            ),
            Table(
                (
                    Column("layer", right=False),
                    Column("operation", right=False),
                    Column("output", optional=2),
                    Column("params"),
                    Column("MACs"),
                    Column("share", optional=1),
                    Column("other ops", optional=3),
                    Column("activations", optional=4),
                    Column("input", optional=5),
                ),
                (
                    *(self._line(each) for each in shown),
                    Line(("total", "", "", *self._figures(self.total), ""), style="strong"),
                ),
                "derivation",
            ),
            *summary(self),
            Paragraph(formatting.LEGEND, "dim"),
        )

    def records(self) -> list[Record]:
        return [self._record(each) for each in self.leaves(self.depth)]

    def data(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "about": self.graph.about,
            "input": self._input(),
            "output": [list(shape) for shape in self.graph.outputs],
            "total": _quantities(self.total),
            "rows": [self._entry(each) for each in self.leaves(self.depth)],
            "unused": [{"name": name, "params": count} for name, count in self.graph.unused],
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
            "graph": written(self.graph, [row.count for row in self.rows]),
        }

    def _input(self) -> list[list[int]] | None:
        """The inputs' shapes; None where they are not known."""
        inputs = [list(shape) for shape in self.graph.inputs]
        return inputs if inputs or self.graph.connected else None

    def _line(self, each: Group | Row) -> Line:
        cost: Row | Total = each if isinstance(each, Row) else each.total
        inputs, outputs = self._ends(each)
        uncounted = isinstance(each, Row) and each.count is None
        return Line(
            (
                each.path.rpartition(".")[2],
                _operation(each),
                formatting.shapes(outputs),
                *self._figures(cost),
                formatting.shapes(inputs) if len(inputs) == 1 else f"{len(inputs)} tensors",
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
            formatting.integer(cost.params),
            bounded(cost, cost.macs),
            formatting.percent(cost.macs, self.total.macs) if cost.count else "?",
            bounded(cost, cost.other),
            formatting.integer(cost.activations),
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
            "input": formatting.shapes(inputs),
            "kernel": each.kernel if isinstance(each, Row) else "",
            "output": formatting.shapes(outputs),
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
    model: Model | CostTable,
    input_size: Iterable[int] | None = None,
    *,
    inputs: Any = None,
    kwargs: dict[str, Any] | None = None,
    input_type: str = "",
    training: bool = False,
    real: bool = False,
    observed: bool = False,
    **choices: Any,
) -> CostTable:
    """The costs of a model: a row for each layer, totals, derivations.

    ``model`` is the name of an architecture, with choices and part if wanted
    (``"reduced(c5r=24)/branch5x5"``), Python code (``"package.module:factory(width=2)"``, which is
    imported), a saved report (``"report.json"``), an ``nn.Module``, or a ``Graph``. A table that
    is there already is given back. ``input_size``
    is the input's shape, batch first, by default the published one; ``choices`` are choices as
    keyword arguments.

    The rest is for an ``nn.Module`` or code. Its forward is followed on shapes alone: nothing is
    computed, and the module is left as it was. ``inputs`` is what it takes in place of one tensor
    of ``input_size``: a tensor, a tuple, or a dict of keyword arguments; ``kwargs`` are further
    ones. ``input_type`` is the type of a tensor of ``input_size``, such as ``"int64"`` for the ids
    of tokens, by default that of the parameters. ``training`` follows it in training mode (counts
    are those of evaluation). ``real`` runs it on real tensors too, for code that depends on values.
    ``observed`` notes how each call is written, as comparisons with other counters need it.

    Raises ``UnknownNameError``, ``ChoiceError`` or ``ShapeError``, with what to do next; for a
    module ``TraceError``, for code ``CodeError``, for a report ``ReportError``.
    """
    if isinstance(model, CostTable):
        if choices or input_size is not None:
            raise ChoiceError(f"{model.model} is counted already: give choices where it is made")
        return model
    run = Run(inputs, kwargs, training, real, input_type, observed)
    with no_collections():
        network = resolve(model, input_size, run, **choices)
        return CostTable(network.graph, counted(network.graph), trace=network.trace)


def costs(graph: Graph) -> CostTable:
    """The costs of a graph."""
    return CostTable(graph, counted(graph))


def summary(table: CostTable) -> Iterable[Paragraph]:
    """The total in a sentence, and what the total misses, if anything."""
    whole = table.total
    yield from lower_bound(table.uncounted)
    if table.graph.unused:
        yield Paragraph(_unused(table.graph.unused))
    count = whole.count
    at_least = "" if table.complete else "At least "
    yield Paragraph(
        f"{at_least}{formatting.both(whole.macs, 'MACs')}, "
        f"{formatting.both(whole.params, 'params')}, {formatting.integer(whole.flops)} FLOPs = "
        f"2·MACs + {formatting.integer(whole.other)} other ops "
        f"(mul {formatting.integer(count.mul)}, add {formatting.integer(count.add)}, "
        f"cmp {formatting.integer(count.cmp)}, div {formatting.integer(count.div)}, "
        f"special {formatting.integer(count.special)})."
    )


def lower_bound(uncounted: Sequence[Row]) -> Iterable[Paragraph]:
    """Which operations a total misses, if there are any."""
    if uncounted:
        places = ", ".join(
            f"{row.path} ({row.op}, "
            f"{formatting.shapes(row.inputs)} → {formatting.shape(row.output)})"
            for row in uncounted
        )
        yield Paragraph(
            f"Lower bound: {formatting.plural(len(uncounted), 'operation')} without a rule, "
            f"not counted: {places}.",
            "bad",
        )


def _unused(tensors: tuple[tuple[str, int], ...]) -> str:
    """Which learnable tensors are not read, by the module that has them, and how large they are."""
    modules: dict[str, int] = {}
    for name, count in tensors:
        owner = name.rpartition(".")[0] or name
        modules[owner] = modules.get(owner, 0) + count
    listed = [f"{name} ({formatting.integer(count)})" for name, count in modules.items()]
    more = f" and {len(listed) - 5} more" if len(listed) > 6 else ""
    where = ", ".join(listed if not more else listed[:5])
    all_of_them = formatting.both(sum(modules.values()), "params")
    return f"Not counted, since nothing reads them: {all_of_them} of {where}{more}."


def _operation(each: Group | Row) -> str:
    if isinstance(each, Group):
        return formatting.plural(each.total.layers, "layer")
    return f"{each.op} {each.kernel}".rstrip()


def _quantities(cost: Row | Total) -> dict[str, int | None]:
    """Integers by name; None where there is no rule."""
    known = cost.count is not None
    return {
        name: say(cost) if known or name in ("params", "activations") else None
        for name, say in QUANTITIES.items()
    }
