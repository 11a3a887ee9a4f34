"""What a gate found: models, their limits, and the layers that made one fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from costlab import formatting
from costlab.costs.quantities import More, legend, quantities, shown
from costlab.costs.quantity import Quantity
from costlab.costs.result import CostResult
from costlab.costs.table import CostTable
from costlab.gates.limits import Judged
from costlab.gates.tables import lines_of, sections
from costlab.render.cells import Cell, Difference, Versus
from costlab.render.document import (
    Column,
    Document,
    Finding,
    Line,
    Paragraph,
    Record,
    Table,
)

_TOLD = 3
"""And how many where there is little space."""


class Counted(NamedTuple):
    """A range for which limits are to hold; of its variants ``undefined`` ones do not exist.

    ``vary`` has values as text by names, ``why`` says what was left out.
    """

    vary: Mapping[str, str]
    variants: int
    undefined: int
    why: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was counted."""
        varied = ", ".join(f"{names}={values}" for names, values in self.vary.items())
        there = self.variants - self.undefined
        text = f"{varied}: each of {formatting.plural(there, 'variant')} counted"
        if self.undefined:
            text += (
                f", {formatting.integer(self.undefined)} left out, since there is no such network"
            )
        return f"{text}."


@dataclass(frozen=True)
class CheckedModel:
    """A model and its limits, with the baseline if there is one.

    Where limits are to hold for a range (``counted``), the table is that of one variant.
    """

    name: str
    table: CostTable
    base: CostTable | None
    limits: tuple[Judged, ...]
    counted: Counted | None = None


@dataclass(frozen=True, repr=False)
class Gate(CostResult):
    """Models and their limits; ``written`` are the baselines that have just been written."""

    models: tuple[CheckedModel, ...]
    written: tuple[str, ...] = ()

    @cached_property
    def limits(self) -> tuple[Judged, ...]:
        """Those of all models."""
        return tuple(condition for model in self.models for condition in model.limits)

    @property
    def training_cost(self) -> bool:
        """Whether a limit is about what a training step costs."""
        return any(model.table.training_cost for model in self.models)

    @property
    def more(self) -> More:
        return next((model.table.more for model in self.models if model.table.more), ())

    @property
    def holds(self) -> bool:
        """Whether all of them hold."""
        return all(condition.holds for condition in self.limits)

    def __bool__(self) -> bool:
        """So that ``assert check(...)`` is a test."""
        return self.holds

    def __iter__(self) -> Iterator[Judged]:
        return iter(self.limits)

    def __len__(self) -> int:
        return len(self.limits)

    def findings(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                condition.place.file,
                condition.place.line,
                f"costlab: {model.name}",
                _told(condition),
            )
            for model in self.models
            for condition in model.limits
            if not condition.holds
        )

    def headline(self) -> str:
        failed = [m for m in self.models if not all(limit.holds for limit in m.limits)]
        names = ", ".join(model.name for model in failed or self.models)
        return f"{names}: {self._verdict().text.rstrip('.')}"

    def document(self) -> Document:
        names = [quantity.name for quantity in self._shown()]
        based = [model for model in self.models if model.base is not None]
        return (
            Paragraph("costlab check", "title"),
            self._verdict(),
            *(Paragraph(f"Wrote {file}.") for file in self.written),
            *_other_inputs(based),
            *_ranges(self.models),
            *([self._totals(based)] if based else []),
            self._table(),
            *(block for model in self.models for block in sections(model.name, model.limits)),
            *([Paragraph(legend(names, self.training_cost, self.more), "dim")] if names else []),
        )

    def records(self) -> list[Record]:
        return [
            _record(model, part, within)
            for model in self.models
            for condition in model.limits
            for part, within in _with_parts(condition)
        ]

    def data(self) -> dict[str, Any]:
        return {
            "holds": self.holds,
            "written": list(self.written),
            "models": [
                {
                    "name": model.name,
                    **_judged_on(model),
                    "base": None if model.base is None else _total(model.base),
                    "limits": [
                        {
                            **_nested(model, condition),
                            "layers": [
                                cause._asdict()
                                for causes in condition.causes
                                for cause in causes.layers
                            ],
                        }
                        for condition in model.limits
                    ],
                }
                for model in self.models
            ],
        }

    def _shown(self) -> list[Quantity]:
        """The quantities that the limits are about, and with a baseline those of a list."""
        names = {name for condition in self.limits for name in condition.names}
        if any(model.base for model in self.models):
            names |= {quantity.name for quantity in shown("list")}
        known = quantities(self.training_cost, self.more)
        return [quantity for name, quantity in known.items() if name in names]

    def _verdict(self) -> Paragraph:
        number = len(self.limits)
        failed = sum(not condition.holds for condition in self.limits)
        text = formatting.of_all(failed or number, number, "limit")
        if failed:
            return Paragraph(f"{text} {'fails' if failed == 1 else 'fail'}.", "bad")
        return Paragraph(f"{text} {'holds' if number == 1 else 'hold'}.", "good")

    def _totals(self, models: Iterable[CheckedModel]) -> Table:
        """What the models cost in all, beside their baselines."""
        lines = []
        for model in models:
            assert model.base is not None
            lines.append(Line((model.name, *[""] * 4), style="strong"))
            for quantity in self._shown():
                costs = (model.base.total, model.table.total)
                before, now = map(quantity.known, costs)
                cells: tuple[Cell, ...] = tuple(map(quantity.cell, costs))
                cells += (Difference(before, now, quantity.measure), Versus(before, now))
                lines.append(Line((quantity.heading, *cells), level=1))
        names = ("baseline", "now", "difference", "change")
        heads = (Column("total", right=False), *map(Column, names))
        return Table(heads, tuple(lines))

    def _table(self) -> Table:
        lines = []
        for model in self.models:
            lines.append(Line((model.name, *[""] * 4), style="strong"))
            lines += [line for condition in model.limits for line in lines_of(condition)]
        return Table(
            (
                Column("condition", right=False),
                Column("value"),
                Column("limit"),
                Column("room"),
                Column("", right=False),
            ),
            tuple(lines),
            "in full",
        )


def _other_inputs(models: Iterable[CheckedModel]) -> Iterable[Paragraph]:
    """Where a baseline that is another model takes another input."""
    for model in models:
        assert model.base is not None
        before, now = model.base.graph.entering, model.table.graph.entering
        if before != now:
            yield Paragraph(
                f"{model.name}: the baseline is on {before}, the model on {now}.", "bad"
            )


def _ranges(models: Iterable[CheckedModel]) -> Iterable[Paragraph]:
    """For which sizes and choices limits were judged."""
    for model in models:
        if model.counted is not None:
            yield Paragraph(
                " ".join((f"{model.name}, {model.counted.sentence}", *model.counted.why))
            )


def _told(condition: Judged) -> str:
    """What is wrong, and in a line each the layers that matter most."""
    lines = [condition.line]
    for causes in condition.causes:
        lines += causes.lines(_TOLD)
    return "\n".join(map(formatting.printable, lines))


def _judged_on(model: CheckedModel) -> dict[str, Any]:
    """The input and the totals of a model, or the range that it was judged for."""
    if (counted := model.counted) is None:
        inputs = [list(shape) for shape in model.table.graph.inputs]
        return {"input": inputs, "total": _total(model.table), "range": None}
    return {"input": None, "total": None, "range": counted._asdict()}


def _total(table: CostTable) -> dict[str, int | None]:
    known = quantities(table.training_cost, table.more)
    return {name: quantity.known(table.total) for name, quantity in known.items()}


def _with_parts(condition: Judged, within: str = "") -> Iterator[tuple[Judged, str]]:
    """It, and all that it joins, each with the text of what it is a part of."""
    yield condition, within
    for part in condition.parts:
        yield from _with_parts(part, condition.text)


def _record(model: CheckedModel, condition: Judged, within: str = "") -> Record:
    return {
        "model": model.name,
        "limit": condition.text,
        "holds": condition.holds,
        "value": _plain(condition.value),
        "sign": condition.sign,
        "bound": _plain(condition.bound),
        "room": _plain(condition.room),
        "unit": condition.unit,
        "file": condition.place.file,
        "line": condition.place.line or None,
        "at": None if condition.worst is None else condition.worst.at,
        "failing": None if condition.worst is None else condition.worst.failing,
        "part_of": within,
    }


def _nested(model: CheckedModel, condition: Judged) -> Record:
    """For JSON: what it joins stands in it."""
    record = _record(model, condition)
    del record["part_of"]
    parts = [_nested(model, part) for part in condition.parts]
    return record | {"joined_by": condition.joint, "parts": parts}


def _plain(value: Fraction | None) -> int | float | None:
    """For programs: a whole number exactly, else the nearest that a float holds."""
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)
