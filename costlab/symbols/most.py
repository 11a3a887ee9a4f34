"""The largest of several sizes: without those that are never above another one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from costlab.symbols.assumptions import Assumptions
from costlab.symbols.size import Monomial, Size


def most_of(of: Assumptions, sizes: Iterable[Any]) -> Any:
    """The largest of them, or of those that may be it."""
    known = {size.key: size for size in map(of.size, sizes)}
    order = Order(of)
    highest: list[Size] = []
    for size in sorted(known.values(), key=lambda size: -size.hint):
        if not any(order.never_below(other, size) for other in highest):
            highest = [other for other in highest if not order.never_below(size, other)]
            highest.append(size)
    if len(highest) < 2:
        return highest[0] if highest else 0
    return of.made("most", tuple(highest))


class Order:
    """Which products and sums are never below others; what is known of products is kept."""

    def __init__(self, of: Assumptions) -> None:
        self._of = of
        self._known: dict[tuple[Monomial, Monomial], bool] = {}

    def never_below(self, one: Size, other: Size) -> bool:
        """Whether a sum is at least another beyond doubt.

        Where what is taken away is given elsewhere by a product that is as large: 3·a·b - 2·b - c.
        """
        difference = one - other
        if self._of.bounds(difference)[0] >= 0:
            return True
        if difference.hint < 0:
            return False
        hint = self._hint
        given = sorted(
            ([m, c] for m, c in difference.terms.items() if c > 0), key=lambda term: hint(term[0])
        )
        for monomial, factor in sorted(
            ((m, c) for m, c in difference.terms.items() if c < 0), key=lambda term: -hint(term[0])
        ):
            missing = -factor
            for term in given:  # the smallest first that is as large
                if missing and term[1] and self._is_as_large(term[0], monomial):
                    taken = min(term[1], missing)
                    term[1] -= taken
                    missing -= taken
            if missing:
                return False
        return True

    def _hint(self, monomial: Monomial) -> int:
        return self._of.built({monomial: 1}).hint

    def _is_as_large(self, one: Monomial, other: Monomial) -> bool:
        """Whether a product of atoms is at least another beyond doubt."""
        key = one, other
        if key not in self._known:
            self._known[key] = self._compared(list(one), list(other))
        return self._known[key]

    def _compared(self, one: list[int], other: list[int]) -> bool:
        of = self._of
        for number in list(other):
            if number in one:
                one.remove(number)
                other.remove(number)
        atoms = {number: of.of_atom(of.atoms[number]) for number in (*one, *other)}
        if any(of.bounds(atoms[number])[0] < 1 for number in one):
            return False
        if any(of.bounds(atoms[number])[0] < 0 for number in other):
            return False
        for number in other:
            above = next((n for n in one if of.bounds(atoms[n] - atoms[number])[0] >= 0), None)
            if above is None:
                return False
            one.remove(above)
        return True
