"""What a counter measured, against our table: a verdict for each layer."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from costlab import formatting
from costlab.checks.convention import events
from costlab.checks.convention_names import look_up
from costlab.checks.expected import Convention, Expected, by_scope, places
from costlab.checks.runnable import observed
from costlab.checks.verdicts import NOTHING, OURS, Check, Verdict, flat
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.counters import Counter, Measurement
from costlab.errors import CostlabError
from costlab.graph.paths import ancestry


class Judge:
    """Compares a counter's measurement with our table."""

    def __init__(self, table: CostTable, measurement: Measurement, counter: Counter) -> None:
        self._table = table
        self._measurement = measurement
        self._counter = counter

    def checks(self) -> Iterable[Check]:
        """A check for each layer and quantity."""
        for quantity, values in self._measurement.values.items():
            for number, row in enumerate(self._table.rows):
                if quantity != "macs":
                    yield self._of_shape_or_params(row, quantity, values.get(row.path))
                elif self._table.trace is None:
                    yield self._of_built(number, row, values.get(row.path))
                else:
                    yield self._of_traced(number, row, values)

    def _of_shape_or_params(self, row: Row, quantity: str, theirs: Any) -> Check:
        ours = OURS[quantity](row)
        if theirs is None:
            return self._check(row, quantity, ours, None, "not covered", self._gap(row.path))
        if quantity == "params" and self._table.trace is None and ours != theirs:
            ours = self._all_params(row)  # a layer that is built has those of an earlier one too
        if ours == theirs:
            return self._check(row, quantity, ours, theirs, "agrees")
        return self._check(row, quantity, ours, theirs, "differs", f"it says {flat(theirs)}")

    def _all_params(self, row: Row) -> int:
        """Elements of all parameters that a layer takes, those that an earlier one took too."""
        taken = [self._table.graph.values[number] for number in row.layer.weights]
        return sum(value.elements for value in taken if value.kind == "parameter")

    def _of_built(self, number: int, row: Row, theirs: int | None) -> Check:
        """MACs of a layer of the catalog, which is a module of its own."""
        if theirs is None:
            return self._check(row, "macs", row.macs, None, "not covered", self._gap(row.path))
        if row.uncounted or (row.contraction is None and theirs == 0):
            return self._check(row, "macs", row.macs, theirs, "not covered", nothing(row))
        if row.macs == theirs:
            return self._check(row, "macs", row.macs, theirs, "agrees")
        convention = self._of_convention
        if convention and convention.of_layers[number].macs == theirs:
            return self._as_expected(row, convention.of_layers[number])
        if row.path in self._measurement.gaps and theirs < row.macs:
            return self._check(row, "macs", row.macs, theirs, "not covered", self._gap(row.path))
        because = f"it says {formatting.integer(theirs)}, {formatting.difference(row.macs, theirs)}"
        return self._check(row, "macs", row.macs, theirs, "differs", because)

    def _of_traced(self, number: int, row: Row, values: dict[str, int]) -> Check:
        """MACs by module: calls inside a module, and its second call, are part of its number.

        A counter may see a call in another module than the one whose code makes it, such as one
        that is entered by ``.forward()``. So where a module differs, the one around it is compared.
        A counter may know a module that is in several places by the first of them alone.
        Where its number is not ours, but what its convention makes of our calls, it is right of
        each call that the convention takes as it is.
        """
        around = places(row.path)
        scopes = [scope for scope in reversed(around) if scope in values]
        counts = bool(row.contraction is not None or row.macs)
        equal = [scope for scope in scopes if values[scope] == self._ours[scope]]
        equal += [
            scope
            for scope in self._registered_scopes(number)
            if values.get(scope) == self._registered[scope]
        ]
        if counts and equal:
            because = "" if equal[0] == row.path else f"with all of {equal[0] or 'the model'}"
            return self._check(row, "macs", row.macs, row.macs, "agrees", because)
        convention = None if equal or row.uncounted else self._of_convention
        if convention and (counts or convention.of_layers[number].macs):
            alike = [scope for scope in scopes if values[scope] == convention.of_scopes[scope]]
            if alike:
                return self._as_expected(row, convention.of_layers[number], alike[0])
        if not counts:
            return self._check(row, "macs", 0, 0, "not covered", nothing(row))
        if not scopes:
            return self._check(row, "macs", self._ours[""], None, "not covered", self._gap(""))
        place = scopes[0]
        ours, theirs = self._ours[place], values[place]
        gaps = [gap for scope in reversed(around) if (gap := self._measurement.gaps.get(scope))]
        if theirs < ours and gaps:
            return self._check(row, "macs", ours, theirs, "not covered", gaps[0])
        because = f"it says {formatting.integer(theirs)} for {place or 'the model'}, "
        because += formatting.difference(ours, theirs)
        return self._check(row, "macs", ours, theirs, "differs", because)

    def _as_expected(self, row: Row, expected: Expected, place: str = "") -> Check:
        """A layer whose part of the counter's number is known by its convention."""
        verdict, because = expected.verdict(row, self._counter.name)
        if verdict == "agrees":
            because = f"with all of {place or 'the model'}, but for what it has no rule for"
        return self._check(row, "macs", row.macs, expected.macs, verdict, because)

    def _check(
        self, row: Row, quantity: str, ours: Any, theirs: Any, verdict: Verdict, because: str = ""
    ) -> Check:
        counter = self._measurement.counter
        return Check(row.path, counter, quantity, ours, theirs, verdict, because)

    def _gap(self, path: str) -> str:
        gaps = self._measurement.gaps
        return gaps.get(path) or gaps.get("") or "it saw no such module"

    @cached_property
    def _ours(self) -> Multiset[str]:
        return by_scope(self._table, [row.macs for row in self._table.rows])

    @cached_property
    def _registered(self) -> Multiset[str]:
        """Our MACs of modules, each with all its calls, by where they are registered first."""
        sums: Multiset[str] = Multiset()
        for number, row in enumerate(self._table.rows):
            for scope in self._registered_scopes(number):
                sums[scope] += row.macs
        return sums

    def _registered_scopes(self, number: int) -> list[str]:
        trace = self._table.trace
        return ancestry(trace.registered[number])[::-1] if trace and trace.registered else []

    @cached_property
    def _of_convention(self) -> Convention | None:
        """Asked only where a number is not ours: it needs a run that notes how calls are made."""
        if not self._counter.convention:
            return None
        look_up(self._counter)
        try:
            traced = observed(self._table)
        except CostlabError:  # it cannot be followed like that
            return None
        return Convention.of(self._counter, self._table, traced, events(traced))


def nothing(row: Row) -> str:
    """Why there are no multiply-adds of ours to compare."""
    if row.uncounted:
        return f"costlab has no rule for {row.label}"
    return NOTHING
