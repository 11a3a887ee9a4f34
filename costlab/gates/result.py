"""What a gate found: models, their limits, and the layers that made one fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from costlab import formatting
from costlab.costs.quantities import More, Quantity, legend, quantities, shown
from costlab.costs.result import CostResult
from costlab.costs.table import CostTable
from costlab.gates.causes import Cause, Causes
from costlab.gates.limits import Judged
from costlab.render.cells import Cell, Difference, Number, Share, Versus
from costlab.render.document import (
    Column,
    Document,
    Element,
    Finding,
    Line,
    Paragraph,
    Record,
    Style,
    Table,
)

SHOWN = 10
"""How many of the layers that made a limit fail are shown."""

_TOLD = 3
"""And how many where there is little space."""

_LONG = 28
"""Characters of a condition that stand beside its numbers at 80 columns."""


@dataclass(frozen=True)
class CheckedModel:
    """A model and its limits, with the baseline if there is one."""

    name: str
    table: CostTable
    base: CostTable | None
    limits: tuple[Judged, ...]


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
            *([self._totals(based)] if based else []),
            self._table(),
            *(block for model in self.models for block in _sections(model)),
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
                    "input": [list(shape) for shape in model.table.graph.inputs],
                    "total": _total(model.table),
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
                cells += (Difference(before, now), Versus(before, now))
                lines.append(Line((quantity.heading, *cells), level=1))
        names = ("baseline", "now", "difference", "change")
        heads = (Column("total", right=False), *map(Column, names))
        return Table(heads, tuple(lines))

    def _table(self) -> Table:
        lines = []
        for model in self.models:
            lines.append(Line((model.name, *[""] * 4), style="strong"))
            lines += [line for condition in model.limits for line in _limit(condition)]
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


def _told(condition: Judged) -> str:
    """What is wrong, and in a line each the layers that matter most."""
    lines = [condition.line]
    for causes in condition.causes:
        lines += causes.lines(_TOLD)
    return "\n".join(map(formatting.printable, lines))


_OF_PARTS = {
    "and": "all of:",
    "or": "any of:",
    "==": "all or none of:",
    "!=": "one, but not both of:",
}


def _limit(condition: Judged) -> Iterator[Line]:
    """A limit on one line; one that joins others has theirs below."""
    return _lines(condition, 1, "" if condition.holds else "bad")


def _lines(condition: Judged, level: int, failing: Style) -> Iterator[Line]:
    """``failing`` is how a line looks that does not hold."""
    text, room = _OF_PARTS.get(condition.joint, condition.text), _LONG - 2 * (level - 1)
    short = text if len(text) <= room else f"{text[: room - 1]}…"
    yield Line(
        (
            short,
            _number(condition.value),
            _number(condition.bound),
            _number(condition.room),
            "holds" if condition.holds else "fails",
        ),
        level=level,
        path="– " * (level - 1) + (condition.text if condition.parts else short),
        details=() if short == text else (text,),
        style="good" if condition.holds else failing,
    )
    for part in condition.parts:
        yield from _lines(part, level + 1, failing)


def _number(value: Fraction | None) -> Cell:
    return "" if value is None else Number(value)


def _sections(model: CheckedModel) -> Iterable[Element]:
    """The layers that made limits fail, once for all limits of which they are the cause."""
    failed: dict[Causes, list[str]] = {}
    for condition in model.limits:
        for causes in condition.causes:
            failed.setdefault(causes, []).append(condition.text)
    for causes, texts in failed.items():
        yield Paragraph(f"{model.name}: {', '.join(texts)}", "section")
        yield from _of_causes(causes)


def _of_causes(causes: Causes) -> Iterable[Element]:
    """A table of them for each quantity."""
    way, layers = causes
    for name in dict.fromkeys(cause.quantity for cause in layers):
        some = [cause for cause in layers if cause.quantity == name]
        yield Paragraph(f"{_heading(name)} of the layers that {way}:")
        yield _largest(some) if way == "are largest" else _changed(some)


def _heading(name: str) -> str:
    known = quantities(training_cost=True)
    return known[name].heading if name in known else name


def _changed(layers: Sequence[Cause]) -> Table:
    lines = []
    for cause in layers[:SHOWN]:
        before, now = cause.derivation_before, cause.derivation
        both = (f"baseline: {before}", f"now: {now}")
        details = both if before and now else tuple(filter(None, (before, now)))
        lines.append(Line((cause.path, *_numbers(cause)), path=cause.path, details=details))
    if left := layers[SHOWN:]:
        lines.append(Line((f"{formatting.plural(len(left), 'layer')} more", *_numbers(_sum(left)))))
    heads = (Column("layer", right=False), *map(Column, ("baseline", "now", "difference")))
    return Table(heads, tuple(lines), "derivation")


def _numbers(cause: Cause) -> tuple[Cell, ...]:
    before, now = ("-" if n is None else Number(n) for n in (cause.before, cause.now))
    return before, now, Difference(cause.before or 0, cause.now or 0)


def _largest(layers: Sequence[Cause]) -> Table:
    whole = sum(cause.now or 0 for cause in layers)
    lines = [
        Line(
            (cause.path, Number(cause.now), Share(cause.now, whole)),
            path=cause.path,
            details=(cause.derivation,) if cause.derivation else (),
        )
        for cause in layers[:SHOWN]
    ]
    if left := layers[SHOWN:]:
        more = _sum(left).now
        words = f"{formatting.plural(len(left), 'layer')} more"
        lines.append(Line((words, Number(more), Share(more, whole))))
    heads = (Column("layer", right=False), Column("now"), Column("share"))
    return Table(heads, tuple(lines), "derivation")


def _sum(layers: Sequence[Cause]) -> Cause:
    now, before = (
        sum(n or 0 for n in numbers)
        for numbers in zip(*((c.now, c.before) for c in layers), strict=True)
    )
    return Cause(layers[0].quantity, "", now, before, "", "")


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
        "file": condition.place.file,
        "line": condition.place.line or None,
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
