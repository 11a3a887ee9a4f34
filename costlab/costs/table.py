"""A graph's costs: a row for each layer, totals, and the same for any part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from costlab import formatting
from costlab.costs.columns import SHARE
from costlab.costs.cost import Cost
from costlab.costs.layout import Layout
from costlab.costs.quantities import More, quantities
from costlab.costs.remarks import how_it_was_run, of_sums, of_the_run, of_training, remarks, summary
from costlab.costs.result import RowResult
from costlab.costs.rows import Group, Row, gradient_derivations, rows_of, tree
from costlab.errors import ChoiceError, UnknownNameError, shown
from costlab.gc_pause import no_collections
from costlab.graph import Graph
from costlab.graph.op import Shape
from costlab.graph.sizes import InputSize
from costlab.models.arguments import keywords_of
from costlab.models.reference import Model, Run, resolve
from costlab.render.document import Document, Page, Paragraph, Record, Table

if TYPE_CHECKING:
    from fractions import Fraction

    from costlab.trace.given import InputType
    from costlab.trace.observation import Trace


_USUAL = Layout()


@dataclass(frozen=True, repr=False)
class CostTable(RowResult):
    """The costs of one network or part: ``rows``, ``total``, and exports.

    Shapes have the batch first; what is counted stands in ``costlab.costs.quantities``.
    ``layout`` is how it is shown and exported. It iterates over its rows, ``table[0]`` is the
    first, and ``table["stages.0"]`` is a part.
    """

    graph: Graph
    rows: tuple[Row, ...]
    layout: Layout = _USUAL
    trace: Trace | None = field(default=None, compare=False)
    """The run that the network was traced in, if it was."""
    training_cost: bool = False
    """Whether it says what a training step costs."""
    more: More = field(default=(), compare=False)
    """Quantities that it has beside those of every model, such as times on a device."""

    @overload
    def __getitem__(self, path: str) -> CostTable: ...

    @overload
    def __getitem__(self, path: int) -> Row: ...

    def __getitem__(self, path: str | int) -> CostTable | Row:
        return self.at(path) if isinstance(path, str) else self.rows[path]

    def __contains__(self, part: object) -> bool:
        """Whether there is a part at that path, or such a row."""
        if not isinstance(part, str):
            return part in self.rows
        try:
            self.at(part)
        except UnknownNameError:
            return False
        return True

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
        """Whether every operation has been counted, backwards too where that is asked for."""
        total = self.total
        backwards = total.backward_bound or total.backward_ops_bound
        return not self.uncounted and not (self.training_cost and backwards)

    def share(self, part: Cost) -> Fraction:
        """The part's share of all MACs, exactly (0 where there are none)."""
        from fractions import Fraction

        return Fraction(part.macs, self.total.macs or 1)

    def at(self, path: str) -> CostTable:
        """The part at ``path`` (``a/b`` or ``a.b``) as a table: ``analyze("model/path")``.

        Raises ``UnknownNameError``.
        """
        if not isinstance(path, str):
            raise ChoiceError(f"a part is named by its path, such as 'stem', not {shown(path)}")
        return replace(costs(self.graph.part(path), self.training_cost), more=self.more)

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
        return self.laid_out(depth=depth)

    def laid_out(self, **how: Any) -> CostTable:
        """The same costs, shown and exported otherwise: see ``costlab.costs.layout.Layout``.

        ``table.laid_out(sort="params", top=5)``, ``table.laid_out(by="kind")``. Raises
        ``ChoiceError`` or ``UnknownNameError``.
        """
        ways = [way.name for way in fields(Layout)]
        if unknown := [name for name in how if name not in ways]:
            raise UnknownNameError("way to lay out a table", unknown[0], ways)
        layout = replace(self.layout, **how)
        if layout.of_training and not self.training_cost:
            raise ChoiceError(
                f"{layout.of_training[0]} is not counted without training_cost: analyze it with it"
            )
        return replace(self, layout=layout)

    def made_with(self) -> Mapping[str, str]:
        if self.trace is None:
            return {}
        import torch  # which has been imported for the trace

        return {"torch": torch.__version__.partition("+")[0]}

    def headline(self) -> str:
        at_least = "at least " if self.uncounted else ""
        total = self.total
        return (
            f"{self.model}: {at_least}{formatting.scaled(total.macs)} MACs, "
            f"{formatting.scaled(total.params)} params, {total.operation}"
        )

    def document(self) -> Document:
        return (
            Paragraph(self.model, "title"),
            *([Paragraph(self.graph.about)] if self.graph.about else []),
            Paragraph(self.graph.ends),
            self.table(),
            *summary(self.total, self.graph),
            *(self._of_training() if self.training_cost else ()),
            *remarks([self.remark]),
            *remarks([of_sums(self.rows)]),
            Paragraph(self.layout.legend(self.training_cost), "dim"),
        )

    def _of_training(self) -> list[Paragraph]:
        from costlab.costs.optimizers import of_optimizers  # a first answer does not wait for it

        return [*of_training(self.total), *of_optimizers(self.graph)]

    def _optimizers(self) -> dict[str, Any]:
        from costlab.costs.optimizers import steps

        return {"optimizers": steps(self.graph)}

    def page(self) -> Page:
        from costlab.costs.diagram import diagrams  # where a page is written
        from costlab.costs.nest import nest_of
        from costlab.costs.tree import tree_of
        from costlab.render.diagram import Graphs

        known = self.document()
        asked_otherwise = self.layout.listed and self.layout != Layout(sort=self.layout.sort)
        graphs = Graphs((diagrams(self),), self.layout.depth, (nest_of(self),))
        return tuple(
            block
            for part in known
            for block in (
                (tree_of(self), *((part,) if asked_otherwise else ()), graphs)
                if isinstance(part, Table)
                else (part,)
            )
        )

    def table(self) -> Table:
        """The table of the document: scopes and layers, and the total."""
        return self.layout.table(self)

    def records(self) -> list[Record]:
        keys, parts = self.layout.keys(), self.exported()
        if not keys:
            return [self._record(part) for part in parts]
        return [{key: self.value(key, part) for key in keys} for part in parts]

    def data(self) -> dict[str, Any]:
        from costlab.models.saved_report.writing import graph_data  # tables do not wait for it

        return {
            "model": self.model,
            "about": self.graph.about,
            "input": self._input(),
            "output": [list(shape) for shape in self.graph.outputs],
            "total": self._quantities(self.total),
            "rows": [self._entry(part) for part in self.exported()],
            "unused": _named(self.graph.unused),
            "unregistered": _named(self.graph.unregistered),
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
            **(self._optimizers() if self.training_cost else {}),
            **how_it_was_run(self.graph),
            "graph": graph_data(
                self.graph,
                [(None if row.uncounted else row.count, row.activations) for row in self.rows],
                self.training_cost,
            ),
        }

    def _input(self) -> list[list[int]] | None:
        """The inputs' shapes; None where they are not known."""
        inputs = [list(shape) for shape in self.graph.inputs]
        return inputs if inputs or self.graph.connected else None

    def _quantities(self, cost: Cost) -> dict[str, int | None]:
        """Integers by name; None where there is no rule."""
        known = quantities(self.training_cost, self.more)
        return {name: quantity.known(cost) for name, quantity in known.items()}

    def ends(self, part: Cost) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
        """The shapes that a layer or scope takes, and those that it gives."""
        if part.layer is not None:
            return part.layer.inputs, (part.layer.output,)
        return self.graph.ends_of(part.path)

    def exported(self) -> list[Cost]:
        """The lines that files of data have: no line repeats another."""
        return self.layout.leaves(self.layout.chosen(self).parts)

    def value(self, key: str, part: Cost) -> Any:
        """One value of a record, or a share that a column was asked for."""
        all_quantities = quantities(training_cost=True)
        quantity = all_quantities.get(key.removesuffix(SHARE))
        if key in all_quantities:
            return all_quantities[key].known(part)
        if quantity is None:
            record = self._record(part)
            if key not in record:
                raise UnknownNameError("quantity", key, all_quantities)
            return record[key]
        known, whole = quantity.known(part), quantity.of(self.total)
        return None if known is None else round(known / (whole or 1), 6)

    def _record(self, part: Cost) -> Record:
        placed = self.layout.by == "path"
        inputs, outputs = self.ends(part) if placed else ((), ())
        unknown = part.bound == "unknown"
        return {
            "path": part.path if placed else "",
            "op": part.label if placed else part.path,
            "class": self.graph.class_of(part.path) if placed else "",
            "layers": part.layers,
            "input": formatting.shapes(inputs),
            "detail": part.detail,
            "output": formatting.shapes(outputs),
            **self._quantities(part),
            "share": None if unknown else round(float(self.share(part)), 6),
            "derivation": part.derivation if placed else "",
            **(
                {
                    f"{of}_gradient_derivation": text
                    for of, text in gradient_derivations(part).items()
                }
                if self.training_cost
                else {}
            ),
        }

    def _entry(self, part: Cost) -> dict[str, Any]:
        """A record for JSON: shapes are lists, and what can be derived (the share) is left out."""
        inputs, outputs = self.ends(part) if self.layout.by == "path" else ((), ())
        record = self._record(part)
        del record["share"]
        if part.layer and (contraction := part.rows[0].contraction):
            record["factors"] = contraction.factors()
        if self.training_cost:
            record |= {
                "input_gradient_ops": part.input_gradient_ops._asdict(),
                "weight_gradient_ops": part.weight_gradient_ops._asdict(),
            }
            del record["input_gradient_ops"]["macs"], record["weight_gradient_ops"]["macs"]
        return record | {
            "input": [list(shape) for shape in inputs],
            "output": [list(shape) for shape in outputs],
        }


def analyze(
    model: Model | CostTable,
    input_size: InputSize | None = None,
    *,
    inputs: Any = None,
    kwargs: dict[str, Any] | None = None,
    input_type: InputType = "",
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
    is the input's shape, batch first, by default the published one, or those of several:
    ``[(1, 300), (1, 300)]``, ``{"x": (1, 300), "y": (1, 300)}``; ``choices`` are choices as keyword
    arguments.

    The rest is for an ``nn.Module`` or code. Its forward is followed on shapes alone: nothing is
    computed, and the module is left as it was. ``inputs`` is what it takes in place of one tensor
    of ``input_size``: a tensor, a tuple, or a dict of keyword arguments; ``kwargs`` are further
    ones. ``input_type`` is the type of a tensor of ``input_size``, such as ``"int64"`` or
    ``torch.int64`` for the ids of tokens, by default that of the parameters; of several inputs one
    for all or one for each, in the same form as their sizes. ``training`` follows
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
    with no_collections(), keywords_of(choices, analyze):
        network = resolve(model, input_size, run, **choices)
        return costs(network.graph, training_cost, network.trace)


def costs(graph: Graph, training_cost: bool = False, trace: Trace | None = None) -> CostTable:
    """The costs of a graph, with those of a training step if asked; ``trace`` is its run."""
    rows = rows_of(graph, training_cost)
    return CostTable(graph, rows, trace=trace, training_cost=training_cost)


def _named(tensors: Iterable[tuple[str, int]]) -> list[dict[str, str | int]]:
    return [{"name": name, "params": count} for name, count in tensors]
