"""Limits that are to hold for all sizes and choices of a range: every one of them is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from costlab.costs.quantities import named_in
from costlab.costs.table import CostTable, costs
from costlab.errors import GateError, blaming
from costlab.expressions.expression import Expression
from costlab.expressions.parser import condition
from costlab.expressions.tables import of_training
from costlab.gates.limits import Judged, Worst, all_of, joined, judged
from costlab.gates.result import CheckedModel, Counted
from costlab.gates.settings import Check, Place
from costlab.sweeps.files import Store
from costlab.sweeps.keep import Wanted
from costlab.sweeps.plan import Plan
from costlab.sweeps.request import Request
from costlab.sweeps.search import search
from costlab.sweeps.sweep import remarks, run_sweep


class Range:
    """What a check asks of a model, for all that varies in it.

    Raises what ``costlab.sweep`` raises, and ``GateError``.
    """

    def __init__(self, wanted: Check, progress: Callable[[str], None]) -> None:
        for given, what in (
            (wanted.baseline is not None, "a baseline has"),
            (wanted.inputs is not None, "inputs have"),
            (wanted.real, "real tensors have"),
        ):
            if given:
                raise GateError(f"{what} one size: leave out that, or what varies")
        request = Request(
            wanted.model,
            wanted.vary,
            input_size=wanted.input_size,
            input_type=wanted.input_type,
            method=wanted.method,
            training=wanted.training,
            training_cost=True,
            device=wanted.device,
            dtype=wanted.dtype,
            optimizer=wanted.optimizer,
            quantities=named_in(text for _, text in wanted.placed_limits()),
        )
        plan = request.plan()
        self._limits: list[tuple[Place, Expression]] = []
        for place, text in wanted.placed_limits():
            with blaming(str(place)):
                self._limits.append((place, condition(text, plan.names)))
        training_cost = any(of_training(expression) for _, expression in self._limits)
        self._plan: Plan = replace(plan, training_cost=training_cost)
        self._name, self._progress = wanted.called or plan.subject.title, progress

    def checked(self) -> CheckedModel:
        """Each limit, judged where it fails most or has the least room."""
        store = self._searched("", "0")
        variants = store.found
        why = tuple(remarks(store))
        if variants.undefined == variants.seen:
            raise GateError(
                f"no network of this range exists{''.join(f': {reason}' for reason in why)}"
            )
        if variants.beyond:
            raise GateError(
                f"{variants.beyond:,} variants have a count beyond 64 bits: give a smaller range"
            )
        self._require_rules()
        judgements: list[Judged] = []
        points: list[Mapping[str, Any]] = []
        for place, expression in self._limits:
            parts = []
            for single in all_of(expression):
                with blaming(str(place)):
                    self._judged(single, place, self._first(store))  # says what is wrong in it
                    worst = self._worst(single, variants.seen - variants.undefined)
                    judged = self._judged(single, place, worst.point)
                    parts.append(replace(judged, worst=worst))
                    points.append(worst.point)
            whole = parts[0] if len(parts) == 1 else joined(expression, place, "and", parts)
            judgements.append(whole)
        axes = self._plan.axes
        varied = {"=".join(axis.names): _written(axis.values) for axis in axes}
        counted = Counted(varied, variants.seen, variants.undefined, why)
        table = self._table(points[0])
        return CheckedModel(self._name, table, None, tuple(judgements), counted)

    def _worst(self, single: Expression, there: int) -> Worst:
        """Where a condition fails most, or else holds with the least room; exactly."""
        text, room = single.written, "0"  # without two numbers, the first is as good as any
        if (sides := single.sides()) is not None:
            left, sign, right = sides
            if sign in ("<", "<="):
                room = f"({right.written}) - ({left.written})"
            elif sign in (">", ">="):
                room = f"({left.written}) - ({right.written})"
        failing = store = self._searched(f"not ({text})", room)
        if not failing.kept:
            store = self._searched(text, room)
            if store.found.refused:
                raise GateError(
                    f"{text} divides by 0 for {store.found.refused:,} of {there:,} variants"
                )
        return Worst(self._first(store), there - failing.found.refused, there)

    def _require_rules(self) -> None:
        """Raise what a limit says where an operation has no rule, if it is about that."""
        for note in self._plan.subject.notes:
            if (without := self._searched(f"{note} > 0", "0")).kept:
                for place, expression in self._limits:
                    with blaming(str(place)):
                        self._judged(expression, place, self._first(without))

    def _judged(self, expression: Expression, place: Place, point: Mapping[str, Any]) -> Judged:
        chosen = self._plan.subject.values(point)
        return judged(expression, place, self._table(point), None, tuple, chosen)

    def _table(self, point: Mapping[str, Any]) -> CostTable:
        plan = self._plan
        graph = plan.subject.graph(point, plan.training_cost)
        more = plan.subject.known(plan.more, point)
        return replace(costs(graph, plan.training_cost), more=more)

    def _searched(self, where: str, goal: str) -> Store:
        """The variants that fulfil a condition, and of these the one with the least of a number."""
        plan = replace(self._plan, where=where, wanted=Wanted("best", (goal,), 1))
        store = Store(plan)
        run_sweep(plan, store, progress=self._progress)
        return store

    def _first(self, store: Store) -> dict[str, Any]:
        (numbers,) = store.batches()
        return search(store.plan).point(int(numbers[0]))


def _written(values: range | tuple[Any, ...]) -> str:
    if isinstance(values, range) and len(values) > 1:
        step = "" if values.step == 1 else f":{values.step}"
        return f"{values[0]}:{values[-1]}{step}"
    return ",".join(str(float(v)) if isinstance(v, Fraction) else str(v) for v in values)
