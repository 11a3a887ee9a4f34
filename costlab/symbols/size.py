"""A whole number that carries its expression: a polynomial of symbols, floors, maxima and minima.

One expression has one form, so that equal sizes are mostly seen to be equal: sums and products are
multiplied out, ``a mod b`` is ``a - b·⌊a/b⌋``, and a floor of a floor is one floor, since
``⌊(⌊x⌋ + n)/k⌋ = ⌊(x + n)/k⌋`` for whole n and k. Beside it stands the number that it is at one
point, the hint, which is all that decides where code asks (`Assumptions.asked`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

from costlab.graph.arithmetic import larger, smaller
from costlab.symbols.quotients import first_positive, quotient

if TYPE_CHECKING:
    from costlab.symbols.assumptions import Assumptions

Monomial: TypeAlias = tuple[int, ...]
"""The numbers of the atoms of a product, in order: ``a²·b`` is ``(a, a, b)``, a number ``()``."""


class Atom:
    """What a polynomial is made of: a symbol, or an operation on sizes that is no polynomial.

    ``kind`` is ``symbol``, ``floor`` (of a quotient), ``max``, ``min``, ``abs``, or ``most``, the
    largest of several sums.
    """

    __slots__ = ("arguments", "bounds", "hint", "kind", "name", "number")

    def __init__(
        self, number: int, kind: str, name: str, arguments: tuple[Size, ...], hint: int
    ) -> None:
        self.number, self.kind, self.name = number, kind, name
        self.arguments, self.hint = arguments, hint


class Size:
    """A whole number with its expression; see above. Python's operators give others."""

    __slots__ = ("_key", "hint", "of", "terms")

    def __init__(self, of: Assumptions, terms: dict[Monomial, int], hint: int) -> None:
        self.of, self.terms, self.hint = of, terms, hint
        self._key: tuple[tuple[Monomial, int], ...] | None = None

    @property
    def key(self) -> tuple[tuple[Monomial, int], ...]:
        """The same for what is the same expression."""
        if self._key is None:
            self._key = tuple(sorted(self.terms.items()))
        return self._key

    @property
    def number(self) -> int | None:
        """The number that it is, whatever the symbols are; None if it depends on them."""
        if not self.terms:
            return 0
        return self.terms.get(()) if len(self.terms) == 1 else None

    def _lifted(self, other: Any) -> Size | None:
        if isinstance(other, Size):
            return other
        return self.of.constant(int(other)) if isinstance(other, int) else None

    # Arithmetic.

    def __add__(self, other: Any) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else _sum(self, more, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else _sum(self, more, -1)

    def __rsub__(self, other: Any) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else _sum(more, self, -1)

    def __mul__(self, other: Any) -> Any:
        if type(other) is int and other:  # most of them are plain
            if other == 1:
                return self
            scaled = {monomial: factor * other for monomial, factor in self.terms.items()}
            return Size(self.of, scaled, self.hint * other)
        more = self._lifted(other)
        if more is None:
            return NotImplemented
        if more.number == 1:
            return self
        if self.number == 1:
            return more
        terms: dict[Monomial, int] = {}
        for one, times in self.terms.items():
            for two, factor in more.terms.items():
                product = tuple(sorted(one + two)) if one and two else one or two
                terms[product] = terms.get(product, 0) + times * factor
        return Size(self.of, {m: c for m, c in terms.items() if c}, self.hint * more.hint)

    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return Size(self.of, {m: -c for m, c in self.terms.items()}, -self.hint)

    def __pos__(self) -> Size:
        return self

    def __pow__(self, power: int) -> Any:
        if type(power) is not int or power < 0:
            return NotImplemented
        result: Any = self.of.constant(1)
        for _ in range(power):
            result = result * self
        return result

    def __floordiv__(self, other: Any) -> Any:
        below = self._lifted(other)
        return NotImplemented if below is None else quotient(self, below)

    def __rfloordiv__(self, other: Any) -> Any:
        above = self._lifted(other)
        return NotImplemented if above is None else quotient(above, self)

    def __mod__(self, other: Any) -> Any:
        below = self._lifted(other)
        return NotImplemented if below is None else self - below * quotient(self, below)

    def __rmod__(self, other: Any) -> Any:
        above = self._lifted(other)
        return NotImplemented if above is None else above - self * quotient(above, self)

    def __abs__(self) -> Size:
        least, most = self.of.bounds(self)
        if least >= 0:
            return self
        return -self if most <= 0 else self.of.made("abs", (first_positive(self),))

    # Questions: answered at the hint, and kept as a condition where the answer depends on symbols.

    def __lt__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(more - self - 1))

    def __le__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(more - self))

    def __gt__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(self - more - 1))

    def __ge__(self, other: Any) -> Any:
        return self._asked(other, lambda more: self.of.at_least_zero(self - more))

    def __eq__(self, other: object) -> Any:
        return self._asked(other, lambda more: self.of.is_zero(self - more))

    def __ne__(self, other: object) -> Any:
        return self._asked(other, lambda more: not self.of.is_zero(self - more))

    def _asked(self, other: Any, question: Callable[[Size], bool]) -> Any:
        more = self._lifted(other)
        return NotImplemented if more is None else question(more)

    def __hash__(self) -> int:
        return hash(self.key)

    def __bool__(self) -> bool:
        return not self.of.is_zero(self)

    def __index__(self) -> int:
        return self.of.fixed(self)

    __int__ = __index__

    def bit_length(self) -> int:
        """How many binary digits it has: it is between these powers of 2 from now on."""
        digits = self.hint.bit_length()
        if not (1 << digits >> 1) <= self < (1 << digits):
            raise AssertionError(self)
        return digits

    # What it is for.

    def at(self, values: Mapping[str, Any], known: dict[int, Any]) -> Any:
        """The same with ``values`` for symbols: ints, arrays, bounds, or symbols of sympy.

        ``known`` has the values of atoms by their numbers, and is filled.
        """
        total: Any = 0
        for monomial, factor in self.terms.items():
            product: Any = factor
            for number in monomial:
                product = product * self.of.atom_at(number, values, known)
            total = total + product
        return total

    @property
    def symbols(self) -> frozenset[str]:
        """The names of the symbols that it depends on."""
        return frozenset().union(*(self.of.names(n) for m in self.terms for n in m))

    def __repr__(self) -> str:
        return self.of.text(self)

    def __format__(self, how: str) -> str:
        return repr(self)


def sum_of(sizes: Iterable[Any]) -> Any:
    """The sum of many, in time that grows with their terms, not with those of the sum."""
    plain, hint, terms, of = 0, 0, dict[Monomial, int](), None
    for size in sizes:
        if isinstance(size, Size):
            of, hint = size.of, hint + size.hint
            for monomial, factor in size.terms.items():
                terms[monomial] = terms.get(monomial, 0) + factor
        else:
            plain += size
    if of is None:
        return plain
    terms[()] = terms.get((), 0) + plain
    return Size(of, {m: c for m, c in terms.items() if c}, hint + plain)


def _sum(one: Size, two: Size, sign: int) -> Size:
    terms = dict(one.terms)
    for monomial, factor in two.terms.items():
        both = terms.get(monomial, 0) + sign * factor
        if both:
            terms[monomial] = both
        else:
            terms.pop(monomial, None)
    return Size(one.of, terms, one.hint + sign * two.hint)


def _most(*numbers: Any) -> Any:
    """The largest of several, element by element; of sizes, one that says so."""
    of = next((number.of for number in numbers if isinstance(number, Size)), None)
    return reduce(larger, numbers) if of is None else of.most(numbers)


RULES: Mapping[str, Callable[..., Any]] = {
    "floor": lambda above, below: above // below,
    "max": larger,
    "most": _most,
    "min": smaller,
    "abs": abs,
}
"""What the atoms are, in plain arithmetic on numbers of any kind."""
