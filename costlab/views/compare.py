"""Models side by side, by branch and in total."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from costlab import formatting
from costlab.checks.crosscheck import CrossCheck, crosscheck
from costlab.checks.runnable import can_run
from costlab.costs.quantities import Quantity, legend, shown
from costlab.costs.result import CostResult
from costlab.costs.rows import Cost
from costlab.costs.table import CostTable, analyze
from costlab.errors import ChoiceError
from costlab.graph.op import Shape
from costlab.graph.sizes import InputSize
from costlab.models.arguments import sizes_of
from costlab.models.reference import Accepts, Model, reference
from costlab.render.cells import Cell, Versus
from costlab.render.document import Column, Document, Line, Paragraph, Record, Table


def compared_quantities() -> list[Quantity]:
    """The quantities of a comparison."""
    return shown("compare", first="macs")


@dataclass(frozen=True)
class ComparedPart:
    """A part that some of the models have: its costs in each, None where it is absent."""

    path: str
    costs: tuple[Cost | None, ...]


@dataclass(frozen=True, repr=False)
class Comparison(CostResult):
    """Cost tables side by side; ratios are to the first. ``checks`` are the fvcore verdicts."""

    tables: tuple[CostTable, ...]
    checks: tuple[CrossCheck, ...] = ()
    depth: int = 1

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The models' names, with their inputs where the name alone does not tell them apart."""
        names = [table.model for table in self.tables]
        longer = [
            name if names.count(name) == 1 else f"{name} on {table.graph.entering}"
            for name, table in zip(names, self.tables, strict=True)
        ]
        return tuple(
            name if longer.count(name) == 1 else f"{name} ({longer[: i + 1].count(name)})"
            for i, name in enumerate(longer)
        )

    @cached_property
    def branches(self) -> tuple[ComparedPart, ...]:
        """The parts of the models down to ``depth``, matched by path."""
        trees = [{part.path: part for part in table.leaves(self.depth)} for table in self.tables]
        paths = dict.fromkeys(path for tree in trees for path in tree)
        return tuple(ComparedPart(path, tuple(tree.get(path) for tree in trees)) for path in paths)

    @property
    def complete(self) -> bool:
        """Whether every operation of every model has been counted."""
        return all(table.complete for table in self.tables)

    @property
    def title(self) -> str:
        """The heading above all of it."""
        return " vs ".join(self.names)

    def document(self) -> Document:
        return (Paragraph(self.title, "title"), *self.body())

    def body(self) -> Document:
        """All but the title."""
        return (
            *(Paragraph(text, "strong") for text in self._gains()),
            *(Paragraph(text) for text in self._interface()),
            *map(self._table, compared_quantities()),
            *(Paragraph(text, "bad") for text in self._lower_bounds()),
            *(check.verdict(counter) for check in self.checks for counter in check.versions),
            *(Paragraph(text) for text in self._unchecked()),
            Paragraph(legend(), "dim"),
        )

    def records(self) -> list[Record]:
        lines: list[tuple[str, str, tuple[Cost | None, ...], list[str]]] = [
            ("branch", branch.path, branch.costs, _derivations(branch)) for branch in self.branches
        ]
        totals = tuple(table.total for table in self.tables)
        lines.append(("total", "", totals, [""] * len(totals)))
        return [
            {
                "row": kind,
                "path": path,
                "model": name,
                **{quantity.name: _known(quantity, cost) for quantity in compared_quantities()},
                "macs_ratio_to_first": _ratio(costs[0], cost),
                "derivation": text,
            }
            for kind, path, costs, texts in lines
            for name, cost, text in zip(self.names, costs, texts, strict=True)
        ]

    def data(self) -> dict[str, Any]:
        return {
            "models": [table.data() for table in self.tables],
            "branches": [
                {
                    "path": branch.path,
                    **{
                        quantity.name: [_known(quantity, cost) for cost in branch.costs]
                        for quantity in compared_quantities()
                    },
                    "derivation": _derivations(branch),
                }
                for branch in self.branches
            ],
            "same_interface": len({table.graph.outputs for table in self.tables}) == 1,
            "crosschecks": [check.data() for check in self.checks],
            "counters": {k: v for check in self.checks for k, v in check.versions.items()},
            "complete": self.complete,
        }

    def _table(self, quantity: Quantity) -> Table:
        lines = []
        for branch in self.branches:
            details = _shown(self.names, _derivations(branch)) if quantity.name == "macs" else ()
            lines.append(Line((branch.path, *_cells(quantity, branch.costs)), details=details))
        totals = tuple(table.total for table in self.tables)
        lines.append(Line(("total", *_cells(quantity, totals)), style="strong"))
        first, *others = self.names
        columns = [Column(quantity.heading, right=False), Column(first)]
        for other in others:
            columns += [Column(other), Column(f"vs {first}", joined=True)]
        return Table(tuple(columns), tuple(lines), "derivation")

    def _gains(self) -> Iterable[str]:
        """A sentence for each further model: how its totals compare with those of the first."""
        first, *others = (table.total for table in self.tables)
        for name, other in zip(self.names[1:], others, strict=True):
            ratios = [
                _words(formatting.ratio(quantity.of(first), quantity.of(other)), quantity.heading)
                for quantity in compared_quantities()
            ]
            yield f"{name} against {self.names[0]}: {', '.join(ratios)}."

    def _interface(self) -> Iterable[str]:
        """Sentences on inputs and outputs, and on what different outputs cost the next layer."""
        inputs = [table.graph.entering for table in self.tables]
        unknown = [
            name
            for name, table in zip(self.names, self.tables, strict=True)
            if not (table.graph.inputs or table.graph.connected)
        ]
        if unknown:
            yield f"The input of {', '.join(unknown)} is not known: an older costlab saved it."
        elif len(set(inputs)) == 1:
            yield f"Same input: {inputs[0]} (batch first)."
        else:
            by_model = self._by_model(inputs)
            yield f"Different inputs: {by_model} (batch first); mind what is compared."
        outputs = [formatting.shapes(table.graph.outputs) for table in self.tables]
        if len(set(outputs)) == 1:
            yield f"Same interface: each gives {outputs[0]}."
            return
        yield f"Different interface: {self._by_model(outputs)}."
        first, *others = (table.graph.outputs for table in self.tables)
        after: dict[tuple[int, int], list[str]] = {}
        for name, other in zip(self.names[1:], others, strict=True):
            if (channels := _channels(first, other)) and channels[0] != channels[1]:
                after.setdefault(channels, []).append(name)
        for (before, now), names in after.items():
            yield (
                "A convolution or linear layer that follows costs in proportion to its input "
                f"channels: after {' or '.join(names)} it takes {now}/{before} of the MACs and "
                f"weights that it takes after {self.names[0]} ({formatting.ratio(before, now)})."
            )

    def _lower_bounds(self) -> Iterable[str]:
        for name, table in zip(self.names, self.tables, strict=True):
            if not table.complete:
                missing = formatting.plural(table.total.uncounted, "operation")
                yield f"Lower bound: {missing} of {name} without a rule, not counted."

    def _unchecked(self) -> Iterable[str]:
        checked = {id(check.table) for check in self.checks}
        left = [
            name
            for name, table in zip(self.names, self.tables, strict=True)
            if id(table) not in checked
        ]
        if left and self.checks:
            yield f"Not cross-checked by another counter: {', '.join(left)}."
        elif left:
            yield "Not cross-checked by another counter."

    def _by_model(self, texts: list[str]) -> str:
        return ", ".join(f"{name} {text}" for name, text in zip(self.names, texts, strict=True))


def compare(
    *models: Model | CostTable,
    input_size: InputSize | None = None,
    depth: int = 1,
    trace: bool = True,
    progress: Callable[[str], None] = lambda step: None,
    **how: Any,
) -> Comparison:
    """Compare two or more models, by branch and in total; ratios are to the first.

    A model is what ``analyze`` takes, or a ``CostTable``. ``input_size`` is for those that have no
    input yet; ``depth`` is how deep to go into nested scopes. ``trace`` lets fvcore count each
    model too, which imports torch; a saved report cannot be. ``how`` is ``input_type``,
    ``training`` and ``real``, as ``analyze`` has them, for those that are modules or code. Raises
    what ``analyze`` raises, and ``ChoiceError`` for fewer than two models.
    """
    if len(models) < 2:
        raise ChoiceError("compare takes two or more models, such as: naive reduced")
    size = None if input_size is None else sizes_of(input_size)
    accepted = [_accepts(model) for model in models]
    sized = any("input size" in accepts for accepts in accepted)
    followed = any("run" in accepts for accepts in accepted)
    tables = tuple(
        analyze(
            model,
            size if "input size" in accepts or not sized else None,
            **(how if "run" in accepts or not followed else {}),
        )
        for model, accepts in zip(models, accepted, strict=True)
    )
    checks = []
    for table in tables:
        if trace and can_run(table):
            checks.append(crosscheck(table, counters=["fvcore"], progress=progress))
    return Comparison(tables, tuple(checks), depth)


def _accepts(model: Model | CostTable) -> frozenset[Accepts]:
    """The arguments that a model accepts; a table, which is finished, accepts none."""
    return frozenset() if isinstance(model, CostTable) else reference(model).accepts


def _words(ratio: str, head: str) -> str:
    return f"the same {head}" if ratio == "same" else f"{ratio} {head}"


def _channels(first: tuple[Shape, ...], other: tuple[Shape, ...]) -> tuple[int, int] | None:
    """The channels of two single outputs that differ in nothing else."""
    if len(first) != 1 or len(other) != 1:
        return None
    (a,), (b,) = first, other
    alike = len(a) >= 2 and (a[0], *a[2:]) == (b[0], *b[2:])
    return (a[1], b[1]) if alike else None


def _known(quantity: Quantity, cost: Cost | None) -> int | None:
    """A quantity of a branch; None where the branch is absent or has no rule."""
    return None if cost is None else quantity.known(cost)


def _cells(quantity: Quantity, costs: tuple[Cost | None, ...]) -> list[Cell]:
    """The number of the first, then of each other with its ratio to the first; ``-`` is absent."""
    first, *others = (_known(quantity, cost) for cost in costs)
    cells: list[Cell] = ["-" if cost is None else quantity.cell(cost) for cost in costs]
    shown = cells[:1]
    for cell, figure in zip(cells[1:], others, strict=True):
        unknown = first is None or figure is None
        shown += [cell, "" if unknown else Versus(first or 0, figure or 0)]
    return shown


def _derivations(branch: ComparedPart) -> list[str]:
    return ["" if cost is None else cost.derivation for cost in branch.costs]


def _shown(names: Sequence[str], derivations: list[str]) -> tuple[str, ...]:
    """One line if all derive the same way, else one for each model that has any."""
    if len(set(derivations)) == 1:
        return tuple(filter(None, derivations[:1]))
    width = max(map(len, names))
    return tuple(
        f"{name + ':':<{width + 1}} {text}"
        for name, text in zip(names, derivations, strict=True)
        if text
    )


def _ratio(first: Cost | None, cost: Cost | None) -> float | None:
    if cost is None or first is None or not first.macs:
        return None
    return round(cost.macs / first.macs, 6)
