"""Variants of a sweep as points of a page: which of them, and by which axes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from costlab.render.plots import Axis, Scatter, evenly, front

if TYPE_CHECKING:
    from costlab.sweeps.keep import Wanted
    from costlab.sweeps.sweep import Sweep

MOST = 5000
"""Variants that a browser can draw, and a person look through, beside those of the front."""


def points(sweep: Sweep) -> tuple[Scatter, list[int]] | None:
    """The points, and which of the kept variants they are; None if there is nothing to draw.

    Of too many they are evenly spaced ones, or the first if there is an order, and always the whole
    front of the two axes.
    """
    axes = _axes(sweep)
    if len(axes) < 2 or not axes[0].values:
        return None
    names = [axis.name for axis in axes]
    single = sweep.varied[:1] if len(sweep.plan.axes) == 1 else ()
    first = dict.fromkeys((*_goals(sweep.plan.wanted), *single, "macs", "params"))
    x, y, *_ = (names.index(name) for name in first if name in names)
    number = len(axes[0].values)
    kept = range(min(MOST, number)) if sweep.plan.wanted.kind == "best" else evenly(number, MOST)
    chosen = sorted({*kept, *front(axes[x], axes[y])})

    def of(values: list[Any] | tuple[Any, ...]) -> Iterable[Any]:
        return (values[n] for n in chosen)

    labels = tuple(
        ", ".join(f"{name}={value}" for name, value in zip(sweep.varied, row, strict=True))
        for row in zip(*(of(sweep.columns[name]) for name in sweep.varied), strict=True)
    )
    drawn = tuple(axis._replace(values=tuple(of(axis.values))) for axis in axes)
    alone = names[x] in sweep.varied
    return Scatter("Variants", drawn, labels, x, y, alone, number - len(chosen)), chosen


def _axes(sweep: Sweep) -> list[Axis]:
    """What has a number for each variant: choices, quantities, and goals that are made of them."""
    wanted, found, known = sweep.plan.wanted, sweep.store.found, sweep.plan.quantities
    goals = _goals(wanted)
    axes = [
        Axis(
            name,
            known[name].plain_heading if name in known else name,
            tuple(values),
            goals.get(name, False),
        )
        for name, values in sweep.columns.items()
        if name in known or name in sweep.varied
    ]
    there = {axis.name for axis in axes}
    order = np.searchsorted(found.indices, found.ordered(wanted))
    for name, keys in zip(goals, found.keys, strict=True):
        if name not in there:
            values = (-keys if wanted.most else keys)[order].tolist()
            axes.append(Axis(name, name, tuple(values), wanted.most))
    return [axis for axis in axes if all(type(value) in (int, float) for value in axis.values)]


def _goals(wanted: Wanted) -> dict[str, bool]:
    """The axis of each goal, and whether more of it is better."""
    goals = {}
    for goal in wanted.goals:
        name = goal.lstrip("- ")
        negated = name.isidentifier() and goal.count("-") % 2 == 1
        goals[name if name.isidentifier() else goal] = wanted.most is not negated
    return goals
