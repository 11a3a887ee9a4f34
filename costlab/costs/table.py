"""A graph's costs: a row for each layer, totals, and the same for any part of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.costs.quantities import Quantity, legend, quantities, shown, units
from costlab.costs.remarks import how_it_was_run, of_the_run, remarks, summary
from costlab.costs.result import CostResult
from costlab.costs.rows import Cost, Group, Row, rows_of, tree
from costlab.errors import ChoiceError
from costlab.gc_pause import no_collections
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.models.arguments import keywords_of
from costlab.models.reference import Model, Run, resolve
from costlab.models.saved_report import graph_data
from costlab.render.cells import Cell, Shapes, Share
from costlab.render.document import Column, Document, Line, Paragraph, Record, Table, Units

if TYPE_CHECKING:
    from fractions import Fraction

    import torch

    from costlab.trace.observation import Trace

_SHORT = 60
"""Characters of a scope's derivation that still help a reader of its line."""


@dataclass(frozen=True, repr=False)
class CostTable(CostResult):
    """The costs of one network or part: ``rows``, ``total``, and exports.

    Shapes have the batch first; what is counted stands in ``costlab.costs.quantities``.
    ``depth`` is how deep exports go into nested scopes; None is down to the layers.
    """

    graph: Graph
    rows: tuple[Row, ...]
    depth: int | None = None
    trace: Trace | None = field(default=None, compare=False)
    """The run that the network was traced in, if it was."""
    training_cost: bool = False
    """Whether it says what a training step costs."""

    @property
    def model(self) -> str:
        """The name, with choices and part: ``reduced(c5r=24)/branch5x5``."""
        return self.graph.name

    @cached_property
    def total(self) -> Group:
        """All rows together."""
        return Group("", self.rows)

    @property
    def uncounted(self) -> tuple[Row, ...]:
        """The rows without a rule; if there are any, totals are lower bounds."""
        return tuple(row for row in self.rows if row.uncounted)

    @property
    def remark(self) -> str:
        return of_the_run(self.graph)

    @property
    def complete(self) -> bool:
        """Whether every operation has been counted."""
        return not self.uncounted

    def share(self, part: Cost) -> Fraction:
        """The part's share of all MACs, exactly (0 where there are none)."""
        from fractions import Fraction

        return Fraction(part.macs, self.total.macs or 1)

    def at(self, path: str) -> CostTable:
        """The part at ``path`` (``a/b`` or ``a.b``) as a table: ``analyze("model/path")``.

        Raises ``UnknownNameError``.
        """
        return costs(self.graph.part(path), self.training_cost)

    def groups(self, depth: int | None = None) -> list[Row | Group]:
        """The network as a tree, top down: scopes to ``depth`` levels, each before its contents.

        A scope at the last level stands for its contents; a layer is its ``Row``.
        """
        return list(tree(self.rows, 0, depth))

    def leaves(self, depth: int | None = None) -> list[Row | Group]:
        """The lines of that tree that no other line repeats: they add up to the total."""
        return [part for part in self.groups(depth) if part.layer or part.level + 1 == depth]

    def to_depth(self, depth: int | None) -> CostTable:
        """The same costs, exported by scopes of that depth."""
        return replace(self, depth=depth)

    def document(self) -> Document:
        return (
            Paragraph(self.model, "title"),
            *([Paragraph(self.graph.about)] if self.graph.about else []),
            Paragraph(
                f"input {self.graph.entering} → output {self.graph.leaving}{self.graph.order}"
            ),
            self.table(),
            *summary(self.total, self.graph.unused),
            *remarks([self.remark]),
            Paragraph(legend(training_cost=self.training_cost), "dim"),
        )

    def table(self) -> Table:
        """The table of the document: scopes and layers, and the total."""
        columns = [
            Column("layer", right=False),
            Column("operation", right=False),
            Column("output", priority=2),
        ]
        for quantity in self._shown():
            columns.append(Column(quantity.heading, priority=quantity.shown["show"]))
            if quantity.name == "macs":
                columns.append(Column("share", priority=1))
        return Table(
            (*columns, Column("input", priority=5)),
            (
                *map(self._line, self.groups(self.depth)),
                Line(("total", "", "", *self._figures(self.total), ""), style="strong"),
            ),
            "derivation",
        )

    def records(self) -> list[Record]:
        return [self._record(part) for part in self.leaves(self.depth)]

    def data(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "about": self.graph.about,
            "input": self._input(),
            "output": [list(shape) for shape in self.graph.outputs],
            "total": self._quantities(self.total),
            "rows": [self._entry(part) for part in self.leaves(self.depth)],
            "unused": [{"name": name, "params": count} for name, count in self.graph.unused],
            "uncounted": [
                {
                    "path": row.path,
                    "op": row.label,
                    "input": [list(shape) for shape in row.inputs],
                    "output": list(row.output),
                }
                for row in self.uncounted
            ],
            "complete": self.complete,
            **how_it_was_run(self.graph),
            "graph": graph_data(
                self.graph,
                [None if row.uncounted else row.count for row in self.rows],
                self.training_cost,
            ),
        }

    def units(self) -> Units:
        return units(self.training_cost)._replace(remark=self.remark)

    def _input(self) -> list[list[int]] | None:
        """The inputs' shapes; None where they are not known."""
        inputs = [list(shape) for shape in self.graph.inputs]
        return inputs if inputs or self.graph.connected else None

    def _line(self, part: Cost) -> Line:
        inputs, outputs = self._ends(part)
        scope = part.layer is None
        return Line(
            (
                part.path.rpartition(".")[2],
                part.operation,
                Shapes(outputs),
                *self._figures(part),
                Shapes(inputs) if len(inputs) == 1 else f"{len(inputs)} tensors",
            ),
            level=part.level,
            path=part.path,
            details=self._details(part),
            style="bad" if part.bound == "unknown" else "strong" if scope else "",
        )

    def _details(self, part: Cost) -> tuple[str, ...]:
        """The derivation of a layer, or of a scope whose layers are not shown, if it is short."""
        if part.layer is None and part.level + 1 != self.depth:
            return ()
        text = part.derivation
        if part.layer is None:
            return (text,) if text and len(text) <= _SHORT else ()
        gradients = [f"{of} gradient: {text}" for of, text in _gradients(part).items() if text]
        return (*([text] if text else []), *gradients)

    def _figures(self, cost: Cost) -> Iterable[Cell]:
        """The quantities, after the MACs their share."""
        for quantity in self._shown():
            yield quantity.cell(cost)
            if quantity.name == "macs":
                yield Share(quantity.known(cost), self.total.macs)

    def _shown(self) -> list[Quantity]:
        return shown("show", training_cost=self.training_cost)

    def _quantities(self, cost: Cost) -> dict[str, int | None]:
        """Integers by name; None where there is no rule."""
        known = quantities(self.training_cost)
        return {name: quantity.known(cost) for name, quantity in known.items()}

    def _ends(self, part: Cost) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
        if part.layer is not None:
            return part.layer.inputs, (part.layer.output,)
        graph = self.graph.part(part.path, all_calls=False)
        return graph.inputs, graph.outputs

    def _record(self, part: Cost) -> Record:
        inputs, outputs = self._ends(part)
        unknown = part.bound == "unknown"
        return {
            "path": part.path,
            "op": part.label,
            "layers": part.layers,
            "input": formatting.shapes(inputs),
            "detail": part.detail,
            "output": formatting.shapes(outputs),
            **self._quantities(part),
            "share": None if unknown else round(float(self.share(part)), 6),
            "derivation": part.derivation,
            **(
                {f"{of}_gradient_derivation": text for of, text in _gradients(part).items()}
                if self.training_cost
                else {}
            ),
        }

    def _entry(self, part: Cost) -> dict[str, Any]:
        """A record for JSON: shapes are lists, and what can be derived (the share) is left out."""
        inputs, outputs = self._ends(part)
        record = self._record(part)
        del record["share"]
        if part.layer and (contraction := part.rows[0].contraction):
            record["factors"] = contraction.factors()
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
    input_type: str | torch.dtype = "",
    training: bool = False,
    real: bool = False,
    observed: bool = False,
    training_cost: bool = False,
    method: str = "forward",
    **choices: Any,
) -> CostTable:
    """The costs of a model: a row for each layer, totals, derivations.

    ``model`` is the name of an architecture, with choices and part if wanted
    (``"reduced(c5r=24)/branch5x5"``), Python code (``"package.module:factory(width=2)"``, which is
    imported), a saved report (``"report.json"``), an ``nn.Module``, a method that is bound to one
    (``net.encode``), or a ``Graph``. A table that is there already is given back. ``input_size``
    is the input's shape, batch first, by default the published one; ``choices`` are choices as
    keyword arguments.

    The rest is for an ``nn.Module`` or code. Its forward is followed on shapes alone: nothing is
    computed, and the module is left as it was. ``inputs`` is what it takes in place of one tensor
    of ``input_size``: a tensor, a tuple, or a dict of keyword arguments; ``kwargs`` are further
    ones. ``input_type`` is the type of a tensor of ``input_size``, such as ``"int64"`` or
    ``torch.int64`` for the ids of tokens, by default that of the parameters. ``training`` follows
    it in training mode (counts are those of evaluation). ``real`` runs it on real tensors too, for
    code that depends on values. ``observed`` notes how each call is written, as comparisons with
    other counters need it. ``method`` is what is followed in place of forward, such as
    ``"generate"``.

    ``training_cost`` also counts the backward pass from the sum of the outputs: gradients of what
    layers take and of parameters, those that a training step needs. Of a module it follows which
    parameters are frozen, and where code cuts gradients.

    Raises ``UnknownNameError``, ``ChoiceError`` or ``ShapeError``, with what to do next; for a
    module ``TraceError``, for code ``CodeError``, for a report ``ReportError``.
    """
    if isinstance(model, CostTable):
        if training_cost and not model.training_cost:
            raise ChoiceError(f"{model.model} is a table without training_cost: analyze it with it")
        if not (choices or input_size is not None):
            return model
        model = model.graph
    run = Run(inputs, kwargs, training, real, input_type, observed, training_cost, method)
    with no_collections(), keywords_of(analyze, choices):
        network = resolve(model, input_size, run, **choices)
        return replace(costs(network.graph, training_cost), trace=network.trace)


def costs(graph: Graph, training_cost: bool = False) -> CostTable:
    """The costs of a graph, with those of a training step if asked."""
    return CostTable(graph, rows_of(graph, training_cost), training_cost=training_cost)


def _gradients(cost: Cost) -> dict[str, str]:
    """The derivations of a layer's backward pass, ``""`` where it has none."""
    backward = cost.rows[0].backward if cost.layer else None
    both = ((), ()) if backward is None else (backward.inputs, backward.weights)
    return {
        of: " + ".join(str(gradient.contraction) for gradient in gradients)
        for of, gradients in zip(("input", "weight"), both, strict=True)
    }
