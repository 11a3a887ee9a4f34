"""Costs over a grid of choices and input sizes: the same rules, on arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from costlab import formatting
from costlab.atomic_files import replacing
from costlab.costs.quantities import legend, shown
from costlab.costs.result import CostResult
from costlab.errors import SweepError
from costlab.render import formats
from costlab.render.cells import Cell, Number
from costlab.render.document import Column, Document, Line, Page, Paragraph, Record, Table, Units
from costlab.render.format import Screen

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from costlab.sweeps.files import Store
    from costlab.sweeps.plan import Plan
    from costlab.trace.given import InputType

_NAMED = 3
"""Reasons that are named why variants do not exist."""


@dataclass(frozen=True, repr=False, eq=False)
class Sweep(CostResult):
    """The result of a sweep: variants with their choices and quantities, in a store."""

    store: Store

    @property
    def plan(self) -> Plan:
        """The plan of the sweep: the model, what varies, what is wanted."""
        return self.store.plan

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many variants there are, and what became of them."""
        return counts(self.store)

    @cached_property
    def columns(self) -> Mapping[str, list[Any]]:
        """Choices and quantities of all that is kept."""
        columns: dict[str, list[Any]] = {}
        for batch in self.batches():
            for name, values in batch.items():
                columns.setdefault(name, []).extend(values.tolist())
        return columns

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """The names that varied."""
        return tuple(name for axis in self.plan.axes for name in axis.names)

    def document(self) -> Document:
        quantities = shown("sweep", training_cost=self.plan.training_cost, more=self.plan.more)
        columns = (
            *(Column(name) for name in self.varied),
            *(
                Column(quantity.plain_heading, priority=quantity.shown["sweep"])
                for quantity in quantities
            ),
        )
        names = (*self.varied, *(quantity.name for quantity in quantities))
        known = self.plan.quantities
        units = {name: known[name].plain_heading if name in known else "" for name in names}
        cells = [[_cell(value, units[name]) for value in self.columns[name]] for name in names]
        lines = tuple(Line(row) for row in zip(*cells, strict=True))
        return (
            Paragraph(self.title, "title"),
            Paragraph(sentence(self.plan, self.counts)),
            *map(Paragraph, remarks(self.store)),
            *self._lower_bounds(),
            Table(columns, lines),
            Paragraph(legend(training_cost=self.plan.training_cost, more=self.plan.more), "dim"),
        )

    def _lower_bounds(self) -> Document:
        few = sum(map(bool, self.columns.get("uncounted", ())))
        if not few:
            return ()
        which = "1 variant has" if few == 1 else f"{formatting.integer(few)} variants have"
        return (Paragraph(f"{which} operations without a rule: these numbers are lower bounds."),)

    @property
    def title(self) -> str:
        return f"Sweep of {self.model}"

    def page(self) -> Page:
        """The document, with the variants as points before its table."""
        from costlab.sweeps.points import points  # where a page is written

        blocks, drawn = self.document(), points(self)
        if drawn is None:
            return blocks
        scatter, chosen = drawn
        at, table = next((n, block) for n, block in enumerate(blocks) if isinstance(block, Table))
        if not scatter.left:
            return (*blocks[:at], scatter, *blocks[at:])
        which = "the first" if self.plan.wanted.kind == "best" else "evenly spaced ones"
        x, y = (scatter.axes[n].better for n in (scatter.x, scatter.y))
        text = (
            f"This page has {formatting.integer(len(chosen))} of "
            f"{formatting.plural(len(table.lines), 'variant')}: {which}, and all that no other one "
            f"beats by {x} and {y}. --format csv has all."
        )
        some = table._replace(lines=tuple(table.lines[n] for n in chosen))
        return (*blocks[:at], Paragraph(text), scatter, some, *blocks[at + 1 :])

    @cached_property
    def model(self) -> str:
        """The model, with the choices that do not vary."""
        return self.plan.subject.title

    def records(self) -> list[Record]:
        names = list(self.columns)
        rows = zip(*self.columns.values(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def batches(self) -> Iterable[Mapping[str, Any]]:
        from costlab.sweeps.search import search

        return map(search(self.plan).rows, self.store.batches())

    def units(self) -> Units:
        from costlab.sweeps.search import search

        return super().units()._replace(of=search(self.plan).units)

    def data(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "where": self.plan.where,
            "wanted": {"kind": self.plan.wanted.kind, "goals": list(self.plan.wanted.goals)},
            **self.counts,
            "left_out": [{"variant": values, "why": why} for values, why in refusals(self.store)],
            "rows": self.records(),
        }


def sweep(
    model: Any,
    vary: Mapping[str, str | Iterable[Any]],
    *,
    input_size: Any = None,
    input_type: InputType = "",
    method: str = "forward",
    training: bool = False,
    where: str = "",
    minimize: str = "",
    maximize: str = "",
    top: int | None = None,
    pareto: str | Iterable[str] = (),
    training_cost: bool = False,
    device: str = "",
    dtype: str = "",
    optimizer: str = "",
    quantities: str | Iterable[str] = (),
    workers: int = 1,
    client: Client | None = None,
    progress: Callable[[str], None] = lambda step: None,
    **choices: Any,
) -> pd.DataFrame:
    """The costs of every variant of a model, or of a part of it, as a frame.

    ``vary`` has values by name, of choices of an architecture or of ``N``, ``C``, ``H`` and ``W``,
    the whole model's input: an iterable, or text such as ``"16:192:16"`` (hi included) or
    ``"14,28,56"``; ``"H=W"`` are two names of one value. ``choices`` are choices that do not vary.

    Of a module, Python code (``"mine.py:Net"``), a name in another library, or a class or function
    that makes modules, choices are the arguments of what makes it, and the sizes that may vary are
    the names in ``input_size`` (``"N,3,H,W"``, as for ``costlab.formula``). Each value of an
    argument is a network of its own, and its sizes are counted on arrays; what the code does
    otherwise at some sizes is followed there. ``input_type``, ``method`` and ``training`` are those
    of ``costlab.analyze``. Where it has operations without a rule, ``uncounted`` says how many.

    ``where`` is a condition on quantities and choices (``"macs < 120e6 and c3r % 16 == 0"``).
    ``minimize`` or ``maximize`` orders by a number (``"macs / params"``), the ``top`` (20) of them;
    ``pareto`` keeps the Pareto front of several numbers (``"macs,-activations"``), each as small as
    can be: the variants that no other dominates. ``training_cost`` adds the quantities of a
    training step (see ``costlab.analyze``); so do ``quantities``, a condition or a goal with one.

    Of a module, ``quantities`` adds some that are known only where they are asked for, or named in
    a condition or a goal: ``peak_bytes`` of a run, ``training_peak_bytes`` and ``saved_bytes`` of a
    step, ``read_bytes``, ``written_bytes`` (see ``costlab.formula``). ``optimizer`` is what trains
    in such a step, ``"sgd"`` by default.

    ``workers`` are processes, and ``client`` a ``distributed.Client`` whose workers have costlab.
    The rows are the same in any case, in the grid's order where they are not ordered otherwise.
    ``frame.attrs`` says how many variants there are, and how many were passed over: ``undefined``
    ones do not exist (``left_out`` says why, of the first ones), ``beyond`` ones have a count that
    64 bits do not hold, ``refused`` ones do not fulfil the condition, or something in it or in a
    goal is divided by 0.

    Raises ``UnknownNameError``, ``ChoiceError``, ``ExpressionError`` and ``SweepError``.
    """
    import pandas as pd

    from costlab.sweeps.files import Store, frame
    from costlab.sweeps.request import Request
    from costlab.sweeps.search import search

    the_plan = Request(
        model,
        vary,
        choices,
        where=where,
        minimize=minimize,
        maximize=maximize,
        top=top,
        pareto=pareto,
        input_size=input_size,
        input_type=input_type,
        method=method,
        training=training,
        training_cost=training_cost,
        device=device,
        dtype=dtype,
        optimizer=optimizer,
        quantities=quantities,
    ).plan()
    store = Store(the_plan)
    run_sweep(the_plan, store, workers, client, progress)
    variants: pd.DataFrame = pd.concat(
        [frame(search(the_plan), numbers) for numbers in store.batches()], ignore_index=True
    )
    variants.attrs.update(counts(store))
    variants.attrs["left_out"] = refusals(store)
    return variants


def run_sweep(
    plan: Plan,
    store: Store,
    workers: int = 1,
    client: Client | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> None:
    """Count the blocks that the store still lacks; what was found is saved if interrupted."""
    from costlab.sweeps.engine import run_blocks

    rate = Rate(plan, store.seen)
    try:
        for begin, more in run_blocks(plan, store.begin, workers, client):
            store.add(more, begin)
            progress(rate.sentence(store.seen))
    finally:
        store.save()
    if store.found.seen and store.found.undefined == store.found.seen and store.plan.subject.notes:
        raise SweepError(f"no variant of {plan.subject.title} exists: {remarks(store)[0]}")


def counts(store: Store) -> dict[str, int]:
    """How many variants there are, and what became of them."""
    found = store.found
    return {
        "variants": found.seen,
        "undefined": found.undefined,
        "beyond": found.beyond,
        "refused": found.refused,
        "kept": store.kept,
    }


def refusals(store: Store) -> list[tuple[dict[str, Any], str]]:
    """Some of the variants that do not exist, each for another reason, and why."""
    from costlab.sweeps.search import search

    reasons: dict[str, dict[str, Any]] = {}
    for _, variant in store.found.missing:
        point = search(store.plan).point(variant)
        reasons.setdefault(store.plan.subject.refusal(point), point)
    return [(point, text) for text, point in reasons.items()][:_NAMED]


def remarks(store: Store) -> list[str]:
    """What is said of variants that do not exist."""
    return [
        f"Left out: {', '.join(f'{name}={value}' for name, value in point.items())}: {why}."
        for point, why in refusals(store)
        if why and store.plan.subject.notes
    ]


def sentence(plan: Plan, counts: Mapping[str, int]) -> str:
    """How many variants there are and what became of them, in a sentence."""
    goals = ", ".join(plan.wanted.goals)
    shown = formatting.integer(counts["kept"])
    left_out = (
        ("undefined", "since there is no such network"),
        ("beyond", "since a count is beyond 64 bits"),
        ("refused", f"by {plan.where}" if plan.where else "since a goal divides by 0"),
    )
    return "; ".join(
        [
            formatting.plural(counts["variants"], "variant"),
            *(
                f"{formatting.integer(counts[n])} left out {why}"
                for n, why in left_out
                if counts[n]
            ),
            {
                "all": f"{shown} shown",
                "best": f"{shown} shown, {'most' if plan.wanted.most else 'least'} {goals} first",
                "front": f"{shown} shown, the Pareto front of {goals}",
            }[plan.wanted.kind]
            + ".",
        ]
    )


def write_file(store: Store, path: Path, format: str, screen: Screen | None = None) -> None:
    """Write the output file, whole or not at all, and end the store. Raises ``OSError``."""
    with replacing(path, store.part) as part, part.open("wb") as file:
        formats.write(Sweep(store), format, file, screen)
    store.forget()


class Rate:
    """The progress of a sweep: the part that is done, the speed, and the time left."""

    def __init__(self, plan: Plan, seen: int) -> None:
        self._model, self._size, self._before = plan.subject.title, plan.grid.size, seen
        self._began = monotonic()

    def sentence(self, seen: int) -> str:
        """``sweep of reduced: 34.0% of 1.07 G variants, 24.1 M a second, 29 s left``."""
        speed = (seen - self._before) / max(monotonic() - self._began, 1e-9)
        left = (self._size - seen) / max(speed, 1e-9)
        return (
            f"sweep of {self._model}: {formatting.percent(seen, self._size)} of "
            f"{formatting.scaled(self._size)} variants, {formatting.scaled(int(speed))} a second, "
            f"{formatting.duration(left)} left"
        )


def _cell(value: Any, unit: str) -> Cell:
    return Number(value, unit) if type(value) is int else str(value)
