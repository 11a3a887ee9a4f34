"""What a network costs as polynomials of its sizes, as plain data: for processes and files.

They are those of `Size`, without what was assumed while they were made: the conditions under which
they hold stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from costlab.expressions.nodes import Selector
from costlab.sweeps.costs import all_hold
from costlab.sweeps.subject import Sum
from costlab.symbols.assumptions import Guard
from costlab.symbols.size import RULES, Size

Polynomial: TypeAlias = tuple[tuple[int, tuple[int, ...]], ...]
"""Factors, and the numbers of the atoms that each is multiplied by."""


class Atom(NamedTuple):
    """A size by its name, or an operation on polynomials, as in `symbols.size.Atom`."""

    kind: str
    name: str
    arguments: tuple[Polynomial, ...]


class Condition(NamedTuple):
    """A polynomial that is at least 0, is 0, or is not."""

    of: Polynomial
    kind: str


class PolynomialFormula(NamedTuple):
    """What networks cost that code makes alike; ``sums`` is None where it makes none."""

    atoms: tuple[Atom, ...]
    conditions: tuple[Condition, ...]
    sums: Mapping[Sum, Polynomial] | None

    def inside(self, values: Mapping[str, Any]) -> Any:
        """Where the conditions hold: that is where code does what was followed."""
        known: dict[int, Any] = {}
        try:
            return all_hold(
                _holds(condition.kind, self.at(condition.of, values, known))
                for condition in self.conditions
            )
        except ZeroDivisionError:  # a quotient that is not there is of another formula
            if any(getattr(value, "size", 1) > 1 for value in values.values()):
                raise
            return False

    def costs(self, values: Mapping[str, Any]) -> PolynomialCosts | None:
        """What they cost with these values."""
        return None if self.sums is None else PolynomialCosts(self, values, {})

    def at(self, polynomial: Polynomial, values: Mapping[str, Any], known: dict[int, Any]) -> Any:
        """A polynomial with these values; ``known`` has atoms by their numbers, and is filled."""
        total: Any = 0
        for factor, numbers in polynomial:
            product: Any = factor
            for number in numbers:
                if number not in known:
                    kind, name, arguments = self.atoms[number]
                    known[number] = (
                        values[name]
                        if kind == "symbol"
                        else RULES[kind](*(self.at(a, values, known) for a in arguments))
                    )
                product = product * known[number]
            total = total + product
        return total


class PolynomialCosts(NamedTuple):
    """The costs at some values."""

    formula: PolynomialFormula
    values: Mapping[str, Any]
    known: dict[int, Any]

    def of(self, quantity: str, selectors: tuple[Selector, ...] = ()) -> Any:
        """The sum over some layers, or over all."""
        assert self.formula.sums is not None
        return self.formula.at(self.formula.sums[quantity, selectors], self.values, self.known)

    def defined(self) -> bool:
        """All exist: where there is no network is another formula."""
        return True


def polynomials(guards: Iterable[Guard], sums: Mapping[Sum, Any] | None) -> PolynomialFormula:
    """Sizes and guards as data, with the atoms that they need."""
    atoms: list[Atom] = []
    numbers: dict[int, int] = {}

    def polynomial(size: Any) -> Polynomial:
        if not isinstance(size, Size):
            return ((int(size), ()),) if size else ()
        return tuple(
            (factor, tuple(atom(size, number) for number in monomial))
            for monomial, factor in size.terms.items()
        )

    def atom(size: Size, number: int) -> int:
        if number not in numbers:
            own = size.of.atoms[number]
            arguments = tuple(map(polynomial, own.arguments))
            atoms.append(Atom(own.kind, own.name, arguments))
            numbers[number] = len(atoms) - 1
        return numbers[number]

    conditions = tuple(Condition(polynomial(guard.size), guard.kind) for guard in guards)
    known = None if sums is None else {key: polynomial(size) for key, size in sums.items()}
    return PolynomialFormula(tuple(atoms), conditions, known)


def at_point(point: Mapping[str, int], sums: Mapping[Sum, int] | None) -> PolynomialFormula:
    """The costs of one network, at its sizes only."""
    atoms = tuple(Atom("symbol", name, ()) for name in point)
    conditions = tuple(
        Condition(((1, (number,)), (-size, ())), "= 0")
        for number, size in enumerate(point.values())
    )
    known = None if sums is None else {key: ((int(n), ()),) for key, n in sums.items()}
    return PolynomialFormula(atoms, conditions, known)


def _holds(kind: str, value: Any) -> Any:
    if kind == "≥ 0":
        return value >= 0
    return value == 0 if kind == "= 0" else value != 0
