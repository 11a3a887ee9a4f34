"""Models side by side, by branch and in total."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from costlab import units
from costlab.costs import CostTable, Group, Row, Total, analyze, bounded, derivation
from costlab.crosscheck import CrossCheck, crosscheck
from costlab.document import Column, Document, Line, Paragraph, Record, Table
from costlab.errors import ChoiceError
from costlab.graph import Graph
from costlab.result import Result

Cost: TypeAlias = Row | Total

QUANTITIES: dict[str, tuple[str, Callable[[Cost], int]]] = {
    "macs": ("MACs", lambda cost: cost.macs),
    "params": ("params", lambda cost: cost.params),
    "other": ("other ops", lambda cost: cost.other),
    "activations": ("activations", lambda cost: cost.activations),
}
"""What is compared: its name for people, and how a row or a total says it."""


@dataclass(frozen=True)
class Branch:
    """A part that some of the models have: its costs in each, None where it is absent."""

    path: str
    parts: tuple[Group | Row | None, ...]

    @property
    def costs(self) -> tuple[Cost | None, ...]:
        """A row or a total for each model."""
        return tuple(part.total if isinstance(part, Group) else part for part in self.parts)


@dataclass(frozen=True)
class Comparison(Result):
    """Cost tables side by side; ratios are to the first. ``checks`` are the fvcore verdicts."""

    tables: tuple[CostTable, ...]
    checks: tuple[CrossCheck, ...] = ()

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """The outermost parts of the models, matched by name."""
        trees = [{part.path: part for part in table.groups(depth=1)} for table in self.tables]
        paths = dict.fromkeys(path for tree in trees for path in tree)
        return tuple(Branch(path, tuple(tree.get(path) for tree in trees)) for path in paths)

    @property
    def complete(self) -> bool:
        """Whether every operation of every model has been counted."""
        return all(table.complete for table in self.tables)

    def document(self) -> Document:
        first, *others = self.tables
        return (
            Paragraph(" vs ".join(table.model for table in self.tables), "title"),
            *(Paragraph(f"{_gain(first, other)}.", "strong") for other in others),
            *(Paragraph(text) for text in self._interface()),
            *(self._table(key) for key in QUANTITIES),
            *(_lower_bound(table) for table in self.tables if not table.complete),
            *(check.verdict(counter) for check in self.checks for counter in check.versions),
            Paragraph(units.LEGEND, "dim"),
        )

    def records(self) -> list[Record]:
        lines: list[tuple[str, tuple[Cost | None, ...], list[str]]] = [
            (branch.path, branch.costs, _derivations(branch)) for branch in self.branches
        ]
        totals = tuple(table.total for table in self.tables)
        lines.append(("total", totals, [""] * len(totals)))
        return [
            {
                "path": path,
                "model": table.model,
                **{key: _figure(key, cost) for key in QUANTITIES},
                "macs_ratio_to_first": _ratio(costs[0], cost),
                "derivation": text,
            }
            for path, costs, texts in lines
            for table, cost, text in zip(self.tables, costs, texts, strict=True)
        ]

    def data(self) -> dict[str, Any]:
        return {
            "models": [table.data() for table in self.tables],
            "branches": [
                {
                    "path": branch.path,
                    **{key: [_figure(key, cost) for cost in branch.costs] for key in QUANTITIES},
                    "derivation": _derivations(branch),
                }
                for branch in self.branches
            ],
            "same_interface": len({table.graph.outputs for table in self.tables}) == 1,
            "crosschecks": [check.data() for check in self.checks],
            "counters": {k: v for check in self.checks for k, v in check.versions.items()},
            "complete": self.complete,
        }

    def _table(self, key: str) -> Table:
        head, _ = QUANTITIES[key]
        names = [table.model for table in self.tables]
        lines = []
        for branch in self.branches:
            details = _shown(names, _derivations(branch)) if key == "macs" else ()
            lines.append(Line((branch.path, *_cells(key, branch.costs)), details=details))
        totals = tuple(table.total for table in self.tables)
        lines.append(Line(("total", *_cells(key, totals)), style="strong"))
        heads = [names[0]]
        for name in names[1:]:
            heads += [name, f"vs {names[0]}"]
        return Table((Column(head, right=False), *map(Column, heads)), tuple(lines), "derivation")

    def _interface(self) -> Iterable[str]:
        """What goes in and comes out, and what a difference means for what follows."""
        inputs = {table.model: units.shapes(table.graph.inputs) for table in self.tables}
        if len(set(inputs.values())) == 1:
            yield f"Same input: {next(iter(inputs.values()))} (batch first)."
        else:
            yield f"Different inputs: {_listed(inputs)} (batch first); mind what is compared."
        outputs = {table.model: units.shapes(table.graph.outputs) for table in self.tables}
        if len(set(outputs.values())) == 1:
            yield f"Same interface: each gives {next(iter(outputs.values()))}."
            return
        yield f"Different interface: {_listed(outputs)}."
        first, *others = self.tables
        for other in others:
            if text := _following(first, other):
                yield text


def compare(
    *models: str | Graph | CostTable,
    input_size: Iterable[int] | None = None,
    trace: bool = True,
    progress: Callable[[str], None] = lambda step: None,
) -> Comparison:
    """Compare two or more models, by branch and in total; ratios are to the first.

    A model is a name, as for ``analyze``, a ``Graph``, or a ``CostTable``. ``trace`` builds each
    model and lets fvcore count it too, which imports torch. Raises what ``analyze`` raises, and
    ``ChoiceError`` for fewer than two models.
    """
    if len(models) < 2:
        raise ChoiceError("compare takes two or more models, such as: naive reduced")
    size = None if input_size is None else tuple(input_size)
    tables = tuple(
        model if isinstance(model, CostTable) else analyze(model, size) for model in models
    )
    checks = (crosscheck(table, ["fvcore"], progress=progress) for table in tables if trace)
    return Comparison(tables, tuple(checks))


def _gain(first: CostTable, other: CostTable) -> str:
    ratios = [
        f"{_words(say(first.total), say(other.total), head)}" for head, say in QUANTITIES.values()
    ]
    return f"{other.model} against {first.model}: {', '.join(ratios)}"


def _words(first: int, other: int, head: str) -> str:
    ratio = units.ratio(first, other)
    return f"the same {head}" if ratio == "same" else f"{ratio} {head}"


def _following(first: CostTable, other: CostTable) -> str:
    """What the channels of two outputs mean for a layer that reads them."""
    a, b = first.graph.outputs, other.graph.outputs
    if len(a) != 1 or len(b) != 1 or len(a[0]) < 2 or a[0][:1] + a[0][2:] != b[0][:1] + b[0][2:]:
        return ""
    return (
        f"A convolution or linear layer that follows costs in proportion to its input channels: "
        f"after {other.model} it takes {b[0][1]}/{a[0][1]} of the MACs and weights that it takes "
        f"after {first.model} ({units.ratio(a[0][1], b[0][1])})."
    )


def _lower_bound(table: CostTable) -> Paragraph:
    missing = units.plural(table.total.uncounted, "operation")
    return Paragraph(f"Lower bound: {missing} of {table.model} without a rule, not counted.", "bad")


def _figure(key: str, cost: Cost | None) -> int | None:
    """A quantity of a branch; None where the branch is absent or has no rule."""
    return None if cost is None or cost.count is None else QUANTITIES[key][1](cost)


def _cells(key: str, costs: tuple[Cost | None, ...]) -> list[str]:
    """The first's figure, then each other's with its ratio to the first; absent is ``-``."""
    texts = ["-" if cost is None else bounded(cost, QUANTITIES[key][1](cost)) for cost in costs]
    figures = [_figure(key, cost) for cost in costs]
    cells = texts[:1]
    for text, figure in zip(texts[1:], figures[1:], strict=True):
        known = figures[0] is not None and figure is not None
        cells += [text, units.ratio(figures[0] or 0, figure or 0) if known else ""]
    return cells


def _derivations(branch: Branch) -> list[str]:
    return ["" if part is None else derivation(part) for part in branch.parts]


def _shown(names: list[str], derivations: list[str]) -> tuple[str, ...]:
    """One line if all derive the same way, else one for each model that has any."""
    if len(set(derivations)) == 1:
        return tuple(filter(None, derivations[:1]))
    width = max(map(len, names))
    return tuple(
        f"{name:<{width}}  {text}" for name, text in zip(names, derivations, strict=True) if text
    )


def _ratio(first: Cost | None, cost: Cost | None) -> float | None:
    if cost is None or first is None or not first.macs:
        return None
    return round(cost.macs / first.macs, 6)


def _listed(shapes: dict[str, str]) -> str:
    return ", ".join(f"{model} {text}" for model, text in shapes.items())
