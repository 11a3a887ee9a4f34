"""The networks of a user's own model: each is followed with sizes as symbols, where they vary.

What was followed holds where its guards do. Sizes elsewhere are followed at a point of their own,
until all are known. Where sizes cannot be symbols, each of them is followed by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab.costs.quantities import More, in_runs, lays_out
from costlab.errors import CostlabError
from costlab.graph import Graph, Layer
from costlab.models.symbolic_sizes import SymbolicSizes
from costlab.sweeps.costs import GraphCosts
from costlab.sweeps.polynomials import PolynomialFormula, at_point, polynomials
from costlab.sweeps.subject import Sum
from costlab.symbols.assumptions import Assumptions
from costlab.symbols.size import sum_of

if TYPE_CHECKING:
    from costlab.models.reference import Reference
    from costlab.sweeps.built_models import BuiltOfCatalog
    from costlab.sweeps.own_models import OwnModel

Key: TypeAlias = str
"""The choices of a network, as text."""

_TRIES = 3
"""Points at which sizes of a network are tried as symbols; then each is followed by itself."""


class OwnNetworks:
    """What has been followed so far; ``one_by_one`` without symbols, each size by itself."""

    def __init__(
        self,
        subject: OwnModel | BuiltOfCatalog,
        sums: tuple[Sum, ...],
        training_cost: bool,
        more: More = (),
        one_by_one: bool = False,
    ) -> None:
        self._subject, self._sums, self._training_cost = subject, sums, training_cost
        self._more, self._one_by_one = more, one_by_one
        self._run = replace(subject.run, gradients=training_cost)
        self._known: dict[Key, list[PolynomialFormula]] = {}
        self._fresh: list[tuple[Key, PolynomialFormula]] = []
        self._failed: dict[Key, int] = {}
        """How often symbols came to another end than numbers."""
        self._last: tuple[Key, Reference | CostlabError] | None = None

    def known(self, values: Mapping[str, Any]) -> Sequence[PolynomialFormula]:
        """The formulas of networks with these choices."""
        return self._known.setdefault(self._key(values), [])

    def follow(self, values: Mapping[str, Any]) -> PolynomialFormula:
        """The formula at one variant, and wherever code does the same."""
        key = self._key(values)
        formula = self._followed(key, values)
        self._known.setdefault(key, []).append(formula)
        self._fresh.append((key, formula))
        return formula

    def layers(self, values: Mapping[str, Any]) -> Sequence[Layer]:
        """The layers of one variant. Raises a ``CostlabError``."""
        return self._at_numbers(self._made(self._key(values), values), values).layers

    def learn(self, learnt: Iterable[tuple[Key, PolynomialFormula]]) -> None:
        """Take formulas that another process has followed."""
        for key, formula in learnt:
            known = self._known.setdefault(key, [])
            if formula not in known:
                known.append(formula)

    def learnt(self) -> list[tuple[Key, PolynomialFormula]]:
        """What was followed since this was asked last."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _key(self, values: Mapping[str, Any]) -> Key:
        return repr(sorted(self._subject.apart(values).items()))

    def _made(self, key: Key, values: Mapping[str, Any]) -> Reference:
        """The module with these choices; the last one is kept. Raises a ``CostlabError``."""
        if self._last is None or self._last[0] != key:
            self._last = None  # one network at a time is in memory
            try:
                self._last = key, self._subject.made(values)
            except CostlabError as error:
                error.__cause__ = error.__context__ = None  # whose frames hold half a network
                self._last = key, error.with_traceback(None)
        made = self._last[1]
        if isinstance(made, CostlabError):
            raise made
        return made

    def _followed(self, key: Key, values: Mapping[str, Any]) -> PolynomialFormula:
        subject = self._subject
        try:
            made = self._made(key, values)
        except CostlabError:
            return self._none(values)
        point = subject.point(values)
        if point and not self._one_by_one and self._failed.get(key, 0) < _TRIES:
            formula = self._with_symbols(made, point, values)
            if formula is not None:
                return formula
            self._failed[key] = self._failed.get(key, 0) + 1
        try:
            graph = self._at_numbers(made, values)
        except CostlabError:
            return at_point(point, None)
        return at_point(point, self._counted(graph, subject.known(self._more, values)))

    def _none(self, values: Mapping[str, Any]) -> PolynomialFormula:
        """What is said where a network cannot be made: there is none, whatever its sizes."""
        return PolynomialFormula((), (), None)

    def _with_symbols(
        self, made: Reference, point: dict[str, int], values: Mapping[str, Any]
    ) -> PolynomialFormula | None:
        """The formula with sizes as symbols; None where they cannot be."""
        subject, of = self._subject, Assumptions(point)
        sizes = SymbolicSizes(
            made, subject.sizes_of(values), run=self._run, layout=lays_out(self._more)
        )
        try:
            followed = sizes.at(of)
        except CostlabError as error:
            return self._refused(of, error, made, values)
        more = self._more
        if in_runs(more):
            from costlab.footprint.of_sizes import memory_of_symbols  # others do not wait for it

            try:
                more = memory_of_symbols(sizes, of, more)
            except CostlabError:  # numbers may have another end
                return None
        counted = self._counted(followed.graph.resized(of.as_one), more)
        return polynomials(followed.guards, counted)  # counting may have left guards too

    def _refused(
        self, of: Assumptions, error: CostlabError, made: Reference, values: Mapping[str, Any]
    ) -> PolynomialFormula | None:
        """Where there is no network for the same reason: what was asked until then decides that.

        Only if numbers in place of symbols come to the same end.
        """
        try:
            self._at_numbers(made, values)
        except CostlabError as plain:
            of.settle()
            if type(plain) is type(error) and str(plain) == str(error):
                return polynomials(of.guards.values(), None)
        return None

    def _at_numbers(self, made: Reference, values: Mapping[str, Any]) -> Graph:
        return made.network(self._subject.sized(values), self._run, {}).graph

    def _counted(self, graph: Graph, more: More) -> dict[Sum, Any]:
        costs = GraphCosts(graph, self._training_cost, more, add=sum_of)
        return {(name, selectors): costs.of(name, selectors) for name, selectors in self._sums} | {
            ("uncounted", ()): costs.uncounted
        }
